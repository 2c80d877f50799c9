//! Points of a scenario's axes.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// Points by axis; an axis that is not named may be at any of its points.
pub type At = IndexMap<String, Points>;

/// One point of an axis, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Points {
    /// Only this one.
    One(String),
    /// Any of these.
    Several(Vec<String>),
}

impl Points {
    /// The points.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(point) => std::slice::from_ref(point),
            Self::Several(points) => points,
        }
    }
}
