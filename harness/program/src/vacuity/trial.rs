//! The cells that pass, with their mutants.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kong_pg_scenarios::plan::Cell;

use super::indifferent::Indifferent;
use super::mutation::Mutation;
use super::outcome::Outcome;
use super::score::{Measured, Score, ScoredCell};
use crate::record::{CellRecord, Results};

/// The cells that pass, and the outcomes of their mutants.
#[derive(Debug, Default)]
pub struct Trial {
    measured: Measured,
    cells: Vec<Cell>,
    outcomes: BTreeMap<Arc<str>, BTreeMap<Mutation, Outcome>>,
}

impl Trial {
    /// Those of the cells that pass in a run. The others say nothing about whether they can fail.
    #[must_use]
    pub fn of(cells: &[Cell], run: &Results) -> Self {
        let Results { run, cells: records, .. } = run;
        let passes = |record: &&CellRecord| Outcome::from(record.verdict) == Outcome::Survived;
        let passing: HashSet<_> = records.iter().filter(passes).map(|record| &record.id).collect();
        let cells = cells.iter().filter(|cell| passing.contains(&cell.id)).cloned().collect();
        let versions = records.iter().filter_map(|record| record.postgres.version.clone());
        let measured = Measured { started: run.started.clone(), postgres: versions.collect() };
        Self { measured, cells, outcomes: BTreeMap::new() }
    }

    /// The mutants of one kind, as cells with the ids of those that they are made of.
    #[must_use]
    pub fn mutants(&self, mutation: Mutation) -> Vec<Cell> {
        let mutant = |cell: &Cell| {
            let case = mutation.apply(&cell.case)?;
            Some(Cell { case: Arc::new(case), ..cell.clone() })
        };
        self.cells.iter().filter_map(mutant).collect()
    }

    /// Records the outcomes of the mutants of one kind.
    pub fn record(&mut self, mutation: Mutation, records: &[CellRecord]) {
        for CellRecord { id, verdict, .. } in records {
            self.outcomes.entry(id.clone()).or_default().insert(mutation, (*verdict).into());
        }
    }

    /// The score of all cells.
    #[must_use]
    pub fn score(&self, indifferent: &Indifferent) -> Score {
        let none = BTreeMap::new();
        let cells = self.cells.iter().map(|cell| {
            let outcomes = self.outcomes.get(&cell.id).unwrap_or(&none).clone();
            ScoredCell {
                id: cell.id.to_string(),
                case: cell.case.id.clone(),
                scenario: cell.case.scenario.clone(),
                outcomes,
            }
        });
        Score::new(self.measured.clone(), &cells.collect::<Vec<_>>(), indifferent)
    }
}
