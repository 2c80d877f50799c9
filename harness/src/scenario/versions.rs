//! Ranges of versions, as a reader writes them: `15`, `14+`, `13-15`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// A PostgreSQL major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, Deserialize, JsonSchema)]
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

impl<V: Ord + Copy> Range<V> {
    /// Whether a version is in it.
    #[must_use]
    pub fn contains(&self, version: V) -> bool {
        self.first <= version && self.last.is_none_or(|last| version <= last)
    }
}

impl<V: FromStr<Err = String> + Ord + Copy> FromStr for Range<V> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Self { first: first.parse()?, last: None });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse()?, last.parse()?);
        if first > last { Err(format!("`{text}` ends before it begins")) } else { Ok(Self { first, last: Some(last) }) }
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

impl<'de, V: FromStr<Err = String> + Ord + Copy> Deserialize<'de> for Range<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::setting::Setting::deserialize(deserializer)?.0.parse().map_err(D::Error::custom)
    }
}

impl<V> JsonSchema for Range<V> {
    fn schema_name() -> Cow<'static, str> {
        "VersionRange".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`15`, `14+` or `13-15`",
            "type": ["string", "integer"],
            "pattern": r"^\d+(\.\d+)*(\+|-\d+(\.\d+)*)?$",
        })
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
    #[case("3.0-3.1", "3.0.19", true)]
    #[case("3.2+", "3.0.19", false)]
    #[case("1.1.1", "1.1.1w", true)]
    #[case("1.1.1-3.5", "3.6.5", false)]
    fn openssl_releases_belong_to_lines(#[case] range: &str, #[case] version: &str, #[case] inside: bool) {
        let range: OpensslRange = range.parse().expect("a range");
        assert_eq!(range.contains(version.parse().expect("a version")), inside);
    }

    #[rstest]
    #[case("16-14", "ends before it begins")]
    #[case("seventeen", "not a PostgreSQL major")]
    #[case("14..16", "not a PostgreSQL major")]
    fn what_is_no_range_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = text.parse::<PostgresRange>().expect_err("no range");
        assert!(error.contains(why), "{error}");
    }
}
