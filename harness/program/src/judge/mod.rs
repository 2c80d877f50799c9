//! Judging: a pure function of the recorded [`Evidence`], so that a verdict can be reproduced from `results.json`.

mod compare;
mod decide;
mod evidence;
mod expectation;
mod observation;
mod races;
mod verdict;

pub use compare::{Aspect, Mismatch};
pub use decide::{Judgement, judge};
pub use evidence::{Evidence, Expected, KnownDeviation, KnownDifference, Templates};
pub(crate) use expectation::silent;
pub use expectation::{Expectation, ExpectedOutcome};
pub use observation::{Attempt, Delivery, Observation, Refusal, TlsSession};
pub use verdict::Verdict;
