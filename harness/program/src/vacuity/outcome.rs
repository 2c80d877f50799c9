//! The outcome of a mutant.

use crate::judge::Verdict;

/// The outcome of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It failed, as it should.
    Detected,
    /// It passed like the cell that it was made of.
    Survived,
    /// It could not be run.
    NotRun,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fail | Verdict::Timeout => Self::Detected,
            Verdict::Pass | Verdict::KnownDeviation => Self::Survived,
            Verdict::Unsupported | Verdict::Skipped | Verdict::Blocked | Verdict::EnvironmentError => Self::NotRun,
        }
    }
}
