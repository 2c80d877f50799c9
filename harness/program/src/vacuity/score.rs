//! How many cells can fail, and what shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::indifferent::Indifferent;
use super::mutation::Mutation;
use super::outcome::Outcome;

/// A cell that passes, with the outcomes of its mutants.
#[derive(Debug, Clone)]
pub struct ScoredCell {
    /// The id.
    pub id: String,
    /// The id of its case.
    pub case: String,
    /// Its scenario.
    pub scenario: String,
    /// Its mutants.
    pub outcomes: BTreeMap<Mutation, Outcome>,
}

impl ScoredCell {
    fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.values().filter(|other| **other == outcome).count()
    }

    /// Whether a mutant of it failed.
    fn can_fail(&self) -> bool {
        self.count(Outcome::Detected) > 0
    }
}

/// The score of some cells or of some mutants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// How many cells.
    pub cells: usize,
    /// How many of them can fail.
    pub can_fail: usize,
    /// How many mutants were run.
    pub mutants: usize,
    /// How many of them failed.
    pub detected: usize,
}

impl Row {
    fn add(&mut self, cell: &ScoredCell) {
        self.cells += 1;
        self.can_fail += usize::from(cell.can_fail());
        self.detected += cell.count(Outcome::Detected);
        self.mutants += cell.count(Outcome::Detected) + cell.count(Outcome::Survived);
    }
}

/// A cell of which every mutant passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivor {
    /// The id.
    pub id: String,
    /// The mutations that were tried.
    pub tried: Vec<Mutation>,
    /// Why that is right, if indifferent.yaml says so.
    pub because: Option<String>,
}

/// When a score was measured, and on what.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    /// When it began, in RFC 3339.
    pub started: String,
    /// The versions of PostgreSQL.
    pub postgres: BTreeSet<String>,
}

/// The score of all cells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Score {
    /// When it was measured, and on what.
    #[serde(flatten)]
    pub measured: Measured,
    /// All of them.
    pub total: Row,
    /// By scenario.
    pub scenarios: BTreeMap<String, Row>,
    /// Mutants that were run and that failed, by mutation.
    pub mutations: BTreeMap<Mutation, (usize, usize)>,
    /// The cells that cannot fail.
    pub survivors: Vec<Survivor>,
    /// The entries of indifferent.yaml whose cells all can fail.
    pub stale: Vec<String>,
}

/// The scores of the built-in scenarios, as they were measured last.
const LAST: &str = include_str!("../../../../docs/vacuity.json");

impl Score {
    /// The scores of the built-in scenarios, as they were measured last: of all that one PostgreSQL has, and of the others on a
    /// newer one.
    ///
    /// # Panics
    /// If the file in the program is malformed, which a test excludes.
    #[must_use]
    pub fn last_measured() -> Vec<Self> {
        serde_json::from_str(LAST).unwrap_or_else(|error| panic!("docs/vacuity.json: {error}"))
    }

    pub(super) fn new(measured: Measured, cells: &[ScoredCell], indifferent: &Indifferent) -> Self {
        let (mut total, mut scenarios, mut mutations) = (Row::default(), BTreeMap::new(), BTreeMap::new());
        for cell in cells {
            total.add(cell);
            scenarios.entry(cell.scenario.clone()).or_insert_with(Row::default).add(cell);
            for (mutation, outcome) in &cell.outcomes {
                let (mutants, detected) = mutations.entry(*mutation).or_insert((0, 0));
                *mutants += usize::from(*outcome != Outcome::NotRun);
                *detected += usize::from(*outcome == Outcome::Detected);
            }
        }
        let is_survivor = |cell: &&ScoredCell| !cell.can_fail();
        let survivors = cells.iter().filter(is_survivor).map(|cell| Survivor {
            id: cell.id.clone(),
            tried: Mutation::VARIANTS.iter().copied().filter(|mutation| cell.outcomes.contains_key(mutation)).collect(),
            because: indifferent.reason(&cell.case).map(str::to_owned),
        });
        let survivors: Vec<_> = survivors.collect();
        let stale = indifferent.entries().filter(|(_, globs)| {
            let is_about = |cell: &&ScoredCell| globs.is_match(&cell.case);
            cells.iter().any(|cell| is_about(&cell)) && !cells.iter().filter(is_survivor).any(|cell| is_about(&cell))
        });
        let stale = stale.map(|(cases, _)| cases.to_owned()).collect();
        Self { measured, total, scenarios, mutations, survivors, stale }
    }

    /// Whether every cell can fail, or is meant not to, and every entry of indifferent.yaml is needed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.stale.is_empty() && self.survivors.iter().all(|survivor| survivor.because.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(id: &str, outcomes: &[(Mutation, Outcome)]) -> ScoredCell {
        ScoredCell {
            id: format!("{id}@pg15"),
            case: id.into(),
            scenario: "a".into(),
            outcomes: outcomes.iter().copied().collect(),
        }
    }

    fn score(cells: &[ScoredCell], indifferent: &Indifferent) -> Score {
        Score::new(Measured::default(), cells, indifferent)
    }

    #[test]
    fn a_cell_can_fail_if_one_of_its_mutants_does() {
        let cells = vec![
            cell("a::b", &[(Mutation::ServerTlsOff, Outcome::Detected), (Mutation::TlsOptional, Outcome::Survived)]),
            cell("a::c", &[(Mutation::ServerTlsOff, Outcome::Survived), (Mutation::AnyLogin, Outcome::NotRun)]),
        ];
        let score = score(&cells, &Indifferent::default());
        assert_eq!(score.total, Row { cells: 2, can_fail: 1, mutants: 3, detected: 1 });
        assert_eq!(score.mutations[&Mutation::ServerTlsOff], (2, 1));
        let survivors: Vec<_> = score.survivors.iter().map(|survivor| survivor.id.as_str()).collect();
        assert_eq!(survivors, ["a::c@pg15"]);
        assert!(!score.is_clean());
    }

    #[test]
    fn an_indifferent_cell_needs_an_entry_and_an_entry_an_indifferent_cell() {
        let entries = || Indifferent::parse("indifferent: [{ cases: 'a::c', because: a control }]").expect("a file");
        let survivor = cell("a::c", &[(Mutation::ServerTlsOff, Outcome::Survived)]);
        assert!(score(&[survivor], &entries()).is_clean());
        let detected = cell("a::c", &[(Mutation::ServerTlsOff, Outcome::Detected)]);
        assert_eq!(score(&[detected], &entries()).stale, ["a::c"]);
        assert!(score(&[cell("a::d", &[(Mutation::ServerTlsOff, Outcome::Detected)])], &entries()).is_clean());
    }
}
