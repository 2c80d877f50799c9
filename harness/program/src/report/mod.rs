//! What a run tells: to people while it goes on and when it ends, to programs in files. Reporters see the results
//! only, so a new format touches nothing else.

mod agreement;
mod claims;
mod details;
mod deviations;
mod explain;
mod junit;
mod last_green;
mod live;
mod matrix;
mod remarks;
mod results;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use agreement::{Agreement, write_agreement};
pub use claims::{Recorded, write_claims};
pub use details::write_details;
pub use deviations::{write_deviations, write_known_deviations};
pub use explain::write_explanation;
pub use junit::write_junit;
pub use live::Live;
pub use matrix::write_matrix;
pub use remarks::write_remarks;
pub use results::{Results, write_results};

use crate::judge::Verdict;
use crate::run::CellResult;
use crate::suite::Difference;
use crate::vocabulary::ClientKind;

/// A run that has ended.
#[derive(Debug)]
pub struct Report {
    /// What came of the cells, in the order of the plan.
    pub results: Vec<CellResult>,
    /// How many cells were planned.
    pub planned: usize,
    /// Who connected: what they are, and of which version.
    pub clients: BTreeMap<ClientKind, String>,
    /// How long it took.
    pub duration: Duration,
    /// Entries of differences.yaml of which every cell was run, and none differs.
    pub stale: Vec<Arc<Difference>>,
}

impl Report {
    /// How many cells have a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// The verdicts there are, with how many cells have them: `12 pass, 1 fail`.
    #[must_use]
    pub fn tally(&self) -> String {
        let counts = Verdict::ALL.into_iter().map(|verdict| (self.count(verdict), verdict.as_str()));
        let told: Vec<_> =
            counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        if told.is_empty() { "nothing was run".into() } else { told.join(", ") }
    }
}
