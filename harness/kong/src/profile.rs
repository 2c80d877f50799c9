//! What the releases of Kong know, default to and are built with, and what their drivers are capable of.
//!
//! From Kong's documentation and public source; `3.15-enterprise` is the newest patch of that line. What a driver does
//! was measured on pgmoon itself; the profiles that bear its name are those measurements, without a Kong around it.

use std::fmt;
use std::str::FromStr;

use super::Stack;
use crate::OpensslLine;

/// Which Kong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Edition {
    /// The open-source edition: it knows nothing of client certificates, and drops their settings without a word.
    Oss,
    /// Kong Gateway Enterprise.
    Enterprise,
    /// No Kong at all: a driver by itself, which drops nothing.
    #[serde(skip)]
    Driver,
}

/// The versions that `pg_ssl_version = any` offers where LuaSec speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnyVersion {
    /// TLS 1.0 to 1.3.
    From1_0,
    /// TLS 1.1 to 1.3.
    From1_1,
}

/// Which signatures of a server certificate the driver can bind SCRAM to, and what it raises of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    /// Those made with RSA.
    Rsa,
    /// Those made with RSA and ECDSA.
    RsaAndEcdsa,
    /// The same, in the words of newer Lua libraries.
    RsaAndEcdsaNew,
    /// None: it does not find the TLS session that has the certificate.
    NoSession,
}

impl Binding {
    /// What is raised of a signature that SCRAM is not bound to; `{signature}` stands for its name.
    pub(super) fn raises(self) -> &'static str {
        match self {
            Self::Rsa | Self::RsaAndEcdsa => "x509.cert:digest: {signature}: invalid digest type",
            Self::RsaAndEcdsaNew => "x509:digest: invalid digest type \"UNDEF\"",
            Self::NoSession => "attempt to index local 'ssl' (a nil value)",
        }
    }
}

/// A lineage of pgmoon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// Kong's fork 2.2.0, the lineage of Enterprise.
    Kong,
    /// The same on Kong's OpenResty 1.21.4, whose handshake reads another option than the one the fork gives it.
    KongOn1_21_4,
    /// leafo's 1.16.0.
    Leafo,
    /// leafo's with Kong's changes to it, the lineage of the open-source edition.
    Oss,
    /// The same in Kong 3.6, whose Lua libraries do not find the TLS session of a cosocket.
    OssOf3_6,
}

impl Driver {
    fn is_leafos(self) -> bool {
        matches!(self, Self::Leafo | Self::Oss | Self::OssOf3_6)
    }

    /// Which certificates it can bind SCRAM to.
    pub(super) fn binding(self, stack: Stack) -> Binding {
        match self {
            Self::OssOf3_6 if stack == Stack::Cosocket => Binding::NoSession,
            Self::Kong | Self::KongOn1_21_4 => Binding::Rsa,
            Self::Leafo => Binding::RsaAndEcdsa,
            Self::Oss | Self::OssOf3_6 => Binding::RsaAndEcdsaNew,
        }
    }

    /// Whether it shows a client certificate on a cosocket.
    pub(super) fn has_client_certificates(self) -> bool {
        !self.is_leafos()
    }

    /// Whether it can be made to speak TLS 1.0 through LuaSec.
    pub(super) fn has_tls_1_0(self) -> bool {
        !self.is_leafos()
    }

    /// Whether it tells the server that it is going.
    pub(super) fn says_goodbye(self) -> bool {
        self.is_leafos()
    }
}

/// A release: one edition at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    name: String,
    /// Open-source or Enterprise.
    pub edition: Edition,
    /// The OpenSSL it is built with, and so the spelling of its texts.
    pub openssl: OpensslLine,
    pub(super) driver: Driver,
    /// The stack that speaks on the command line. While nginx starts it is LuaSec, in the workers a cosocket.
    pub command_line: Stack,
    pub(super) ssl_version: &'static str,
    /// The values that `pg_ssl_version` may have; any, if there are none here.
    pub(super) ssl_versions: &'static [&'static str],
    pub(super) any_version: AnyVersion,
    pub(super) ssl_verify: bool,
    pub(super) trusted: Option<&'static str>,
    pub(super) protocols: &'static str,
    pub(super) verify_depth: u32,
}

/// The settings that only Enterprise knows.
const ENTERPRISE_ONLY: [&str; 4] = ["pg_ssl_required", "pg_ssl_version", "pg_ssl_cert", "pg_ssl_cert_key"];

/// What Enterprise is like from one version on.
struct Line {
    since: (u8, u8),
    openssl: OpensslLine,
    ssl_version: &'static str,
    /// The values that `pg_ssl_version` may have; any, if there are none here.
    ssl_versions: &'static [&'static str],
    any_version: AnyVersion,
    ssl_verify: bool,
    trusted: Option<&'static str>,
    protocols: &'static str,
    verify_depth: u32,
}

const UP_TO_3_1: Line = Line {
    since: (2, 8),
    openssl: OpensslLine(1, 1),
    ssl_version: "tlsv1",
    ssl_versions: &[],
    any_version: AnyVersion::From1_0,
    ssl_verify: false,
    trusted: None,
    protocols: "TLSv1.1 TLSv1.2 TLSv1.3",
    verify_depth: 1,
};

const SINCE_3_2: Line = Line {
    since: (3, 2),
    ssl_version: "tlsv1_2",
    ssl_versions: &["tlsv1_1", "tlsv1_2", "tlsv1_3", "any"],
    any_version: AnyVersion::From1_1,
    trusted: Some("system"),
    ..UP_TO_3_1
};

const SINCE_3_7: Line = Line { since: (3, 7), openssl: OpensslLine(3, 2), protocols: "TLSv1.2 TLSv1.3", ..SINCE_3_2 };

/// Oldest first. The depth is that of the newest patch of each line.
const LINES: [Line; 10] = [
    UP_TO_3_1,
    Line { since: (3, 0), trusted: Some("system"), ..UP_TO_3_1 },
    SINCE_3_2,
    Line { since: (3, 4), openssl: OpensslLine(3, 1), ..SINCE_3_2 },
    Line { since: (3, 6), openssl: OpensslLine(3, 2), ..SINCE_3_2 },
    SINCE_3_7,
    Line { since: (3, 10), openssl: OpensslLine(3, 4), verify_depth: 5, ..SINCE_3_7 },
    Line { since: (3, 11), openssl: OpensslLine(3, 4), ..SINCE_3_7 },
    Line { since: (3, 12), openssl: OpensslLine(3, 4), verify_depth: 5, ..SINCE_3_7 },
    Line { since: (3, 14), openssl: OpensslLine(3, 4), verify_depth: 5, ssl_verify: true, ..SINCE_3_7 },
];

impl Profile {
    /// All releases, oldest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let lines = [(2, 8)].into_iter().chain((0..=15).map(|minor| (3, minor)));
        lines
            .flat_map(|version| {
                let oss = (version <= (3, 9)).then(|| Self::of(version, Edition::Oss));
                oss.into_iter().chain([Self::of(version, Edition::Enterprise)])
            })
            .collect()
    }

    /// The drivers that were measured by themselves.
    #[must_use]
    pub fn drivers() -> Vec<Self> {
        let measured = |name: &str, driver, ssl_version, any_version| Self {
            name: name.to_owned(),
            edition: Edition::Driver,
            openssl: OpensslLine(3, 0),
            driver,
            command_line: Stack::Cosocket,
            ssl_version,
            ssl_versions: &[],
            any_version,
            ssl_verify: false,
            trusted: None,
            protocols: "TLSv1.2 TLSv1.3",
            verify_depth: 1,
        };
        vec![
            measured("pgmoon-kong-2.2.0", Driver::Kong, "tlsv1_2", AnyVersion::From1_0),
            measured("pgmoon-kong-any", Driver::Kong, "any", AnyVersion::From1_1),
            measured("pgmoon-kong-1.21.4", Driver::KongOn1_21_4, "tlsv1_2", AnyVersion::From1_0),
            measured("pgmoon-leafo-1.16.0", Driver::Leafo, "any", AnyVersion::From1_1),
        ]
    }

    /// The newest Enterprise release.
    #[must_use]
    pub fn newest() -> Self {
        Self::of((3, 15), Edition::Enterprise)
    }

    fn of(version: (u8, u8), edition: Edition) -> Self {
        let line = LINES.iter().rev().find(|line| line.since <= version).unwrap_or(&UP_TO_3_1);
        let enterprise = Self {
            name: format!("{}.{}-enterprise", version.0, version.1),
            edition,
            openssl: line.openssl,
            driver: Driver::Kong,
            command_line: if version < (3, 5) { Stack::Luasec } else { Stack::Cosocket },
            ssl_version: line.ssl_version,
            ssl_versions: line.ssl_versions,
            any_version: line.any_version,
            ssl_verify: line.ssl_verify,
            trusted: line.trusted,
            protocols: line.protocols,
            verify_depth: line.verify_depth,
        };
        match edition {
            Edition::Enterprise | Edition::Driver => enterprise,
            // Its driver is never told a version.
            Edition::Oss => Self {
                name: format!("{}.{}-oss", version.0, version.1),
                driver: if version == (3, 6) { Driver::OssOf3_6 } else { Driver::Oss },
                ssl_version: "any",
                ssl_versions: &[],
                any_version: AnyVersion::From1_1,
                ssl_verify: false,
                verify_depth: 1,
                ..enterprise
            },
        }
    }

    /// The security level that its OpenSSL has by default. What OpenSSL 1.1.1 allows on its level 1, newer ones allow
    /// on level 0 only.
    #[must_use]
    pub fn security_level(&self) -> u32 {
        match (self.edition, self.openssl) {
            // Measured on Debian, whose OpenSSL 3.0 has the level that 3.2 has.
            (Edition::Driver, _) => 2,
            (_, line) if line < OpensslLine(3, 0) => 0,
            (_, line) if line < OpensslLine(3, 2) => 1,
            _ => 2,
        }
    }

    /// Whether its OpenSSL offers TLS 1.0 and 1.1 on a security level on which it then refuses them.
    pub(super) fn offers_old_versions(&self, security_level: u32) -> bool {
        self.edition == Edition::Driver && security_level > 0
    }

    /// Whether `pg_ssl_version = any` begins with TLS 1.0, and not with 1.1.
    pub fn any_is_from_1_0(&self) -> bool {
        self.any_version == AnyVersion::From1_0
    }

    /// Whether its driver tells the server that it is going.
    #[must_use]
    pub fn says_goodbye(&self) -> bool {
        self.driver.says_goodbye()
    }

    /// Whether the read-only connection takes a setting over from the main one, by its name without `pg_`.
    pub(super) fn inherits(&self, name: &str) -> bool {
        !matches!((name, self.edition), ("host", _) | ("ssl" | "ssl_verify", Edition::Oss))
    }

    /// Whether this edition drops a setting without a word.
    #[must_use]
    pub fn ignores(&self, key: &str) -> bool {
        self.edition == Edition::Oss && ENTERPRISE_ONLY.contains(&key)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Profile {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::all().into_iter().chain(Self::drivers());
        known().find(|profile| profile.name == text).ok_or_else(|| {
            let names = known().map(|profile| profile.name).collect::<Vec<_>>().join(", ");
            format!("no Kong release is known as `{text}`; expected one of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_open_source_edition_ends_where_it_ended_and_knows_no_client_certificate() {
        let names: Vec<_> = Profile::all().iter().map(Profile::to_string).collect();
        assert!(names.contains(&"3.9-oss".to_owned()) && !names.contains(&"3.10-oss".to_owned()));
        assert!("3.9-oss".parse::<Profile>().expect("a release").ignores("pg_ssl_cert"));
        assert!(!Profile::newest().ignores("pg_ssl_cert"));
    }

    /// What the releases' own documents say of them.
    #[rstest]
    #[case("2.8-enterprise", ("tlsv1", None, "TLSv1.1 TLSv1.2 TLSv1.3", 1), OpensslLine(1, 1))]
    #[case("3.1-enterprise", ("tlsv1", Some("system"), "TLSv1.1 TLSv1.2 TLSv1.3", 1), OpensslLine(1, 1))]
    #[case("3.3-enterprise", ("tlsv1_2", Some("system"), "TLSv1.1 TLSv1.2 TLSv1.3", 1), OpensslLine(1, 1))]
    #[case("3.5-enterprise", ("tlsv1_2", Some("system"), "TLSv1.1 TLSv1.2 TLSv1.3", 1), OpensslLine(3, 1))]
    #[case("3.9-enterprise", ("tlsv1_2", Some("system"), "TLSv1.2 TLSv1.3", 1), OpensslLine(3, 2))]
    #[case("3.10-enterprise", ("tlsv1_2", Some("system"), "TLSv1.2 TLSv1.3", 5), OpensslLine(3, 4))]
    #[case("3.11-enterprise", ("tlsv1_2", Some("system"), "TLSv1.2 TLSv1.3", 1), OpensslLine(3, 4))]
    #[case("3.15-enterprise", ("tlsv1_2", Some("system"), "TLSv1.2 TLSv1.3", 5), OpensslLine(3, 4))]
    #[case("3.9-oss", ("any", Some("system"), "TLSv1.2 TLSv1.3", 1), OpensslLine(3, 2))]
    fn a_release_defaults_to_what_it_says(
        #[case] name: &str,
        #[case] defaults: (&str, Option<&str>, &str, u32),
        #[case] openssl: OpensslLine,
    ) {
        let Profile { ssl_version, trusted, protocols, verify_depth, openssl: line, .. } =
            name.parse().expect("a release");
        assert_eq!(((ssl_version, trusted, protocols, verify_depth), line), (defaults, openssl));
    }

    #[test]
    fn the_command_line_speaks_through_a_cosocket_since_3_5() {
        let stack = |name: &str| name.parse::<Profile>().expect("a release").command_line;
        assert_eq!((stack("3.4-enterprise"), stack("3.5-oss")), (Stack::Luasec, Stack::Cosocket));
    }

    #[test]
    fn verification_is_on_by_default_since_3_14() {
        let verifies = |name: &str| name.parse::<Profile>().expect("a release").ssl_verify;
        assert!(!verifies("3.13-enterprise") && verifies("3.14-enterprise"));
    }
}
