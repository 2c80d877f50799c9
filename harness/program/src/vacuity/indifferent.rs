//! The cells that are meant to pass whatever is broken, each with the reason.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::load::{Fault, Source, read};
use crate::vocabulary::{BadGlob, Globs};

/// The file of this program.
const BUILT_IN: &str = include_str!("indifferent.yaml");

/// The entries of `indifferent.yaml`.
#[derive(Debug, Default)]
pub struct Indifferent(Vec<(Entry, Globs)>);

/// Cells that no mutation makes fail.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// A glob for their ids, without what comes after `@`.
    cases: String,
    /// Why that is right.
    because: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IndifferentFile {
    indifferent: Vec<Entry>,
}

impl Indifferent {
    /// The entries that belong to the built-in scenarios.
    ///
    /// # Panics
    /// If the file in the program is malformed, which a test excludes.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    pub(super) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let source = Source::new(Path::new("indifferent.yaml").to_owned(), text.to_owned());
        let file: IndifferentFile = read(&source)?;
        let with_globs = |entry: Entry| Ok((entry.clone(), Globs::new(&[entry.cases])?));
        let entries: Result<_, BadGlob> = file.indifferent.into_iter().map(with_globs).collect();
        Ok(Self(entries.expect("the globs of indifferent.yaml are globs")))
    }

    /// Why the cells of a case may pass whatever is broken.
    pub(super) fn reason(&self, case: &str) -> Option<&str> {
        self.0.iter().find(|(_, globs)| globs.is_match(case)).map(|(entry, _)| entry.because.as_str())
    }

    /// The globs of entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Globs)> {
        self.0.iter().map(|(entry, globs)| (entry.cases.as_str(), globs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_file_is_well_formed() {
        assert!(Indifferent::parse(BUILT_IN).is_ok());
    }

    #[test]
    fn an_entry_is_about_the_cases_that_its_glob_matches() {
        let file = "indifferent: [{ cases: 'a::*', because: it is a control }]";
        let indifferent = Indifferent::parse(file).expect("a file");
        assert_eq!(indifferent.reason("a::b"), Some("it is a control"));
        assert_eq!(indifferent.reason("b::b"), None);
    }
}
