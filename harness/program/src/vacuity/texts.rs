//! Whether the texts can fail: each with one word changed, judged again by what a run has observed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kong_pg_scenarios::format::NamedOutcome;
use kong_pg_scenarios::suite::{Case, Recompiler, Texts};
use serde::Serialize;

use super::indifferent::Indifferent;
use super::passage::{Change, Passage, of_outcome, of_text};
use super::recorded::{Effect, Recorded};
use crate::record::Results;

/// Why texts cannot be tried on a run.
#[derive(Debug, thiserror::Error)]
pub enum TextsError {
    /// A cell is not as the scenarios have it.
    #[error("the scenarios are not those of the run: they differ about {0}; run them again")]
    OtherScenarios(String),
    /// No cell passed.
    #[error("no cell of the run passed, so that no text can be tried; run more of the suite")]
    NothingPassed,
}

/// The effect of one changed word in a passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The scenarios cannot be read with it.
    Rejected,
    /// A cell of the run fails with it.
    Fails,
    /// Cells of the run expect it, and none fails.
    Passes,
    /// The record has no observation of the steps that expect it.
    NotRecorded,
    /// No cell of the run expects it.
    NotReached,
    /// No case expects it.
    Unused,
}

/// How many passages there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TextRow {
    /// In the file.
    pub passages: usize,
    /// That cells of the run expect, or that the scenarios cannot be read without.
    pub reached: usize,
    /// Of which a changed word is noticed.
    pub can_fail: usize,
    /// That are expected only in steps whose observation the record does not have.
    pub not_recorded: usize,
}

/// A passage of which no cell notices that a word is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdlePassage {
    /// Its file, the outcome or text, and the keys that lead to it.
    pub passage: String,
    /// Whether no case expects it at all.
    pub is_unused: bool,
    /// Why that is right, if indifferent.yaml says so.
    pub because: Option<String>,
}

/// The score of all texts.
#[derive(Debug, Serialize)]
pub struct TextScore {
    /// By file.
    pub files: BTreeMap<&'static str, TextRow>,
    /// The passages that cannot fail.
    pub idle: Vec<IdlePassage>,
    /// The passages that the run does not reach.
    pub not_reached: Vec<String>,
    /// The entries of indifferent.yaml whose passages all can fail, or that are about none.
    pub stale: Vec<String>,
}

impl TextScore {
    /// Whether every text that the run reaches can fail, or is meant not to.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.stale.is_empty() && self.idle.iter().all(|idle| idle.because.is_some())
    }
}

/// The cells of a run that passed, and the scenarios they are of.
pub struct TextTrial {
    scenarios: Recompiler,
    cases: HashMap<String, Arc<Case>>,
    cells: Vec<Recorded>,
}

const OUTCOMES: &str = "outcomes.yaml";
const TEXTS: &str = "texts.yaml";

impl TextTrial {
    /// Takes what passed in runs.
    ///
    /// # Errors
    /// If one is not of these scenarios, or nothing passed.
    pub fn new(scenarios: Recompiler, cases: Vec<Arc<Case>>, runs: &[Results]) -> Result<Self, TextsError> {
        let cases: HashMap<_, _> = cases.into_iter().map(|case| (case.id.clone(), case)).collect();
        let recorded = runs
            .iter()
            .flat_map(|run| &run.cells)
            .map(|record| Recorded::new(record, cases.get(record.case_id()), scenarios.releases(), scenarios.texts()));
        let cells: Result<Vec<_>, _> = recorded.filter_map(Result::transpose).collect();
        let cells = cells.map_err(TextsError::OtherScenarios)?;
        if cells.is_empty() { Err(TextsError::NothingPassed) } else { Ok(Self { scenarios, cases, cells }) }
    }

    /// Changes each passage, one at a time.
    #[must_use]
    pub fn score(&mut self, indifferent: &Indifferent) -> TextScore {
        let outcomes = self.scenarios.outcomes().clone();
        let changes = outcomes.iter().flat_map(|(name, outcome)| of_outcome(name, outcome));
        let mut fates: Vec<_> = changes
            .map(|Change { passage, changed }| (OUTCOMES, self.with_outcome(&passage, changed), passage))
            .collect();
        let texts = self.scenarios.texts().clone();
        for (name, text) in &texts.0 {
            for Change { passage, changed } in of_text(name, text) {
                let mut changed_texts = texts.clone();
                changed_texts.0.insert(name.clone(), changed);
                fates.push((TEXTS, self.with_texts(&changed_texts), passage));
            }
        }
        score(&fates, indifferent)
    }

    fn with_outcome(&mut self, passage: &Passage, changed: NamedOutcome) -> Fate {
        let Ok(cases) = self.scenarios.cases_with(&passage.name, changed) else { return Fate::Rejected };
        let expects = |case: &Case| case.steps.iter().map(|step| step.expect.clone()).collect::<Vec<_>>();
        let changed = cases.into_iter().filter(|case| expects(case) != expects(&self.cases[&case.id]));
        let changed: HashMap<_, _> = changed.map(|case| (case.id.clone(), case)).collect();
        if changed.is_empty() {
            return if self.scenarios.owns_outcomes() { Fate::Unused } else { Fate::NotReached };
        }
        let texts = self.scenarios.texts();
        let cells = self.cells.iter().filter_map(|cell| Some((cell, changed.get(&cell.cell.case.id)?)));
        fate(cells.map(|(cell, case)| cell.with(case, texts)))
    }

    fn with_texts(&self, texts: &Texts) -> Fate {
        fate(self.cells.iter().map(|cell| cell.with(&cell.cell.case, texts)))
    }
}

/// The fate of a passage from its effect on cells; those after the first that fails are not tried.
fn fate(effects: impl Iterator<Item = Effect>) -> Fate {
    let mut fate = Fate::NotReached;
    for effect in effects {
        fate = match (effect, fate) {
            (Effect::Fails, _) => return Fate::Fails,
            (Effect::Passes, _) | (_, Fate::Passes) => Fate::Passes,
            (Effect::NotRecorded, _) => Fate::NotRecorded,
            (Effect::None, fate) => fate,
        };
    }
    fate
}

fn score(fates: &[(&'static str, Fate, Passage)], indifferent: &Indifferent) -> TextScore {
    let mut files = BTreeMap::<_, TextRow>::new();
    let (mut idle, mut not_reached) = (Vec::new(), Vec::new());
    for (file, fate, Passage { name, path }) in fates {
        let row = files.entry(*file).or_default();
        row.passages += 1;
        let passage = format!("{file}: {name}: {path}");
        match fate {
            Fate::Rejected | Fate::Fails => (row.reached, row.can_fail) = (row.reached + 1, row.can_fail + 1),
            Fate::Passes | Fate::Unused => {
                row.reached += 1;
                let because = indifferent.reason_for_text(&passage).map(str::to_owned);
                idle.push(IdlePassage { passage, is_unused: *fate == Fate::Unused, because });
            }
            Fate::NotRecorded => {
                row.not_recorded += 1;
                not_reached.push(passage);
            }
            Fate::NotReached => not_reached.push(passage),
        }
    }
    let stale = indifferent.text_entries().filter(|(_, globs)| {
        let is_needed = idle.iter().map(|idle| &idle.passage).chain(&not_reached).any(|text| globs.is_match(text));
        !is_needed
    });
    let stale = stale.map(|(texts, _)| texts.to_owned()).collect();
    TextScore { files, idle, not_reached, stale }
}
