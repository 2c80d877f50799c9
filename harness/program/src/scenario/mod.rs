//! From YAML to a suite in which every case is whole: both configurations, certificates, and what must happen.
//!
//! Everything that is wrong in the files is found here, at once, each fault with its place; nothing is started for it.

mod axes;
mod cases;
mod differences;
mod documents;
mod expectation;
mod files;
mod library;
mod model;
mod outcome;
mod outcomes;
mod proxy;
mod schema;
pub(crate) mod setting;
mod situation;
mod source;
mod template;
mod texts;
mod trees;
mod yaml;

use std::path::Path;
use std::sync::Arc;

pub use differences::{ClientOutcome, Difference, DifferenceEntry, DifferencesFile, Divergence};
pub use documents::{Claim, ClaimsFile, Document, Documented, Where, Would};
pub use expectation::{Expectation, Expected, KongSays};
pub use model::{Only, Scenario as ScenarioFile};
pub use outcome::{Connects, KongText, ServerLog};
pub use outcomes::OutcomesFile;
pub use proxy::Proxy;
pub use schema::schema_of;
pub use situation::{Content, KongSide, PlannedFile, ServerSide, Situation};
pub use source::Fault;
pub use texts::{TextContext, Texts, TextsFile};
pub use trees::PkiFile;

use library::Library;
use outcomes::Outcomes;
use trees::Trees;

use kong_pg_client::Profile;

use crate::vocabulary::OpenConnection;

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
}

/// A documented mode and its cases.
#[derive(Debug)]
pub struct Scenario {
    /// `mtls/cert`, the path of its file without the ending.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Its cases, each at each point of the axes.
    pub cases: Vec<Arc<Case>>,
}

/// A situation, and what must happen in it.
#[derive(Debug)]
pub struct Case {
    /// `scenario/path::case-slug`.
    pub id: String,
    /// `scenario/path`.
    pub scenario: String,
    /// The sentence that names it.
    pub name: String,
    /// The file and line it is written at.
    pub place: String,
    /// Claims of the documents it bears on.
    pub claims: Vec<String>,
    /// Users' threads it comes from.
    pub threads: Vec<String>,
    /// Why it is here, if for no claim and no thread.
    pub beyond: Option<String>,
    /// The Kong releases it is about; those that the run is about, if none is named.
    pub releases: Vec<Profile>,
    /// Where it has a meaning.
    pub only: Option<Only>,
    /// Why it has none at its point of the axes.
    pub excluded: Option<String>,
    /// The releases that it has no meaning with, and why not.
    pub excluded_releases: Vec<(Vec<Profile>, String)>,
    /// Where the documents are wrong about it, or silent.
    pub documented: Vec<Arc<Documented>>,
    /// What is configured, and what must happen; more than one where something changes after a first connection, none
    /// where the case has no meaning.
    pub steps: Vec<Step>,
}

/// A configuration, and what must happen when Kong connects.
#[derive(Debug)]
pub struct Step {
    /// Both sides' configuration.
    pub situation: Situation,
    /// How it comes about.
    pub change: Change,
    /// What the server logs of that; `None` where it is not the case's subject.
    pub log: Option<ServerLog>,
    /// What becomes of the first connection, which Kong has kept open.
    pub open_connection: Option<OpenConnection>,
    /// What the server answers to questions of the superuser.
    pub asks: Vec<(String, String)>,
    /// What must happen then; `None` where the case only sets the scene for the next step.
    pub expect: Option<Expectation>,
}

/// How the configuration of a step comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is the first.
    First,
    /// By a reload of the running server.
    Reload,
    /// By a restart of the server.
    Restart,
    /// It is that of a second server, which Kong's read-only connection goes to.
    ReadOnly,
}

/// Which cases hold the products to which claim, and why the others are here.
#[derive(Debug)]
pub struct Coverage<'s> {
    /// The claims, by id, with their cases.
    pub claims: Vec<(String, Vec<&'s Case>)>,
    /// How many cases are here for a claim.
    pub by_claim: usize,
    /// How many for a user's thread.
    pub by_thread: usize,
    /// How many because of something that was measured.
    pub beyond: usize,
    /// Cases that do not say why they are here.
    pub without_reason: Vec<&'s Case>,
}

impl Coverage<'_> {
    /// Whether every claim has a case, and every case a reason.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.claims.iter().all(|(_, cases)| !cases.is_empty()) && self.without_reason.is_empty()
    }
}

/// What the scenarios of a suite share.
struct Shared {
    trees: Trees,
    texts: Texts,
    outcomes: Outcomes,
    claims: ClaimsFile,
}

impl Suite {
    /// The suite that is built into the program.
    pub fn built_in() -> Result<Self, Vec<Fault>> {
        Self::of(&Library::built_in())
    }

    /// The suite of a folder.
    pub fn of_folder(folder: &Path) -> Result<Self, Vec<Fault>> {
        Self::of(&Library::of_folder(folder)?)
    }

    fn of(library: &Library) -> Result<Self, Vec<Fault>> {
        let trees = Trees::read(&library.pki);
        let texts = schema::read::<TextsFile>(&library.texts);
        let outcomes = schema::read::<OutcomesFile>(&library.outcomes);
        let claims = schema::read::<ClaimsFile>(&library.claims);
        let shared = match (trees, texts, outcomes, claims) {
            (Ok(trees), Ok(texts), Ok(outcomes), Ok(claims)) => {
                Shared { trees, texts: Texts(texts.texts), outcomes: Outcomes(outcomes.outcomes), claims }
            }
            (trees, texts, outcomes, claims) => {
                let faults = [trees.err(), texts.err(), outcomes.err(), claims.err()];
                return Err(faults.into_iter().flatten().flatten().collect());
            }
        };
        let mut scenarios = Vec::new();
        let mut faults = Vec::new();
        for file in &library.scenarios {
            match schema::read::<ScenarioFile>(&file.source)
                .and_then(|scenario| cases::read(&file.id, &file.source, &scenario, &shared))
            {
                Ok((title, cases)) => scenarios.push(Scenario { id: file.id.clone(), title, cases }),
                Err(wrong) => faults.extend(wrong),
            }
        }
        faults.sort();
        faults.dedup();
        if !faults.is_empty() {
            return Err(faults);
        }
        let cases: Vec<_> = scenarios.iter().flat_map(|scenario: &Scenario| scenario.cases.clone()).collect();
        let differences = differences::read(&library.differences, &cases)?;
        Ok(Self { scenarios, texts: Arc::new(shared.texts), claims: shared.claims, differences })
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

    /// Which cases hold the products to which claim, and why the others are here.
    #[must_use]
    pub fn coverage(&self) -> Coverage<'_> {
        let cases: Vec<_> = self.cases().map(AsRef::as_ref).collect();
        let of = |id: &str| cases.iter().copied().filter(|case| case.claims.iter().any(|claim| claim == id)).collect();
        let claims = self.claims.claims().map(|(id, ..)| (id.clone(), of(&id))).collect();
        let mut coverage = Coverage { claims, by_claim: 0, by_thread: 0, beyond: 0, without_reason: Vec::new() };
        for case in cases {
            match case {
                Case { claims, .. } if !claims.is_empty() => coverage.by_claim += 1,
                Case { threads, .. } if !threads.is_empty() => coverage.by_thread += 1,
                Case { beyond: Some(_), .. } => coverage.beyond += 1,
                _ => coverage.without_reason.push(case),
            }
        }
        coverage
    }

    /// All cases, in order.
    pub fn cases(&self) -> impl Iterator<Item = &Arc<Case>> {
        self.scenarios.iter().flat_map(|scenario| &scenario.cases)
    }
}
