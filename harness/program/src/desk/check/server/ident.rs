//! pg_ident.conf: which name of a certificate may be which user.

use std::path::Path;

use regex::Regex;

use super::super::fault::Place;
use super::super::input::InputError;
use super::tokens::{self, Word};

/// A line.
#[derive(Debug)]
pub(in super::super) struct IdentLine {
    pub(in super::super) place: Place,
    /// The map.
    pub(in super::super) map: String,
    system: Word,
    user: Word,
    /// What is wrong with it.
    pub(in super::super) wrong: Option<String>,
}

/// Reads pg_ident.conf.
///
/// # Errors
/// The file cannot be read.
pub(in super::super) fn read(path: &Path) -> Result<Vec<IdentLine>, InputError> {
    let lines = tokens::read(path)?;
    Ok(lines.into_iter().map(IdentLine::from).collect())
}

impl From<tokens::Line> for IdentLine {
    fn from(line: tokens::Line) -> Self {
        let mut words = line.fields.into_iter().filter_map(|field| field.into_iter().next());
        let mut next = || words.next();
        let (map, system, user) = (next(), next(), next());
        let whole = user.is_some();
        let empty = || Word { text: String::new(), quoted: false };
        let system = system.unwrap_or_else(empty);
        // What PostgreSQL's expressions can do besides begins with `(?`, or refers back.
        let readable = |expression: &&str| !expression.contains("(?");
        let bad = system.text.strip_prefix('/').filter(readable).and_then(|expression| Regex::new(expression).err());
        Self {
            place: line.place,
            map: map.unwrap_or_else(empty).text,
            wrong: if whole {
                bad.map(|_| "the expression cannot be read".into())
            } else {
                Some("a field is missing".into())
            },
            system,
            user: user.unwrap_or_else(empty),
        }
    }
}

impl IdentLine {
    /// Whether it lets the owner of a certificate with that name be a user. `None` if only the server knows.
    pub(in super::super) fn allows(&self, name: &str, user: &str, major: u16) -> Option<bool> {
        if self.wrong.is_some() {
            return Some(false);
        }
        let mut wanted = self.user.text.clone();
        match self.system.text.strip_prefix('/') {
            Some(expression) => {
                let Ok(expression) = Regex::new(expression) else { return None };
                let Some(found) = expression.captures(name) else { return Some(false) };
                if wanted.contains("\\1") {
                    let Some(group) = found.get(1) else { return Some(false) };
                    wanted = wanted.replacen("\\1", group.as_str(), 1);
                }
            }
            None if self.system.text != name => return Some(false),
            None => {}
        }
        // Since PostgreSQL 16 the user may be all, a member of a role, or match an expression.
        if major >= 16 && !self.user.quoted {
            if wanted == "all" {
                return Some(true);
            }
            if wanted.starts_with('+') {
                return None;
            }
            if let Some(expression) = wanted.strip_prefix('/') {
                return Some(Regex::new(expression).is_ok_and(|expression| expression.is_match(user)));
            }
        }
        Some(wanted == user)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("m foo@example.com kong", "foo@example.com", 15, Some(true))]
    #[case("m foo@example.com kong", "Foo@example.com", 15, Some(false))]
    #[case("m /^(.*)@example\\.com$ \\1", "kong@example.com", 15, Some(true))]
    #[case("m /^(.*)@example\\.com$ \\1", "other@example.com", 15, Some(false))]
    #[case("m /@example\\.com$ \\1", "kong@example.com", 15, Some(false))]
    #[case("m foo all", "foo", 15, Some(false))]
    #[case("m foo all", "foo", 16, Some(true))]
    #[case("m foo +kongs", "foo", 16, None)]
    #[case("m foo /^k", "foo", 16, Some(true))]
    #[case("m foo", "foo", 16, Some(false))]
    fn a_line_maps_a_name_to_a_user(
        #[case] line: &str,
        #[case] name: &str,
        #[case] major: u16,
        #[case] expected: Option<bool>,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pg_ident.conf");
        std::fs::write(&path, line).expect("a file");
        assert_eq!(read(&path).expect("lines")[0].allows(name, "kong", major), expected);
    }
}
