//! Lines of OpenSSL releases: what differs between two of them is the wording of their texts.

use std::fmt;
use std::str::FromStr;

/// A line of OpenSSL releases: `1.1.1`, `3.0`, `3.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpensslLine(pub u8, pub u8);

impl FromStr for OpensslLine {
    type Err = String;
    /// Takes a full version as well: `3.0.19` and `1.1.1w` belong to the lines 3.0 and 1.1.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = text.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => Err(format!("`{text}` is not an OpenSSL release; one looks like 3.0 or 1.1.1")),
        }
    }
}

impl fmt::Display for OpensslLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(1, 1) => f.write_str("1.1.1"),
            Self(major, minor) => write!(f, "{major}.{minor}"),
        }
    }
}
