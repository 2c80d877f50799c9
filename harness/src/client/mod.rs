//! Who connects.

use std::fmt;
use std::str::FromStr;

/// A client that cells can be run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// This program's own re-creation of Kong's driver on its two TLS stacks.
    Kong,
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kong => f.write_str("kong"),
        }
    }
}

impl FromStr for ClientKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kong" => Ok(Self::Kong),
            _ => Err(format!("no client is called `{text}`; expected kong")),
        }
    }
}
