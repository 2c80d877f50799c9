//! The cases of a suite once more, with another outcome in the place of one of `outcomes.yaml`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::assemble::shared;
use super::case::Case;
use super::compile::{self, Shared};
use super::texts::Texts;
use crate::format::{NamedOutcome, Scenario as ScenarioFile};
use crate::load::{Fault, Format, Library, Source};
use kong_pg_client::Releases;

/// The scenarios of a suite as they were read.
pub struct Recompiler {
    files: Vec<File>,
    shared: Shared,
    /// Whether the outcomes are for these scenarios, and not those of the built-in ones.
    owns_outcomes: bool,
}

struct File {
    id: String,
    source: Source,
    /// Its text on one line, as a name in it may go over several.
    text: String,
    scenario: ScenarioFile,
}

impl Recompiler {
    /// Reads the scenarios of a folder, or the built-in ones.
    ///
    /// # Errors
    /// Everything that is wrong in the files themselves.
    pub fn read(folder: Option<&Path>, releases: Releases) -> Result<Self, Vec<Fault>> {
        let library = folder.map_or_else(|| Ok(Library::built_in()), Library::of_folder)?;
        let shared = shared(&library, releases)?;
        let owns_outcomes = !library.is_of_folder || library.has_outcomes;
        let format = Format::<ScenarioFile>::new();
        let read = library.scenarios.into_iter().map(|file| {
            let scenario = format.read(&file.source)?;
            let text = file.source.text.split_whitespace().collect::<Vec<_>>().join(" ");
            Ok(File { id: file.id, source: file.source, text, scenario })
        });
        Ok(Self { files: read.collect::<Result<_, Vec<Fault>>>()?, shared, owns_outcomes })
    }

    /// Whether the outcomes are for these scenarios, which should use all of them.
    #[must_use]
    pub fn owns_outcomes(&self) -> bool {
        self.owns_outcomes
    }

    /// The texts of `texts.yaml`.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.shared.texts
    }

    /// The outcomes of `outcomes.yaml`.
    #[must_use]
    pub fn outcomes(&self) -> &IndexMap<String, NamedOutcome> {
        self.shared.outcomes.named()
    }

    /// The releases of Kong that cases may name.
    #[must_use]
    pub fn releases(&self) -> &Releases {
        &self.shared.releases
    }

    /// All cases.
    ///
    /// # Errors
    /// Everything that is wrong in them.
    pub fn cases(&self) -> Result<Vec<Arc<Case>>, Vec<Fault>> {
        compiled(self.files.iter(), &self.shared)
    }

    /// The cases of the scenarios that may use an outcome, as they are with another one of its name.
    ///
    /// # Errors
    /// Everything that is wrong in them then.
    pub fn cases_with(&mut self, name: &str, outcome: NamedOutcome) -> Result<Vec<Arc<Case>>, Vec<Fault>> {
        let names = self.leading_to(name);
        let before = self.shared.outcomes.replace(name, outcome);
        let using = self.files.iter().filter(|file| names.iter().any(|name| file.text.contains(name.as_str())));
        let cases = compiled(using, &self.shared);
        if let Some(before) = before {
            self.shared.outcomes.replace(name, before);
        }
        cases
    }

    /// The names of an outcome, and of those that are defined with it.
    fn leading_to(&self, name: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::from([name.to_owned()]);
        loop {
            let more = self.outcomes().iter().filter(|(other, outcome)| {
                let mut expects = outcome.expect.iter().chain(outcome.in_version.values());
                !names.contains(*other) && expects.any(|expect| names.iter().any(|name| is_in(name, expect)))
            });
            let more: Vec<_> = more.map(|(other, _)| other.clone()).collect();
            if more.is_empty() {
                return names;
            }
            names.extend(more);
        }
    }
}

fn compiled<'f>(files: impl Iterator<Item = &'f File>, shared: &Shared) -> Result<Vec<Arc<Case>>, Vec<Fault>> {
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for File { id, source, scenario, .. } in files {
        match compile::compile(id, source, scenario, shared) {
            Ok(more) => cases.extend(more),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(cases) } else { Err(faults) }
}

/// Whether a name is a key or a text of a value.
fn is_in(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => text == name,
        Value::Array(items) => items.iter().any(|item| is_in(name, item)),
        Value::Object(fields) => fields.iter().any(|(key, field)| key == name || is_in(name, field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
