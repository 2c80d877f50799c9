//! Connections that Kong keeps open.

use schemars::JsonSchema;
use serde::Deserialize;

/// What becomes of a connection that Kong has kept open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OpenConnection {
    /// It answers as before.
    Survives,
    /// It does not.
    Broken,
}

impl OpenConnection {
    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Survives => "survives",
            Self::Broken => "broken",
        }
    }
}
