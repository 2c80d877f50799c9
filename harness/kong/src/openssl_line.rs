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

/// The first line that offers a post-quantum group unasked, X25519MLKEM768.
const POST_QUANTUM: OpensslLine = OpensslLine(3, 5);

impl OpensslLine {
    /// The OpenSSL that this crate is linked with.
    fn linked() -> Self {
        let number = openssl::version::number();
        let part = |shift: i64| u8::try_from(number >> shift & 0xff).unwrap_or(u8::MAX);
        Self(part(28), part(20))
    }

    /// The groups of the key exchange that it offers by default, in its order, if the OpenSSL linked here offers others.
    pub(crate) fn groups(self) -> Option<&'static str> {
        self.groups_beside(Self::linked())
    }

    /// From OpenSSL's CHANGES.md for 3.5.0, and `supported_groups_default` in ssl/t1_lib.c of 1.1.1 and 3.0.
    fn groups_beside(self, linked: Self) -> Option<&'static str> {
        (self < POST_QUANTUM && linked >= POST_QUANTUM).then_some(if self < Self(3, 0) {
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

    #[test]
    fn the_linked_version_is_read() {
        let linked = format!("OpenSSL {}.", OpensslLine::linked());
        assert!(openssl::version::version().starts_with(&linked), "{linked}");
    }

    #[test]
    fn a_line_keeps_its_groups_where_a_later_one_is_linked() {
        let (old, three, first) = (OpensslLine(1, 1), OpensslLine(3, 0), OpensslLine(3, 5));
        let groups = |line: OpensslLine| line.groups_beside(first).map(|groups| groups.split(':').count());
        assert_eq!(
            (groups(old), groups(three), groups(OpensslLine(3, 4)), groups(first)),
            (Some(5), Some(10), Some(10), None)
        );
        assert_eq!(three.groups_beside(OpensslLine(3, 4)), None);
        assert_eq!(three.groups(), three.groups_beside(OpensslLine::linked()));
        let mut builder = openssl::ssl::SslContext::builder(openssl::ssl::SslMethod::tls()).expect("a context");
        for line in [old, three] {
            builder.set_groups_list(line.groups_beside(OpensslLine(3, 6)).expect("groups")).expect("known groups");
        }
    }
}
