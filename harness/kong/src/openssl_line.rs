//! Lines of OpenSSL releases. The wording of texts, the default security level and a few lookups differ between them.

use std::fmt;
use std::str::FromStr;

/// A line of OpenSSL releases: `1.1.1`, `3.0`, `3.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct OpensslLine(pub u8, pub u8);

/// A text that is not the version of an OpenSSL release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an OpenSSL release; one looks like 3.0 or 1.1.1")]
pub struct NotOpenssl(String);

impl FromStr for OpensslLine {
    type Err = NotOpenssl;
    /// Takes a full version as well: `3.0.19` and `1.1.1w` belong to the lines 3.0 and 1.1.
    fn from_str(text: &str) -> Result<Self, NotOpenssl> {
        let mut numbers = text.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => Err(NotOpenssl(text.to_owned())),
        }
    }
}

/// The first version that offers a post-quantum group, X25519MLKEM768, unasked.
const POST_QUANTUM: OpensslLine = OpensslLine(3, 5);

impl OpensslLine {
    /// The groups of the key exchange that it offers by default and in this order, if the OpenSSL linked here offers others
    /// (OpenSSL's CHANGES.md for 3.5.0, and `supported_groups_default` in ssl/t1_lib.c of 1.1.1 and 3.0).
    pub(crate) fn groups(self) -> Option<&'static str> {
        let linked = openssl::version::number();
        let has_its_own = linked >= 0x3050_0000 && self < POST_QUANTUM;
        has_its_own.then_some(if self < Self(3, 0) {
            "X25519:P-256:X448:P-521:P-384"
        } else {
            "X25519:P-256:X448:P-521:P-384:ffdhe2048:ffdhe3072:ffdhe4096:ffdhe6144:ffdhe8192"
        })
    }
}

impl TryFrom<String> for OpensslLine {
    type Error = NotOpenssl;
    fn try_from(text: String) -> Result<Self, NotOpenssl> {
        text.parse()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_belongs_to_a_line() {
        let line = |version: &str| version.parse::<OpensslLine>().map(|line| line.to_string());
        assert_eq!(line("1.1.1w"), Ok("1.1.1".into()));
        assert_eq!((line("3.0.19"), line("3.5")), (Ok("3.0".into()), Ok("3.5".into())));
        assert_eq!(line("3.x"), Err(NotOpenssl("3.x".into())));
    }
}
