//! The result of a cell.

use std::time::{Duration, SystemTime};

use super::materials::ConfigFiles;
use crate::judge::{Evidence, Expectation, Judgement, KnownDifference, Observation, Verdict};
use crate::plan::Cell;
use postgres_tls_server::{RuntimeKind, ServerFacts};

/// A cell that has been run, or could not be.
#[derive(Debug, Clone)]
pub struct CellResult {
    /// The cell.
    pub cell: Cell,
    /// The verdict, and what led to it.
    pub judgement: Judgement,
    /// Where the server ran.
    pub runtime: RuntimeKind,
    /// The server, if the cell came that far.
    pub server: Option<ServerFacts>,
    /// What the verdict was derived from; nothing if the cell ended before anything was observed.
    pub evidence: Option<Evidence>,
    /// The entry of differences.yaml that the cell confirms.
    pub difference: Option<KnownDifference>,
    /// Settings of Kong that are ignored or misread.
    pub remarks: Vec<String>,
    /// The configuration files of the step that was judged.
    pub files: Option<ConfigFiles>,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// Other attempts at the cell, before this one or after it.
    pub earlier: Vec<EarlierAttempt>,
}

/// An attempt at a cell that is not its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierAttempt {
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, unless it is `pass`.
    pub reason: Option<String>,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub duration: Duration,
}

impl From<&CellResult> for EarlierAttempt {
    fn from(result: &CellResult) -> Self {
        let CellResult { judgement, started, duration, .. } = result;
        let (verdict, reason) = (judgement.verdict, judgement.reason.clone());
        Self { verdict, reason, started: *started, duration: *duration }
    }
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
