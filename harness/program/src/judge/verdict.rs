//! Verdicts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The verdict on a cell, from good to bad. Every verdict but `pass` comes with a reason.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// Both sides did what the scenario expects.
    Pass,
    /// Both sides did what the scenario expects, and the documents say something else.
    KnownDeviation,
    /// The case has no meaning at this point of the axes.
    Unsupported,
    /// It was left out on request.
    Skipped,
    /// It could not be run because something it needs is missing here.
    Blocked,
    /// One of the sides did something else.
    Fail,
    /// It took longer than the limit.
    Timeout,
    /// The environment failed, not the case.
    EnvironmentError,
}

impl Verdict {
    /// All verdicts, from good to bad.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the cell was run and is as it should be.
    #[must_use]
    pub fn is_proof(self) -> bool {
        matches!(self, Self::Pass | Self::KnownDeviation)
    }

    /// Whether the cell was run, or was to be, and is not as it should be.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.is_problem() && self != Self::Blocked
    }

    /// Whether the cell needs attention: it is reported in full and keeps the run from success.
    #[must_use]
    pub fn is_problem(self) -> bool {
        matches!(self, Self::Blocked | Self::Fail | Self::Timeout | Self::EnvironmentError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_spelled_the_same_in_json_and_in_text() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).expect("JSON"), verdict.as_str());
            assert_eq!(verdict.as_str().parse(), Ok(*verdict));
        }
    }

    #[test]
    fn a_cell_that_could_not_be_run_proves_nothing_and_needs_attention() {
        assert!(Verdict::Blocked.is_problem() && !Verdict::Blocked.is_proof());
        assert!(!Verdict::Unsupported.is_problem() && !Verdict::Unsupported.is_proof());
        assert!(Verdict::Pass.is_proof() && Verdict::KnownDeviation.is_proof());
        let failures = Verdict::ALL.iter().filter(|verdict| verdict.is_failure());
        assert!(failures.eq(&[Verdict::Fail, Verdict::Timeout, Verdict::EnvironmentError]));
    }
}
