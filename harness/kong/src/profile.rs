//! A release of Kong: what it knows, defaults to and is built with, and what its driver can do.

use std::fmt;
use std::ops::RangeInclusive;

use crate::generation::{Generation, Lineage, X509Library};
use crate::openssl_line::OpensslLine;
use crate::stack::Stack;
use crate::words::UnknownWord;

/// An edition of Kong.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = unknown)]
pub enum Edition {
    /// The open-source edition: it has no client certificates, and drops their settings without a word.
    Oss,
    /// Kong Gateway Enterprise.
    Enterprise,
    /// No Kong at all: pgmoon by itself, which drops nothing.
    #[serde(skip)]
    Driver,
}

fn unknown(word: &str) -> UnknownWord {
    UnknownWord::of::<Edition>(word, "an edition")
}

/// A version of TLS, as far as it decides where `pg_ssl_version = any` starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum AnyStartsAt {
    #[serde(rename = "TLSv1")]
    V1_0,
    #[serde(rename = "TLSv1.1")]
    V1_1,
}

/// A release: one edition at one version. `releases.toml` has the source of each of its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub(crate) name: String,
    /// Open source or Enterprise.
    pub edition: Edition,
    /// The OpenSSL it is built with, and so the wording of its texts.
    pub openssl: OpensslLine,
    /// The stack that the command line connects with. While nginx starts it is LuaSec, in the workers a cosocket.
    pub command_line: Stack,
    pub(crate) driver: Generation,
    pub(crate) x509_library: X509Library,
    /// Whether its Lua libraries find the TLS session of a cosocket, which has the certificate that SCRAM is bound to.
    pub(crate) finds_tls_session: bool,
    /// The default of `pg_ssl_verify`.
    pub(crate) ssl_verify: bool,
    /// The default of `pg_ssl_version`.
    pub(crate) ssl_version: String,
    /// The values that `pg_ssl_version` may have; any, if there are none here.
    pub(crate) ssl_version_values: Vec<String>,
    pub(crate) any_starts_at: AnyStartsAt,
    /// The default of `lua_ssl_trusted_certificate`; nothing, if it is empty.
    pub(crate) trusted: String,
    /// The default of `lua_ssl_protocols`.
    pub(crate) protocols: String,
    /// The default of `lua_ssl_verify_depth`.
    pub(crate) verify_depth: u32,
    /// The settings that it drops without a word.
    pub(crate) ignored: Vec<String>,
    /// The settings that the read-only connection does not take over from the main one, without `pg_`.
    pub(crate) not_inherited: Vec<String>,
    pub(crate) postgres: Option<(u16, u16)>,
    pub(crate) end_of_life: Option<String>,
}

impl Profile {
    /// The value of `lua_ssl_trusted_certificate` where it is not set; empty, if the release has none.
    #[must_use]
    pub fn trusted_by_default(&self) -> &str {
        &self.trusted
    }

    /// The PostgreSQL majors that Kong's documents list for it, if they list any.
    #[must_use]
    pub fn postgres_majors(&self) -> Option<RangeInclusive<u16>> {
        self.postgres.map(|(first, last)| first..=last)
    }

    /// The last day of its support, as `2027-07-02`, if Kong's documents name one.
    #[must_use]
    pub fn end_of_life(&self) -> Option<&str> {
        self.end_of_life.as_deref()
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

    /// Whether its OpenSSL offers TLS 1.0 and 1.1 on a security level on which it then refuses them, as Debian's does.
    pub(crate) fn offers_old_versions(&self, security_level: u32) -> bool {
        self.edition == Edition::Driver && security_level > 0
    }

    /// Whether `pg_ssl_version = any` starts at TLS 1.0, and not at 1.1.
    #[must_use]
    pub fn any_is_from_1_0(&self) -> bool {
        self.any_starts_at == AnyStartsAt::V1_0
    }

    /// The lineage and the version of its driver.
    #[must_use]
    pub fn pgmoon(&self) -> (Lineage, &'static str) {
        (self.driver.lineage(), self.driver.version())
    }

    /// Whether its driver sends PostgreSQL's Terminate message before it closes a connection.
    #[must_use]
    pub fn sends_terminate(&self) -> bool {
        self.driver.sends_terminate()
    }

    /// Whether the driver's errors end the Lua VM of an nginx that starts, and with it properly its TLS connections.
    pub(crate) fn runs_in_kong(&self) -> bool {
        self.edition != Edition::Driver
    }

    /// Whether the read-only connection takes a setting over from the main one, by its name without `pg_`.
    pub(crate) fn inherits(&self, name: &str) -> bool {
        !self.not_inherited.iter().any(|other| other == name)
    }

    /// Whether this edition drops a setting without a word.
    #[must_use]
    pub fn ignores(&self, key: &str) -> bool {
        self.ignored.iter().any(|other| other == key)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
