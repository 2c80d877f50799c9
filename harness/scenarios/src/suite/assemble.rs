//! The files of a suite to its cases.

use std::path::Path;
use std::sync::Arc;

use super::case::Case;
use super::compile::{self, Shared};
use super::differences::{self, Difference};
use super::documents;
use super::outcomes::Outcomes;
use super::texts::Texts;
use super::trees::Trees;
use crate::format::{CausesFile, ClaimsFile, Documented, OutcomesFile, Pki, Scenario as ScenarioFile, TextsFile};
use crate::load::{Fault, Format, Library, ScenarioFile as ScenarioSource, read};
use crate::vocabulary::can_match_below;
use certificate_trees::Tree;
use kong_pg_client::Releases;

/// Scenarios, and the texts they share.
#[derive(Debug)]
pub struct Suite {
    /// The scenarios, by path.
    pub scenarios: Vec<Scenario>,
    /// Texts that depend on versions.
    pub texts: Arc<Texts>,
    /// What the documents say.
    pub claims: ClaimsFile,
    /// Where clients that are not Kong part from it.
    pub differences: Vec<Arc<Difference>>,
    /// Symptoms, and the causes behind them.
    pub causes: CausesFile,
    /// The releases of Kong that its cases and a run may name.
    pub releases: Releases,
    trees: Trees,
}

/// A name that no tree of certificates has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no tree of certificates is called `{name}`; there are {}", .known.join(", "))]
pub struct UnknownTree {
    name: String,
    known: Vec<String>,
}

/// A documented mode and its cases.
#[derive(Debug)]
pub struct Scenario {
    /// `mtls/cert`, the path of its file without the ending.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Roles that its servers have besides the suite's own.
    pub roles: Vec<String>,
    /// Databases that they have besides `kong`.
    pub databases: Vec<String>,
    /// Its cases, each at each point of the axes.
    pub cases: Vec<Arc<Case>>,
}

impl Suite {
    /// The suite that is built into the program.
    ///
    /// # Errors
    /// Everything that is wrong in its files.
    pub fn built_in() -> Result<Self, Vec<Fault>> {
        Self::for_globs(None, Releases::built_in().clone(), &[])
    }

    /// Only the causes that are built into the program, which is much faster than the whole suite.
    ///
    /// # Errors
    /// Everything that is wrong in their file.
    pub fn built_in_causes() -> Result<CausesFile, Vec<Fault>> {
        read(&Library::built_in_causes())
    }

    /// The suite of a folder.
    ///
    /// # Errors
    /// Everything that is wrong in its files.
    pub fn of_folder(folder: &Path) -> Result<Self, Vec<Fault>> {
        Self::for_globs(Some(folder), Releases::built_in().clone(), &[])
    }

    /// The suite of a folder, or the built-in one, for these releases of Kong: all of its scenarios, or only those that
    /// may have cells with ids that one of the globs matches. Of the others, nothing is read.
    ///
    /// # Errors
    /// Everything that is wrong in its files.
    pub fn for_globs(folder: Option<&Path>, releases: Releases, globs: &[String]) -> Result<Self, Vec<Fault>> {
        let library = folder.map_or_else(|| Ok(Library::built_in()), Library::of_folder)?;
        let shared = shared(&library, releases)?;
        let mut scenarios = Vec::new();
        let mut faults = Vec::new();
        let format = Format::<ScenarioFile>::new();
        let is_whole = globs.is_empty();
        let is_needed = |file: &&ScenarioSource| {
            is_whole || globs.iter().any(|glob| can_match_below(glob, &format!("{}::", file.id)))
        };
        for file in library.scenarios.iter().filter(is_needed) {
            let compiled = format.read(&file.source).and_then(|scenario| {
                let cases = compile::compile(&file.id, &file.source, &scenario, &shared)?;
                let ScenarioFile { title, roles, databases, .. } = scenario;
                Ok(Scenario { id: file.id.clone(), title, roles, databases, cases })
            });
            match compiled {
                Ok(scenario) => scenarios.push(scenario),
                Err(more) => faults.extend(more),
            }
        }
        faults.sort();
        faults.dedup();
        if !faults.is_empty() {
            return Err(faults);
        }
        let cases: Vec<_> = scenarios.iter().flat_map(|scenario: &Scenario| scenario.cases.clone()).collect();
        let differences = differences::read_differences(&library.differences, is_whole.then_some(&cases[..]))?;
        let texts = Arc::new(shared.texts);
        let (claims, trees, releases) = (shared.claims, shared.trees, shared.releases);
        Ok(Self { scenarios, texts, claims, differences, causes: read(&library.causes)?, releases, trees })
    }

    /// Where the documents are wrong or silent, with the ids of the cases that show it.
    #[must_use]
    pub fn deviations(&self) -> Vec<(&Documented, Vec<&str>)> {
        let mut known = Vec::<(&Documented, Vec<&str>)>::new();
        for case in self.cases() {
            for documented in &case.documented {
                match known.iter_mut().find(|(other, _)| {
                    other.claim == documented.claim
                        && other.says == documented.says
                        && other.happens == documented.happens
                }) {
                    Some((_, cases)) => cases.push(&case.id),
                    None => known.push((documented, vec![&case.id])),
                }
            }
        }
        known
    }

    /// A tree of certificates by its name in pki.yaml.
    ///
    /// # Errors
    /// If there is none of this name; the text names those that there are.
    pub fn tree(&self, name: &str) -> Result<Arc<Tree>, UnknownTree> {
        let unknown = |_| UnknownTree { name: name.to_owned(), known: self.trees.names() };
        self.trees.resolve(&Pki::Named(name.to_owned())).map_err(unknown)
    }

    /// All cases, in order.
    pub fn cases(&self) -> impl Iterator<Item = &Arc<Case>> {
        self.scenarios.iter().flat_map(|scenario| &scenario.cases)
    }
}

/// What the scenarios of a suite share.
pub(super) fn shared(library: &Library, releases: Releases) -> Result<Shared, Vec<Fault>> {
    let trees = Trees::read(&library.pki);
    let texts = read::<TextsFile>(&library.texts);
    let outcomes = read::<OutcomesFile>(&library.outcomes);
    let claims = read::<ClaimsFile>(&library.claims);
    match (trees, texts, outcomes, claims) {
        (Ok(trees), Ok(texts), Ok(outcomes), Ok(claims)) => {
            let problems = documents::check_files(&claims);
            if !problems.is_empty() {
                return Err(problems.into_iter().map(|problem| library.claims.fault(problem)).collect());
            }
            let (texts, mut outcomes) = (Texts(texts.texts), Outcomes::new(outcomes.outcomes));
            if library.is_of_folder && !library.has_outcomes {
                outcomes.accept_any_connection();
            }
            Ok(Shared { trees, texts, outcomes, claims, releases, is_of_folder: library.is_of_folder })
        }
        (trees, texts, outcomes, claims) => {
            let faults = [trees.err(), texts.err(), outcomes.err(), claims.err()];
            Err(faults.into_iter().flatten().flatten().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::vocabulary::Globs;

    #[rstest]
    #[case("tls/*")]
    #[case("tls/on-and-off::*")]
    #[case("tls/on-and-off")]
    #[case("{tls,mtls}/*")]
    #[case("[tm]*/c*::*")]
    #[case("*@pg15*")]
    #[case("nothing/like-it")]
    fn a_suite_for_globs_has_every_case_that_they_match(#[case] glob: &str) {
        let (releases, globs) = (Releases::built_in(), [glob.to_owned()]);
        let matched = |globs: &[String]| {
            let suite = Suite::for_globs(None, releases.clone(), globs).expect("a suite");
            let glob = Globs::new(&[glob.to_owned()]).expect("a glob");
            let ids = suite.cases().map(|case| case.id.clone());
            ids.filter(|id| glob.is_match(id) || glob.is_match(&format!("{id}@pg15"))).collect::<Vec<_>>()
        };
        assert_eq!(matched(&globs), matched(&[]));
    }

    #[test]
    fn a_suite_for_globs_has_no_other_scenario() {
        let releases = Releases::built_in().clone();
        let suite = Suite::for_globs(None, releases, &["tls/on-and-off::*".into()]).expect("a suite");
        assert_eq!(suite.scenarios.iter().map(|scenario| &*scenario.id).collect::<Vec<_>>(), ["tls/on-and-off"]);
    }
}
