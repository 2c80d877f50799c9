//! The result of a cell.

use std::time::{Duration, SystemTime};

use kong_pg_scenarios::plan::Cell;
use postgres_tls_server::RuntimeKind;

use super::notes::Notes;
use super::pace::Allowed;
use crate::judge::{Evidence, Expectation, Judgement, KnownDifference, Observation, Verdict};
use crate::leaks::Leak;

/// A cell that has been run, or could not be.
#[derive(Debug, Clone)]
pub struct CellResult {
    /// The cell.
    pub cell: Cell,
    /// The verdict, and what led to it.
    pub judgement: Judgement,
    /// Where the server ran.
    pub runtime: RuntimeKind,
    /// What the verdict was derived from; nothing if the cell ended before anything was observed.
    pub evidence: Option<Evidence>,
    /// The entry of differences.yaml that the cell confirms.
    pub difference: Option<KnownDifference>,
    /// What is known of it however it ended.
    pub notes: Notes,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// How long it could have taken, if it took longer.
    pub slow: Option<Allowed>,
    /// What it left behind.
    pub leaks: Vec<Leak>,
    /// Other attempts at the cell, before this one or after it.
    pub earlier: Vec<CellResult>,
}

impl CellResult {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.judgement.verdict
    }

    /// Why, unless it is `pass`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.judgement.reason.as_deref()
    }

    /// What was observed, if the cell came that far.
    #[must_use]
    pub fn observed(&self) -> Option<&Observation> {
        self.evidence.as_ref().map(|evidence| &evidence.observed)
    }

    /// What was expected, if the cell came that far and the suite knows.
    #[must_use]
    pub fn expected(&self) -> Option<&Expectation> {
        self.evidence.as_ref().and_then(|evidence| evidence.expected.known())
    }
}
