//! Everything a verdict depends on.

use std::collections::BTreeMap;

use kong_pg_client::Stack;
use kong_pg_scenarios::format::{Divergence, Would};
use kong_pg_scenarios::vocabulary::ClientKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Expectation, Observation};

/// Everything the verdict on a cell that was run depends on. A cell of `results.json` has these keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The client.
    pub client: ClientKind,
    /// On which of Kong's TLS stacks.
    pub stack: Stack,
    /// The step that was judged, counted from 0: the first that was not as expected, or the last.
    pub step: usize,
    /// What had to happen in that step.
    pub expected: Expected,
    /// What happened in it.
    pub observed: Observation,
    /// Where the documents are known to be wrong or silent about the cell.
    pub documented: Vec<KnownDeviation>,
    /// The entry of differences.yaml that describes what this client did, if there is one.
    pub difference: Option<KnownDifference>,
}

/// What had to happen, as far as the suite knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expected {
    /// It is known.
    Known(Expectation),
    /// texts.yaml has no text for the versions of this cell.
    Unknown {
        /// Which text is missing, and for which version.
        missing_text: String,
        /// What it can be learned from.
        #[serde(default)]
        templates: Option<Box<Templates>>,
    },
    /// The scenario leaves it open. It is the last: nothing in it is required, so it would be read for any other.
    Open {
        /// What was observed, as the scenario would expect it; `null` if that cannot be expected.
        would_be: Option<serde_json::Value>,
    },
}

/// An expectation with the scenario's own templates in the place of texts, and what the run knows to expand them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Templates {
    /// The expectation.
    pub expectation: Expectation,
    /// The values of its placeholders.
    pub values: BTreeMap<String, String>,
    /// The OpenSSL line of Kong's side.
    pub openssl: String,
}

impl Expected {
    /// The expectation, if it is known.
    #[must_use]
    pub fn known(&self) -> Option<&Expectation> {
        if let Self::Known(expectation) = self { Some(expectation) } else { None }
    }
}

/// A place where the documents are known to be wrong or silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownDeviation {
    /// The claim that it is about.
    pub claim: String,
    /// What they say; `null` if they are silent.
    pub says: Option<String>,
    /// What happens.
    pub happens: String,
    /// What to do instead.
    pub instead: String,
    /// What would be observed if they were right.
    pub would: Option<Would>,
}

/// A place where a client is known to differ from Kong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownDifference {
    /// What the client does.
    pub does: Divergence,
    /// Why that is right for it.
    pub because: String,
    /// The file and line of the entry.
    pub place: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_is_read_as_it_was_written() {
        let unknown = Expected::Unknown { missing_text: "no text".into(), templates: None };
        for expected in [unknown, Expected::Open { would_be: None }] {
            let written = serde_json::to_string(&expected).expect("JSON");
            assert_eq!(serde_json::from_str::<Expected>(&written).expect("what was written"), expected);
        }
    }
}
