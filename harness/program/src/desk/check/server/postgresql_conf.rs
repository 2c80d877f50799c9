//! postgresql.conf, read as the server reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::fault::Place;
use super::super::input::{InputError, read_included, read_text};

/// The settings of a postgresql.conf and of the files that it includes.
#[derive(Debug)]
pub(in super::super) struct PostgresqlConf {
    /// The file.
    pub(in super::super) place: Place,
    settings: BTreeMap<String, (String, Place)>,
    /// Files that it includes and that are not here.
    pub(in super::super) not_found: Vec<(Place, PathBuf)>,
    folder: PathBuf,
}

impl PostgresqlConf {
    pub(in super::super) fn read(path: &Path) -> Result<Self, InputError> {
        let mut conf = Self {
            place: Place::file(path.display().to_string()),
            settings: BTreeMap::new(),
            not_found: Vec::new(),
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        };
        conf.add(path, &read_text(path)?, 0)?;
        Ok(conf)
    }

    /// The settings of a running server, each with its value and where it is written.
    pub(in super::super) fn in_force(settings: impl Iterator<Item = (String, String, Place)>) -> Self {
        Self {
            place: Place::file("the server's settings"),
            settings: settings.map(|(name, value, place)| (name, (value, place))).collect(),
            not_found: Vec::new(),
            folder: PathBuf::new(),
        }
    }

    fn add(&mut self, path: &Path, text: &str, depth: usize) -> Result<(), InputError> {
        let file = path.display().to_string();
        for (number, line) in (1..).zip(text.lines()) {
            let place = Place::line(&file, number);
            let Some((name, value)) = setting(line) else { continue };
            let folder = path.parent().unwrap_or(Path::new(""));
            match name.as_str() {
                "include" | "include_if_exists" => {
                    self.include(&folder.join(&value), &place, depth + 1, name == "include")?;
                }
                "include_dir" => self.include_folder(&folder.join(&value), &place, depth + 1)?,
                _ => {
                    self.settings.insert(name, (value, place));
                }
            }
        }
        Ok(())
    }

    /// Reads an included file, which is so many files deep.
    fn include(&mut self, path: &Path, place: &Place, depth: usize, must_exist: bool) -> Result<(), InputError> {
        match read_included(path, depth) {
            Ok(text) => self.add(path, &text, depth)?,
            Err(error @ InputError::Nested(_)) => return Err(error),
            Err(_) if must_exist => self.not_found.push((place.clone(), path.to_owned())),
            Err(_) => {}
        }
        Ok(())
    }

    fn include_folder(&mut self, folder: &Path, place: &Place, depth: usize) -> Result<(), InputError> {
        let Ok(entries) = std::fs::read_dir(folder) else {
            self.not_found.push((place.clone(), folder.to_owned()));
            return Ok(());
        };
        let is_conf = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            path.extension().is_some_and(|extension| extension == "conf") && !name.starts_with('.')
        };
        let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_conf).collect();
        files.sort();
        files.iter().try_for_each(|file| self.include(file, place, depth, true))
    }

    /// The value of a setting; `None` if it is not set, or empty.
    pub(in super::super) fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Where a setting is written, or else the file.
    pub(in super::super) fn place_of(&self, name: &str) -> &Place {
        self.settings.get(name).map_or(&self.place, |(_, place)| place)
    }

    /// Whether a switch is on, by the server's rules: any unique beginning of `on`, `true`, `yes`, or `1`.
    pub(in super::super) fn is_on(&self, name: &str) -> bool {
        let value = self.get(name).unwrap_or_default().to_lowercase();
        let begins = |word: &str, at_least: usize| value.len() >= at_least && word.starts_with(&value);
        value == "1" || begins("true", 1) || begins("yes", 1) || value == "on"
    }

    /// Where a file is that a setting names; relative names are below the data directory.
    pub(in super::super) fn path(&self, value: &str) -> PathBuf {
        let data = self.get("data_directory").map(PathBuf::from).filter(|folder| folder.is_dir());
        data.unwrap_or_else(|| self.folder.clone()).join(value)
    }

    /// Whether the folder of the files is certain to be the data directory.
    pub(in super::super) fn is_in_data_directory(&self) -> bool {
        self.path("PG_VERSION").exists()
    }
}

/// The name and value of a line: `name = value`, `name value`, the value in single quotes or without.
fn setting(line: &str) -> Option<(String, String)> {
    let line = line.trim_start();
    let ends = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$'))).unwrap_or(line.len());
    let (name, rest) = line.split_at(ends);
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => unescape(quoted),
        None => rest.split(|c: char| c.is_whitespace() || c == '#').next().unwrap_or_default().to_owned(),
    };
    Some((name.to_lowercase(), value))
}

/// What is in single quotes, in which `''` and `\'` stand for a quote.
fn unescape(text: &str) -> String {
    let mut value = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' if characters.peek() == Some(&'\'') => value.extend(characters.next()),
            '\'' => break,
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ssl = on", Some(("ssl", "on")))]
    #[case("SSL on # comment", Some(("ssl", "on")))]
    #[case("  ssl_ca_file='root.crt'\t# comment", Some(("ssl_ca_file", "root.crt")))]
    #[case("ssl_ca_file = 'it''s # here'", Some(("ssl_ca_file", "it's # here")))]
    #[case("# ssl = on", None)]
    #[case("", None)]
    fn a_line_is_read_as_the_server_reads_it(#[case] line: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(setting(line), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_last_line_counts_and_included_files_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("postgresql.conf");
        std::fs::create_dir(folder.path().join("conf.d")).expect("a folder");
        std::fs::write(folder.path().join("conf.d/tls.conf"), "ssl = yes\n").expect("a file");
        std::fs::write(&path, "ssl = off\ninclude_dir 'conf.d'\ninclude 'missing.conf'\n").expect("a file");
        let conf = PostgresqlConf::read(&path).expect("a configuration");
        assert!(conf.is_on("ssl"));
        assert_eq!(conf.place_of("ssl").line, Some(1));
        assert!(conf.place_of("ssl").file.ends_with("tls.conf"));
        assert_eq!(conf.not_found.len(), 1);
    }

    #[test]
    fn a_file_that_includes_itself_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("postgresql.conf");
        std::fs::write(&path, "include 'postgresql.conf'\n".repeat(100)).expect("a file");
        assert!(matches!(PostgresqlConf::read(&path), Err(InputError::Nested(file)) if file == path));
    }
}
