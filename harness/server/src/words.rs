//! Words that a server and those who configure it share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A PostgreSQL major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Major(pub u16);

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Major {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(major @ 10..=99) => Ok(Self(major)),
            _ => Err(format!("`{text}` is not a PostgreSQL major version; one looks like 17")),
        }
    }
}

/// How a configuration is put in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ApplyMode {
    /// A running server reloads it.
    #[default]
    Reload,
    /// The server is started with it.
    Start,
}

/// The owner of a file on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The user that the server runs as.
    DatabaseUser,
    /// root.
    Root,
    /// Another user than these two.
    Other,
}

impl Owner {
    /// The numeric user id, unless it is the database user's, which differs from machine to machine.
    #[must_use]
    pub fn number(self) -> Option<u32> {
        match self {
            Self::DatabaseUser => None,
            Self::Root => Some(0),
            // `nobody` on every system.
            Self::Other => Some(65534),
        }
    }
}
