//! The kinds of faults: how bad, why, what to do, and the cases of the suite that prove it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::severity::Severity;

macro_rules! codes {
    ($($code:ident)+) => {
        /// The code of a fault, as `--json` and SARIF have it: in kebab-case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "catalog.yaml says what each of them means")]
        pub enum Code { $($code,)+ }

        impl Code {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$code,)+];
        }
    };
}

codes! {
    SwitchOff QuotedValue QuotedPassword QuotedInEnvFile NotAString InvalidValue NotANumber UnknownProtocol
    UnknownSetting IgnoredByEdition SetTwice StalePrefix NoDatabase
    TlsOff VerifyWithoutRequired TlsNotRequired VerificationOff VerifyByDefault NothingTrusted HostNotChecked
    RoutedByName
    ReadOnlyPlaintext ReadOnlyUnverified ReadOnlyWithoutRequired
    VersionTooOld VersionIgnored VersionsDiffer
    ScramCrash PasswordMissing
    FileMissing FileUnreadable FileNotLookedAt FileIsFolder FileEmpty FileIsDer NoCertificate NoKey
    CertificateWithoutKey KeyWithoutCertificate KeyMismatch KeyEncrypted
    LeafAsCa IntermediateWithoutRoot
    CertificateExpired CertificateNotYetValid CertificateExpiring
    WrongPurpose WeakCertificate ClientChainIncomplete
    ServerTlsOff ServerKeyMode ServerKeyOfRoot ServerCaMissing ServerSetting ServerNotVerified ChainTooDeep
    VersionsNeverMeet ClientNotVerified CrlExpired UnboundSignature
    HbaLine HbaShadowed HbaNoMatch HbaTlsWanted HbaPlaintextWanted HbaRejects HbaPlaintextAllowed
    ClientCertificateWanted NameMismatch MapMissing MapMismatch IdentLine
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What is known of a kind of fault.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How bad it is, as a rule.
    pub severity: Severity,
    /// Why it matters.
    pub why: String,
    /// What to do about it.
    pub fix: String,
    /// The cases that prove it; none where it is a matter of another product's, such as YAML's.
    #[serde(default)]
    pub cells: Vec<Proof>,
}

/// A case of the suite, and what it shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The case's id, without the axes.
    pub case: String,
    /// What happens in it.
    pub shows: Shows,
}

/// The outcome of a case that proves a fault, with one of Kong's stacks at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shows {
    /// Kong does not connect.
    Refused,
    /// The two stacks end differently: one connects, one does not.
    OneStackRefused,
    /// Kong connects in plaintext.
    Plaintext,
    /// Kong connects in TLS all the same, which is the point.
    Tls,
    /// The server refuses its configuration, or logs a fault while it takes it.
    ServerComplains,
}

/// What is known of a code.
///
/// # Panics
/// Never: a test holds every code to have an entry.
#[must_use]
pub fn entry(code: Code) -> &'static Entry {
    static CATALOG: OnceLock<BTreeMap<Code, Entry>> = OnceLock::new();
    let catalog = CATALOG.get_or_init(|| match serde_yaml::from_str(include_str!("catalog.yaml")) {
        Ok(catalog) => catalog,
        Err(error) => panic!("catalog.yaml: {error}"),
    });
    &catalog[&code]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_catalog_with_a_reason_and_a_fix() {
        for code in Code::ALL {
            let Entry { why, fix, .. } = entry(*code);
            assert!(why.ends_with('.') && fix.ends_with('.'), "{code}");
        }
    }
}
