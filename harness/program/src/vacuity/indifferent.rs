//! The cells that are meant to pass whatever is broken, and the texts that no cell depends on, each with the reason.

use std::path::Path;

use kong_pg_scenarios::load::{Fault, Source, read};
use kong_pg_scenarios::vocabulary::Globs;
use schemars::JsonSchema;
use serde::Deserialize;

/// The file of this program.
const BUILT_IN: &str = include_str!("indifferent.yaml");

/// The entries of `indifferent.yaml`.
#[derive(Debug, Default)]
pub struct Indifferent {
    cells: Vec<(CellEntry, Globs)>,
    texts: Vec<(TextEntry, Globs)>,
}

/// Cells that no mutation makes fail.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CellEntry {
    /// A glob for their ids, without what comes after `@`.
    cases: String,
    /// Why that is right.
    because: String,
}

/// Passages of outcomes.yaml and texts.yaml of which no cell notices a changed word.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TextEntry {
    /// A glob for them, as they are listed.
    texts: String,
    /// Why that is right.
    because: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IndifferentFile {
    indifferent: Vec<CellEntry>,
    #[serde(default)]
    texts: Vec<TextEntry>,
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
        let globs =
            |glob: &String| Globs::new(std::slice::from_ref(glob)).expect("the globs of indifferent.yaml are globs");
        let cells = file.indifferent.into_iter().map(|entry| (entry.clone(), globs(&entry.cases)));
        let texts = file.texts.into_iter().map(|entry| (entry.clone(), globs(&entry.texts)));
        Ok(Self { cells: cells.collect(), texts: texts.collect() })
    }

    /// Why the cells of a case may pass whatever is broken.
    pub(super) fn reason(&self, case: &str) -> Option<&str> {
        self.cells.iter().find(|(_, globs)| globs.is_match(case)).map(|(entry, _)| entry.because.as_str())
    }

    /// Why no cell needs to notice a changed word of a passage.
    pub(super) fn reason_for_text(&self, passage: &str) -> Option<&str> {
        self.texts.iter().find(|(_, globs)| globs.is_match(passage)).map(|(entry, _)| entry.because.as_str())
    }

    /// The globs of the entries about cells.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Globs)> {
        self.cells.iter().map(|(entry, globs)| (entry.cases.as_str(), globs))
    }

    /// The globs of the entries about texts.
    pub(super) fn text_entries(&self) -> impl Iterator<Item = (&str, &Globs)> {
        self.texts.iter().map(|(entry, globs)| (entry.texts.as_str(), globs))
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
