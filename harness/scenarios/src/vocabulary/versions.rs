//! Ranges of versions, as a reader writes them: `15`, `14+`, `13-15`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use kong_pg_client::{NotOpenssl, OpensslLine};
use postgres_tls_server::{Major, ServerFacts};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// The release line of the OpenSSL that a server is linked with, if that is known.
#[must_use]
pub fn openssl_line_of(server: &ServerFacts) -> Option<OpensslLine> {
    server.openssl.as_deref().and_then(|version| version.parse().ok())
}

/// A release of OpenSSL, or, without a patch number, all releases of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpensslRelease {
    line: OpensslLine,
    patch: Option<u16>,
}

impl OpensslRelease {
    /// The OpenSSL that a server is linked with, if that is known.
    #[must_use]
    pub fn of(server: &ServerFacts) -> Option<Self> {
        server.openssl.as_deref().and_then(|version| version.parse().ok())
    }
}

/// A text that is not a release of OpenSSL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidOpensslRelease {
    /// It does not begin with a release line.
    #[error(transparent)]
    Line(#[from] NotOpenssl),
    /// Its third part is not a number.
    #[error("`{0}` is not an OpenSSL release; one looks like 3.5.9")]
    Patch(String),
}

impl FromStr for OpensslRelease {
    type Err = InvalidOpensslRelease;
    /// The releases of 1.1.1, which differ by a letter, are treated as one.
    fn from_str(text: &str) -> Result<Self, InvalidOpensslRelease> {
        let line: OpensslLine = text.parse()?;
        let patch = text.split('.').nth(2).filter(|_| line >= OpensslLine(3, 0)).map(str::parse).transpose();
        let patch = patch.map_err(|_| InvalidOpensslRelease::Patch(text.to_owned()))?;
        Ok(Self { line, patch })
    }
}

impl fmt::Display for OpensslRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.fmt(f)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// What a range can be of.
pub trait Version: FromStr<Err: fmt::Display> + Ord + Copy {
    /// The `format` that the ranges have in a JSON Schema.
    const RANGE: &'static str;

    /// Whether this is the last version of a range that includes `last`, or an earlier one.
    fn is_up_to(self, last: Self) -> bool {
        self <= last
    }

    /// Whether it is the next one, so that no version is between the two.
    fn follows(self, other: Self) -> bool;
}

impl Version for Major {
    const RANGE: &'static str = "postgres-range";

    fn follows(self, other: Self) -> bool {
        self.0 == other.0 + 1
    }
}
impl Version for OpensslLine {
    const RANGE: &'static str = "openssl-range";

    fn follows(self, other: Self) -> bool {
        self.0 == other.0 && self.1 == other.1 + 1
    }
}
impl Version for OpensslRelease {
    const RANGE: &'static str = "openssl-releases";

    fn is_up_to(self, last: Self) -> bool {
        self <= last || self.line == last.line && last.patch.is_none()
    }

    fn follows(self, other: Self) -> bool {
        self.line == other.line && self.patch > other.patch
    }
}

/// An inclusive range, open above with `+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range<V> {
    first: V,
    last: Option<V>,
}

/// PostgreSQL majors.
pub type PostgresRange = Range<Major>;
/// OpenSSL release lines.
pub type OpensslRange = Range<OpensslLine>;
/// OpenSSL releases.
pub type OpensslReleases = Range<OpensslRelease>;

impl<V: Version> Range<V> {
    /// Whether a version is in it.
    #[must_use]
    pub fn contains(&self, version: V) -> bool {
        self.first <= version && self.last.is_none_or(|last| version.is_up_to(last))
    }

    /// The range with a version that is next to one of its ends.
    #[must_use]
    pub fn extended(self, version: V) -> Option<Self> {
        if self.last.is_some_and(|last| version.follows(last)) {
            return Some(Self { last: Some(version), ..self });
        }
        self.first.follows(version).then_some(Self { first: version, ..self })
    }
}

/// A text that is not a range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RangeError {
    /// One of its ends is not a version.
    #[error("{0}")]
    Version(String),
    /// Its ends are in the wrong order.
    #[error("`{0}` ends before it begins")]
    Reversed(String),
}

impl<V: Version> FromStr for Range<V> {
    type Err = RangeError;
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let version = |text: &str| text.parse::<V>().map_err(|error| RangeError::Version(error.to_string()));
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Self { first: version(first)?, last: None });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (version(first)?, version(last)?);
        if first > last { Err(RangeError::Reversed(text.to_owned())) } else { Ok(Self { first, last: Some(last) }) }
    }
}

impl<V: fmt::Display + PartialEq> fmt::Display for Range<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last {
            None => write!(f, "{}+", self.first),
            Some(last) if *last == self.first => self.first.fmt(f),
            Some(last) => write!(f, "{}-{last}", self.first),
        }
    }
}

impl<V: fmt::Display + PartialEq> Serialize for Range<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, V: Version> Deserialize<'de> for Range<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// YAML takes `15` for a number.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u16),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(D::Error::custom)
    }
}

impl<V: Version> JsonSchema for Range<V> {
    fn schema_name() -> Cow<'static, str> {
        V::RANGE.into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "`15`, `14+` or `13-15`", "type": ["string", "integer"], "format": V::RANGE })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("15", &[15], &[14, 16])]
    #[case("14+", &[14, 18, 99], &[13])]
    #[case("13-15", &[13, 14, 15], &[12, 16])]
    fn a_range_holds_its_ends(#[case] text: &str, #[case] inside: &[u16], #[case] outside: &[u16]) {
        let range: PostgresRange = text.parse().expect("a range");
        assert!(inside.iter().all(|major| range.contains(Major(*major))));
        assert!(!outside.iter().any(|major| range.contains(Major(*major))));
        assert_eq!(range.to_string(), text);
    }

    #[rstest]
    #[case("13-15", 16, Some("13-16"))]
    #[case("18", 19, Some("18-19"))]
    #[case("14-15", 13, Some("13-15"))]
    #[case("13-15", 17, None)]
    fn a_range_is_extended_only_by_the_next_version(
        #[case] range: &str,
        #[case] version: u16,
        #[case] expected: Option<&str>,
    ) {
        let range: PostgresRange = range.parse().expect("a range");
        assert_eq!(range.extended(Major(version)).map(|range| range.to_string()).as_deref(), expected);
    }

    #[rstest]
    #[case("3.0-3.1", "3.0.19", true)]
    #[case("3.2+", "3.0.19", false)]
    #[case("1.1.1", "1.1.1w", true)]
    #[case("1.1.1-3.5", "3.6.5", false)]
    fn openssl_releases_belong_to_lines(#[case] range: &str, #[case] version: &str, #[case] inside: bool) {
        let range: OpensslRange = range.parse().expect("a range");
        assert_eq!(range.contains(version.parse().expect("a version")), inside);
    }

    #[rstest]
    #[case("1.1.1-3.5.7", "1.1.1w", true)]
    #[case("1.1.1-3.5.7", "3.0.19", true)]
    #[case("1.1.1-3.5.7", "3.5.7", true)]
    #[case("1.1.1-3.5.7", "3.5.9", false)]
    #[case("3.5.9+", "3.5.7", false)]
    #[case("3.5.9+", "3.5.9", true)]
    #[case("3.5.9+", "3.6.0", true)]
    #[case("3.0-3.5", "3.5.9", true)]
    #[case("3.0-3.5", "3.6.0", false)]
    #[case("3.5", "3.5.9", true)]
    fn openssl_releases_of_a_line_are_distinguished(#[case] range: &str, #[case] version: &str, #[case] inside: bool) {
        let releases: OpensslReleases = range.parse().expect("a range");
        assert_eq!(releases.contains(version.parse().expect("a version")), inside);
        assert_eq!(releases.to_string(), range);
    }

    #[rstest]
    #[case("16-14", "ends before it begins")]
    #[case("seventeen", "not a PostgreSQL major")]
    #[case("14..16", "not a PostgreSQL major")]
    fn what_is_no_range_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = text.parse::<PostgresRange>().expect_err("no range").to_string();
        assert!(error.contains(why), "{error}");
    }
}
