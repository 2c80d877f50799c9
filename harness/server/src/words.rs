//! The vocabulary that a server and those who configure it share.

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

/// A text that is not a PostgreSQL major version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a PostgreSQL major version; one looks like 17")]
pub struct InvalidMajor(String);

impl FromStr for Major {
    type Err = InvalidMajor;
    fn from_str(text: &str) -> Result<Self, InvalidMajor> {
        match text.parse() {
            Ok(major @ 10..=99) => Ok(Self(major)),
            _ => Err(InvalidMajor(text.to_owned())),
        }
    }
}

/// Where servers run.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RuntimeKind {
    /// Containers, through testcontainers.
    Docker,
    /// Processes of the installed binaries.
    Local,
}

/// A PostgreSQL that is available, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its major version.
    pub major: Major,
    /// Where it runs.
    pub runtime: RuntimeKind,
    /// The image, or the folder of binaries.
    pub source: String,
}

impl fmt::Display for Offer {
    /// `17 (docker)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.major, self.runtime)
    }
}

/// How a configuration is put in force.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString,
)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ApplyMode {
    /// A running server reloads it.
    #[default]
    Reload,
    /// The server is started with it.
    Start,
}

/// The owner of a file on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Owner {
    /// The user that the server runs as.
    DatabaseUser,
    /// root.
    Root,
    /// A user that is neither.
    Other,
}

impl Owner {
    /// The numeric user and group id; `None` for the database user, whose id differs from machine to machine.
    #[must_use]
    pub fn number(self) -> Option<u32> {
        match self {
            Self::DatabaseUser => None,
            Self::Root => Some(0),
            // `nobody` on Linux and the BSDs.
            Self::Other => Some(65534),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parsed_as_they_are_printed() {
        for owner in [Owner::DatabaseUser, Owner::Root, Owner::Other] {
            assert_eq!(owner.to_string().parse(), Ok(owner));
        }
        assert_eq!(RuntimeKind::Docker.to_string(), "docker");
        assert_eq!("local".parse(), Ok(RuntimeKind::Local));
        assert_eq!(ApplyMode::Reload.to_string(), "reload");
    }

    #[test]
    fn a_major_is_a_number_of_two_digits() {
        assert_eq!("17".parse(), Ok(Major(17)));
        for wrong in ["", "9", "17.2", "seventeen", "100"] {
            assert_eq!(wrong.parse::<Major>(), Err(InvalidMajor(wrong.to_owned())));
        }
    }
}
