//! The form of `releases.toml` and of files like it, and what may be wrong in one.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::generation::{Generation, X509Library};
use crate::openssl_line::OpensslLine;
use crate::profile::{AnyStartsAt, Edition, Profile};
use crate::stack::Stack;

/// The numbers of a version.
pub(super) type Version = Vec<u32>;

/// The largest file that is read, in bytes; the built-in one has 15 kB.
const LIMIT: u64 = 1024 * 1024;

/// Why a file of releases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleasesError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is not a file, or larger than any list of releases.
    #[error("{} is not a file of releases: {why}", path.display())]
    NotOne {
        /// The file.
        path: PathBuf,
        /// Why it is not.
        why: &'static str,
    },
    /// Something in it is wrong.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// Where it is, counted from 1.
        line: usize,
        /// Where it is in the line, in characters, counted from 1.
        column: usize,
        /// What is wrong.
        #[source]
        problem: Problem,
    },
}

/// What is wrong in a file of releases.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not TOML, or has keys or values that a release does not have.
    #[error("{}", .0.message())]
    Form(Box<toml::de::Error>),
    /// A row has no edition.
    #[error("a release needs an edition, which is oss or enterprise")]
    NoEdition,
    /// A row lacks a fact.
    #[error("the release has no `{0}`, and is like none that has")]
    NoFact(&'static str),
    /// A row builds on another one that is not there.
    #[error("no release before this one is called `{0}`; a name looks like 3.9-oss or 3.10.0.9-enterprise")]
    Like(String),
    /// A fact comes from a source that is not in the list of sources.
    #[error("`{fact}` is from `{source_name}`, which is not in [sources]")]
    Source {
        /// The fact.
        fact: &'static str,
        /// What it names.
        source_name: String,
    },
    /// A version is not one.
    #[error("`{0}` is not a version of Kong; one looks like 3.9 or 3.10.0.9")]
    Version(String),
}

impl ReleasesError {
    pub(super) fn of_toml(path: &Path, text: &str, error: toml::de::Error) -> Self {
        let span = error.span().unwrap_or_default();
        Self::fault(path, text, span, Problem::Form(error.into()))
    }

    pub(super) fn of_problem(path: &Path, text: &str, problem: Spanned<Problem>) -> Self {
        Self::fault(path, text, problem.span(), problem.into_inner())
    }

    fn fault(path: &Path, text: &str, span: Range<usize>, problem: Problem) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::Fault { path: path.to_owned(), line, column, problem }
    }
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<String, ReleasesError> {
    let failed = |source| ReleasesError::Read { path: path.to_owned(), source };
    let not_one = |why| ReleasesError::NotOne { path: path.to_owned(), why };
    // A pipe without a writer would be waited for.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(not_one("it is no regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(not_one("it is larger than 1 MB"));
    }
    String::from_utf8(bytes).map_err(|_| not_one("it is not text"))
}

/// The numbers of a version, if it is one.
pub(super) fn numbers(version: &str) -> Option<Version> {
    let numbers: Option<Vec<_>> = version.split('.').map(|number| number.parse().ok()).collect();
    numbers.filter(|numbers| numbers.len() > 1)
}

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) sources: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) release: Vec<Row>,
    #[serde(default)]
    pub(super) driver: Vec<Row>,
}

/// A fact and where it is from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fact<T> {
    is: T,
    from: Spanned<String>,
}

/// Declares a row and its facts.
macro_rules! row {
    ($($fact:ident: $type:ty),* $(,)?) => {
        /// A row: a release, from one of its patches on, or a driver. It may leave out facts of the row that it is like.
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Row {
            pub(super) name: Spanned<String>,
            edition: Option<Edition>,
            since: Option<Spanned<String>>,
            pub(super) like: Option<Spanned<String>>,
            $($fact: Option<Fact<$type>>,)*
        }

        impl Row {
            /// The same with the facts of another row where it states none.
            pub(super) fn or(self, base: Self) -> Self {
                Self { $($fact: self.$fact.or(base.$fact),)* ..self }
            }

            /// The facts with their sources.
            pub(super) fn sources(&self) -> impl Iterator<Item = (&'static str, &Spanned<String>)> {
                [$(self.$fact.as_ref().map(|fact| (stringify!($fact), &fact.from)),)*].into_iter().flatten()
            }
        }
    };
}

row! {
    openssl: OpensslLine,
    command_line: Stack,
    driver: Generation,
    x509_library: X509Library,
    finds_tls_session: bool,
    pg_ssl_verify: bool,
    pg_ssl_version: String,
    pg_ssl_version_values: Vec<String>,
    any_starts_at: AnyStartsAt,
    lua_ssl_trusted_certificate: String,
    lua_ssl_protocols: String,
    lua_ssl_verify_depth: u32,
    ignored: Vec<String>,
    not_inherited: Vec<String>,
    postgres: (u16, u16),
    end_of_life: String,
}

impl Row {
    /// Its edition, which a release must have.
    pub(super) fn edition(&self) -> Result<Edition, Spanned<Problem>> {
        self.edition.ok_or_else(|| Spanned::new(self.name.span(), Problem::NoEdition))
    }

    /// The line of releases that it belongs to.
    pub(super) fn line(&self) -> Result<Version, Spanned<Problem>> {
        version(&self.name)
    }

    /// The patch from which on it holds; none, if it holds from the first one on.
    pub(super) fn since(&self) -> Result<Version, Spanned<Problem>> {
        self.since.as_ref().map_or(Ok(Version::new()), version)
    }

    /// The release that a complete row describes.
    pub(super) fn into_profile(self, name: String, edition: Edition) -> Result<Profile, Spanned<Problem>> {
        /// The value of a fact that every release needs.
        macro_rules! fact {
            ($fact:ident) => {
                match self.$fact {
                    Some(fact) => fact.is,
                    None => return Err(Spanned::new(self.name.span(), Problem::NoFact(stringify!($fact)))),
                }
            };
        }
        Ok(Profile {
            name,
            edition,
            openssl: fact!(openssl),
            command_line: fact!(command_line),
            driver: fact!(driver),
            x509_library: fact!(x509_library),
            finds_tls_session: fact!(finds_tls_session),
            ssl_verify: fact!(pg_ssl_verify),
            ssl_version: fact!(pg_ssl_version),
            ssl_version_values: fact!(pg_ssl_version_values),
            any_starts_at: fact!(any_starts_at),
            trusted: fact!(lua_ssl_trusted_certificate),
            protocols: fact!(lua_ssl_protocols),
            verify_depth: fact!(lua_ssl_verify_depth),
            ignored: fact!(ignored),
            not_inherited: fact!(not_inherited),
            postgres: self.postgres.map(|fact| fact.is),
            end_of_life: self.end_of_life.map(|fact| fact.is).filter(|day| !day.is_empty()),
        })
    }
}

fn version(text: &Spanned<String>) -> Result<Version, Spanned<Problem>> {
    numbers(text.get_ref()).ok_or_else(|| Spanned::new(text.span(), Problem::Version(text.get_ref().clone())))
}
