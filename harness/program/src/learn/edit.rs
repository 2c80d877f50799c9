//! Learned wordings into texts.yaml. Everything else in the file stays as it is written.

use std::ops::Range;
use std::path::{Path, PathBuf};

use kong_pg_scenarios::format::{TextsFile, Wording};
use kong_pg_scenarios::load::{Fault, Source, key, read};
use kong_pg_scenarios::suite::{TextVersion, Texts};
use kong_pg_scenarios::vocabulary::{OpensslRange, PostgresRange};

use super::{Learned, LearnedWording};

/// Why texts.yaml was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
    /// It is written in a way that cannot be added to.
    #[error("{}: cannot add {version} to `{text}`; write it by hand", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// The text.
        text: String,
        /// The version.
        version: TextVersion,
    },
}

/// A text that takes the place of another.
struct Edit {
    place: Range<usize>,
    new: String,
}

/// Writes what was learned into a file.
///
/// # Errors
/// If the file cannot be read, cannot be added to or cannot be written.
pub fn write(learned: &Learned, path: &Path) -> Result<(), EditError> {
    let io = |what| move |source| EditError::Io { what, path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io("read"))?;
    let made = edited(learned, path, &text)?;
    std::fs::write(path, made).map_err(io("write"))
}

/// The text of the file with what was learned.
fn edited(learned: &Learned, path: &Path, text: &str) -> Result<String, EditError> {
    let mut made = Source::new(path.to_owned(), text.to_owned());
    for wording in &learned.wordings {
        let place = || EditError::Place { path: path.to_owned(), text: wording.text.clone(), version: wording.version };
        let Edit { place, new } = edit(&made, wording).ok_or_else(place)?;
        let mut text = made.text;
        text.replace_range(place, &new);
        made = Source::new(path.to_owned(), text);
    }
    let sources = learned.sources.iter().map(|(version, source)| format!("# {version}: measured, {source}\n"));
    let before = made.extent_of_key(&[key("texts")]).map_or(0, |place| place.start);
    made.text.insert_str(before, &sources.collect::<String>());
    // What is written is what was learned, or nothing is.
    let file = read::<TextsFile>(&Source::new(path.to_owned(), made.text.clone())).map_err(EditError::Faults)?;
    let texts = Texts(file.texts);
    match learned.wordings.iter().find(|learned| texts.get(&learned.text, learned.version) != Some(&learned.wording)) {
        None => Ok(made.text),
        Some(LearnedWording { text, version, .. }) => {
            Err(EditError::Place { path: path.to_owned(), text: text.clone(), version: *version })
        }
    }
}

/// The edit that adds a version: to the range of a version next to it that has the same wording, or as a new entry.
fn edit(source: &Source, learned: &LearnedWording) -> Option<Edit> {
    let by = match learned.version {
        TextVersion::Postgres(_) => "postgres",
        TextVersion::Openssl(_) => "openssl",
    };
    let path = [key("texts"), key(&learned.text), key(by)];
    let file = read::<TextsFile>(source).ok()?;
    let text = file.texts.get(&learned.text)?;
    let versions = text.postgres.as_ref().or(text.openssl.as_ref())?;
    for (range, wording) in versions {
        if let Some(extended) = extended(range, learned.version).filter(|_| *wording == learned.wording) {
            let place = source.extent_of_key(&[&path[..], &[key(range)]].concat())?;
            return Some(Edit { place, new: quoted_key(&extended) });
        }
    }
    let place = source.extent(&path)?;
    let entry = quoted_key(&match learned.version {
        TextVersion::Postgres(major) => major.to_string(),
        TextVersion::Openssl(line) => line.to_string(),
    });
    let is_flow = source.text[place.clone()].starts_with('{');
    if is_flow {
        let inside = source.text[..place.end].strip_suffix('}')?.trim_end().len();
        let separator = if versions.is_empty() { "" } else { ", " };
        let new = format!("{separator}{entry}: {}", in_one_line(&learned.wording));
        return Some(Edit { place: inside..inside, new });
    }
    let (first, _) = versions.first()?;
    let first = source.extent_of_key(&[&path[..], &[key(first)]].concat())?.start;
    let indent = first - source.text[..first].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = " ".repeat(indent);
    let new = match &learned.wording {
        Wording::Lines(lines) if lines.len() > 1 => {
            let lines = lines.iter().map(|line| format!("\n{indent}  - {}", quoted(line)));
            format!("\n{indent}{entry}:{}", lines.collect::<String>())
        }
        wording => format!("\n{indent}{entry}: {}", in_one_line(wording)),
    };
    Some(Edit { place: place.end..place.end, new })
}

fn extended(range: &str, version: TextVersion) -> Option<String> {
    match version {
        TextVersion::Postgres(major) => Some(range.parse::<PostgresRange>().ok()?.extended(major)?.to_string()),
        TextVersion::Openssl(line) => Some(range.parse::<OpensslRange>().ok()?.extended(line)?.to_string()),
    }
}

/// A range as a key: YAML takes `18` and `3.6` for numbers.
fn quoted_key(range: &str) -> String {
    if range.parse::<f64>().is_ok() { format!("\"{range}\"") } else { range.to_owned() }
}

fn in_one_line(wording: &Wording) -> String {
    match wording {
        Wording::Line(line) => quoted(line),
        Wording::Lines(lines) => format!("[{}]", lines.iter().map(|line| quoted(line)).collect::<Vec<_>>().join(", ")),
    }
}

/// A scalar: as it is if it consists of words, otherwise in JSON's quotes, which are YAML's as well.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(char::is_alphabetic)
        && text.chars().all(|character| character.is_alphanumeric() || " -./".contains(character))
        && !text.ends_with(' ')
        && !["on", "off", "yes", "no", "true", "false", "null"].contains(&text);
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use postgres_tls_server::Major;

    use super::*;

    const FILE: &str = "\
# Where the ranges are from.
texts:
  encryption:   # a comment
    about: It is said in errors.
    postgres: { \"13\": SSL off, 14-17: no encryption }   # another

  log:
    about: Whole lines.
    arguments: [why]
    postgres:
      13-16: [\"LOG:  {why}\"]
      # since the beginning
      \"17\":
        - \"LOG:  {why}\"
        - \"HINT:  none\"
    # the end of it
  list: { about: A list., postgres: { 13-17: a } }
  new: { about: Of no version so far., postgres: {} }
";

    fn with(learned: &[(&str, u16, Wording)]) -> String {
        let wording = |(text, major, wording): &(&str, u16, Wording)| LearnedWording {
            text: (*text).to_owned(),
            version: TextVersion::Postgres(Major(*major)),
            wording: wording.clone(),
            cells: 1,
            is_new: false,
        };
        let learned = Learned {
            wordings: learned.iter().map(wording).collect(),
            unexplained: Vec::new(),
            other_failures: 0,
            sources: vec![(TextVersion::Postgres(Major(18)), "PostgreSQL 18.1 with OpenSSL 3.6.0".into())],
        };
        edited(&learned, Path::new("texts.yaml"), FILE).unwrap_or_else(|error| panic!("{error}"))
    }

    fn lines<const N: usize>(lines: [&str; N]) -> Wording {
        Wording::Lines(lines.map(str::to_owned).to_vec())
    }

    /// The lines that are different, and the source that is added to both.
    fn changed(made: &str) -> Vec<String> {
        let made = made.replace("# PostgreSQL 18: measured, PostgreSQL 18.1 with OpenSSL 3.6.0\n", "");
        assert!(FILE.lines().filter(|line| line.contains('#')).all(|line| {
            let comment = &line[line.find('#').unwrap_or_default()..];
            made.contains(comment)
        }));
        made.lines().filter(|line| !FILE.lines().any(|known| known == *line)).map(str::to_owned).collect()
    }

    #[test]
    fn a_wording_of_the_version_before_extends_its_range() {
        let made = with(&[("encryption", 18, Wording::Line("no encryption".into()))]);
        assert_eq!(changed(&made), ["    postgres: { \"13\": SSL off, 14-18: no encryption }   # another"]);
        assert!(made.starts_with("# Where the ranges are from.\n# PostgreSQL 18: measured, PostgreSQL 18.1"), "{made}");
        let made = with(&[("log", 18, lines(["LOG:  {why}", "HINT:  none"]))]);
        assert_eq!(changed(&made), ["      17-18:"]);
    }

    #[test]
    fn another_wording_becomes_an_entry_of_its_own() {
        let made = with(&[
            ("encryption", 18, Wording::Line("SSL off".into())),
            ("log", 18, lines(["LOG:  {why}: \"x\"", "DETAIL:  none"])),
            ("list", 18, Wording::Line("on".into())),
            ("new", 18, Wording::Line("b".into())),
        ]);
        let expected = [
            "    postgres: { \"13\": SSL off, 14-17: no encryption, \"18\": SSL off }   # another",
            "      \"18\":",
            "        - \"LOG:  {why}: \\\"x\\\"\"",
            "        - \"DETAIL:  none\"",
            "  list: { about: A list., postgres: { 13-17: a, \"18\": \"on\" } }",
            "  new: { about: Of no version so far., postgres: {\"18\": b} }",
        ];
        assert_eq!(changed(&made), expected);
    }

    #[test]
    fn versions_in_between_are_not_claimed() {
        let made = with(&[("log", 20, lines([])), ("encryption", 20, Wording::Line("no encryption".into()))]);
        let expected = [
            "    postgres: { \"13\": SSL off, 14-17: no encryption, \"20\": no encryption }   # another",
            "      \"20\": []",
        ];
        assert_eq!(changed(&made), expected);
    }
}
