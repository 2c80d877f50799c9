//! The names in certificates: hosts of the server, and the user that Kong logs in as.

use std::net::IpAddr;
use std::str::FromStr;

/// A host as a certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

/// A text that is no host name and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a host name nor an address; one looks like db.example.com or 10.0.0.5")]
pub struct InvalidHost(String);

impl FromStr for Host {
    type Err = InvalidHost;
    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_label = |label: &str| !label.is_empty() && label.len() < 64 && label.chars().all(is_plain);
        // The common name of a certificate has 64 characters at most.
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_name = text.len() <= 64 && name.split('.').all(is_label);
        if text.parse::<IpAddr>().is_ok() || is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidHost(text.into()))
        }
    }
}

impl Host {
    /// The name or the address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject alternative name: `DNS:localhost` or `IP:127.0.0.1`.
    #[must_use]
    pub fn alternative_name(&self) -> String {
        let kind = if self.0.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
        format!("{kind}:{}", self.0)
    }
}

/// A role of PostgreSQL as a certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User(String);

/// A text that cannot be the name of a role in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be the user in a certificate: up to 63 letters, digits, `_`, `-`, `.` and `@`")]
pub struct InvalidUser(String);

impl FromStr for User {
    type Err = InvalidUser;
    fn from_str(text: &str) -> Result<Self, InvalidUser> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
        let is_user = (1..64).contains(&text.len()) && text.chars().all(is_plain);
        if is_user { Ok(Self(text.to_owned())) } else { Err(InvalidUser(text.into())) }
    }
}

impl User {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in pg_hba.conf and in SQL: quoted, unless it means itself there.
    #[must_use]
    pub fn quoted(&self) -> String {
        let is_bare = |c: char| c.is_ascii_lowercase() || c == '_';
        // `all` is everybody in pg_hba.conf, and `user` the current one in SQL.
        let is_word = ["all", "user", "replication", "samerole", "sameuser"].contains(&self.as_str());
        if self.0.chars().all(is_bare) && !is_word { self.0.clone() } else { format!("\"{}\"", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("localhost", Some("DNS:localhost"))]
    #[case("*.db.example.com", Some("DNS:*.db.example.com"))]
    #[case("10.0.0.5", Some("IP:10.0.0.5"))]
    #[case("::1", Some("IP:::1"))]
    #[case("", None)]
    #[case("a b", None)]
    #[case("db/CN=x", None)]
    #[case("db..example", None)]
    fn a_host_is_a_name_or_an_address(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(text.parse::<Host>().ok().map(|host| host.alternative_name()).as_deref(), expected);
    }

    #[rstest]
    #[case("kong", Some("kong"))]
    #[case("Kong", Some("\"Kong\""))]
    #[case("all", Some("\"all\""))]
    #[case("kong@example.com", Some("\"kong@example.com\""))]
    #[case("a/CN=b", None)]
    #[case("a\"b", None)]
    #[case("", None)]
    fn a_user_is_quoted_where_it_means_something_else(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(text.parse::<User>().ok().map(|user| user.quoted()).as_deref(), expected);
    }
}
