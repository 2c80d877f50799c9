//! What the releases of Kong know, default to and are built with, and what their drivers are capable of.
//!
//! From Kong's documentation and public source; `3.15-enterprise` is the newest patch of that line. What a driver does
//! was measured on pgmoon itself; the profiles that bear its name are those measurements, without a Kong around it.

use std::fmt;
use std::str::FromStr;

use crate::scenario::versions::OpensslLine;

/// Which Kong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edition {
    /// The open-source edition: it knows nothing of client certificates, and drops their settings without a word.
    Oss,
    /// Kong Gateway Enterprise.
    Enterprise,
    /// No Kong at all: a driver by itself, which drops nothing.
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
}

impl Driver {
    fn is_leafos(self) -> bool {
        matches!(self, Self::Leafo | Self::Oss)
    }

    /// Which certificates it can bind SCRAM to.
    pub(super) fn binding(self) -> Binding {
        match self {
            Self::Kong | Self::KongOn1_21_4 => Binding::Rsa,
            Self::Leafo => Binding::RsaAndEcdsa,
            Self::Oss => Binding::RsaAndEcdsaNew,
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
    pub(super) ssl_version: &'static str,
    pub(super) any_version: AnyVersion,
    pub(super) ssl_verify: bool,
    pub(super) trusted: Option<&'static str>,
    pub(super) protocols: &'static str,
    pub(super) verify_depth: u32,
}

/// The settings that only Enterprise knows.
const ENTERPRISE_ONLY: [&str; 4] = ["pg_ssl_required", "pg_ssl_version", "pg_ssl_cert", "pg_ssl_cert_key"];

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
            ssl_version,
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
        let enterprise = edition == Edition::Enterprise;
        let openssl = match version {
            (2, _) | (3, 0..4) => OpensslLine(1, 1),
            (3, 4..6) => OpensslLine(3, 1),
            (3, 6..10) => OpensslLine(3, 2),
            _ => OpensslLine(3, 4),
        };
        Self {
            name: format!("{}.{}-{}", version.0, version.1, if enterprise { "enterprise" } else { "oss" }),
            edition,
            openssl,
            driver: if enterprise { Driver::Kong } else { Driver::Oss },
            ssl_version: match (edition, version) {
                // The open-source edition's driver is never told a version.
                (Edition::Oss, _) => "any",
                (_, (2, _) | (3, 0..2)) => "tlsv1",
                _ => "tlsv1_2",
            },
            any_version: if enterprise && version < (3, 2) { AnyVersion::From1_0 } else { AnyVersion::From1_1 },
            ssl_verify: enterprise && version >= (3, 14),
            trusted: (version >= (3, 0)).then_some("system"),
            protocols: if version < (3, 7) { "TLSv1.1 TLSv1.2 TLSv1.3" } else { "TLSv1.2 TLSv1.3" },
            verify_depth: if enterprise && matches!(version, (3, 10 | 12..)) { 5 } else { 1 },
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
    use super::*;

    #[test]
    fn the_open_source_edition_ends_where_it_ended_and_knows_no_client_certificate() {
        let names: Vec<_> = Profile::all().iter().map(Profile::to_string).collect();
        assert!(names.contains(&"3.9-oss".to_owned()) && !names.contains(&"3.10-oss".to_owned()));
        assert!("3.9-oss".parse::<Profile>().expect("a release").ignores("pg_ssl_cert"));
        assert!(!Profile::newest().ignores("pg_ssl_cert"));
    }

    #[test]
    fn verification_is_on_by_default_since_3_14() {
        let verifies = |name: &str| name.parse::<Profile>().expect("a release").ssl_verify;
        assert!(!verifies("3.13-enterprise") && verifies("3.14-enterprise"));
    }
}
