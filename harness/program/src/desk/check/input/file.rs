//! A file of settings: its kind and its text.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The largest file that is read, in bytes; a kong.conf with all its comments has less than 100 kB.
const LIMIT: u64 = 8 * 1024 * 1024;

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {}", path.display(), io_reason(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large to be a configuration.
    #[error("{} is larger than {} MB: that is no configuration", .0.display(), LIMIT / 1024 / 1024)]
    TooLarge(PathBuf),
    /// It is not text.
    #[error("{} is not a text file", .0.display())]
    Binary(PathBuf),
    /// It is included too deep, as by itself.
    #[error("{} includes itself, or is included more than {INCLUSIONS} deep, which PostgreSQL refuses", .0.display())]
    Nested(PathBuf),
    /// It is something else than a configuration of Kong's.
    #[error("{} is not {expected}: {why}", path.display())]
    NotWhatItShouldBe {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Why it is not.
        #[source]
        why: ContentError,
    },
    /// There is nothing to check.
    #[error("nothing to check: name a kong.conf, or set KONG_* variables, or use --env-file or --postgresql")]
    Nothing,
}

/// Why the content of a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is a file of PostgreSQL's.
    #[error("it looks like a postgresql.conf; that one is named with --postgresql")]
    PostgresqlConf,
    /// It has no line that sets something.
    #[error("line {0} is no `name = value`, and there is no other line that is")]
    NoSettings(usize),
    /// It is the configuration of another program.
    #[error("none of its settings is one of Kong's")]
    OtherProgram,
    /// It sets no variable.
    #[error("it has no line like NAME=value")]
    NoVariables,
    /// It does not configure Kong's database.
    #[error("there is no setting in it that is about Kong's database, such as KONG_PG_HOST")]
    NoDatabase,
    /// It is not YAML, or too large.
    #[error("{0}")]
    Yaml(String),
}

fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

/// What kind of file settings are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// kong.conf.
    KongConf,
    /// Lines of `NAME=value`, as `docker run --env-file` takes them.
    EnvFile,
    /// What `docker inspect` prints.
    DockerInspect,
    /// A docker-compose file.
    Compose,
    /// Manifests of Kubernetes.
    Kubernetes,
    /// Values for Kong's Helm chart.
    Helm,
}

impl Kind {
    const NAMES: [(&str, Self); 6] = [
        ("kong.conf", Self::KongConf),
        ("env", Self::EnvFile),
        ("docker-inspect", Self::DockerInspect),
        ("compose", Self::Compose),
        ("kubernetes", Self::Kubernetes),
        ("helm", Self::Helm),
    ];
}

/// A name that is no kind of input.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a kind of input; expected kong.conf, env, docker-inspect, compose, kubernetes or helm")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let known = Self::NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, kind)| *kind).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// How deep files of PostgreSQL's may include others (CONF_FILE_MAX_DEPTH in its conffiles.h).
const INCLUSIONS: usize = 10;

/// Reads a file of text that another one may include, which is so many files deep.
///
/// # Errors
/// It cannot be read, or is included too deep.
pub(in super::super) fn read_included(path: &Path, depth: usize) -> Result<String, InputError> {
    if depth > INCLUSIONS { Err(InputError::Nested(path.to_owned())) } else { read_text(path) }
}

/// Reads a file of text.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub(in super::super) fn read_text(path: &Path) -> Result<String, InputError> {
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let failed = |source| InputError::Io { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if metadata.len() > LIMIT {
        return Err(InputError::TooLarge(path.to_owned()));
    }
    // What is no regular file has no length beforehand.
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(InputError::TooLarge(path.to_owned()));
    }
    if is_binary(&bytes) {
        return Err(InputError::Binary(path.to_owned()));
    }
    // Comments may be in any encoding.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Whether bytes are no text: control characters, or little that is UTF-8.
fn is_binary(bytes: &[u8]) -> bool {
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    let broken: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    bytes.iter().any(control) || broken * 8 > bytes.len()
}

pub(super) fn wrong(path: &Path, expected: &'static str, why: ContentError) -> InputError {
    InputError::NotWhatItShouldBe { path: path.to_owned(), expected, why }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"pg_ssl = on # f\xfcr Kong\r\n", false)]
    #[case(b"\x7fELF\x02\x01", true)]
    #[case(b"\x89\xfa\xc3\xd0", true)]
    #[case(b"", false)]
    fn what_is_no_text_is_noticed(#[case] bytes: &[u8], #[case] expected: bool) {
        assert_eq!(is_binary(bytes), expected);
    }
}
