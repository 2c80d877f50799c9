//! What is broken in a configuration.

use serde::{Deserialize, Serialize};

use certificate_trees::Tree;
use kong_pg_client::conf::{file_names, variable};
use kong_pg_scenarios::suite::{Case, Content, KongSide, PlannedFile, ServerSide, Situation};

/// One thing that is broken in the configuration of a case, in all of its steps.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumMessage,
    strum::EnumString,
    strum::VariantArray,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Mutation {
    /// The server has no TLS.
    ServerTlsOff,
    /// Kong does not request TLS.
    KongTlsOff,
    /// Kong requests TLS.
    KongTlsOn,
    /// The server lets everyone in: one line of pg_hba.conf, with the method trust.
    AnyLogin,
    /// The server lets no one in: one line of pg_hba.conf, with the method reject.
    NoLogin,
    /// Kong does not verify the server.
    NoVerification,
    /// Kong trusts another CA.
    OtherTrust,
    /// Kong verifies with its defaults: the system's CAs, and one intermediate.
    DefaultTrust,
    /// Kong shows another certificate, with its key.
    OtherCertificate,
    /// Kong shows no certificate.
    NoCertificate,
    /// The server has no CRL.
    NoRevocation,
    /// Kong continues without TLS.
    TlsOptional,
    /// Neither side limits the TLS versions.
    AnyVersion,
    /// Kong has another password.
    WrongPassword,
}

/// Certificates that are in the suite's trees and are not those of Kong's user.
const OTHER_CERTIFICATES: [&str; 3] = ["client-foo", "client-other", "foreign-client"];
const OTHER_CA: [&str; 2] = ["foreign-root.crt", "server-other.crt"];

/// Settings of kong.conf, each with that of the read-only connection.
type Key = [&'static str; 2];
const TLS: Key = ["pg_ssl", "pg_ro_ssl"];
const REQUIRED: Key = ["pg_ssl_required", "pg_ro_ssl_required"];
const VERIFY: Key = ["pg_ssl_verify", "pg_ro_ssl_verify"];
const VERSION: Key = ["pg_ssl_version", "pg_ro_ssl_version"];
const PASSWORD: Key = ["pg_password", "pg_ro_password"];

impl Mutation {
    /// The case with this broken; `None` if there is nothing to break.
    #[must_use]
    pub fn apply(self, case: &Case) -> Option<Case> {
        let mut mutant = case.clone();
        for step in &mut mutant.steps {
            self.mutate(&mut step.situation);
        }
        let is_broken = case.steps.iter().zip(&mutant.steps).any(|(step, broken)| step.situation != broken.situation);
        is_broken.then_some(mutant)
    }

    fn mutate(self, situation: &mut Situation) {
        let Situation { tree, server, kong, .. } = situation;
        match self {
            Self::ServerTlsOff => set(&mut server.conf, "ssl", "off"),
            Self::KongTlsOff => replace(kong, TLS, "off"),
            Self::KongTlsOn => give(kong, TLS, "on"),
            Self::AnyLogin => server.hba = vec!["host all all all trust".to_owned()],
            Self::NoLogin => server.hba = vec!["host all all all reject".to_owned()],
            Self::NoVerification => give(kong, VERIFY, "off"),
            Self::OtherTrust => {
                if let Some(other) = OTHER_CA.into_iter().find(|file| tree.artifact(file).is_some()) {
                    fill(kong, "lua_ssl_trusted_certificate", other);
                }
            }
            Self::DefaultTrust => remove(kong, &["lua_ssl_trusted_certificate", "lua_ssl_verify_depth"]),
            Self::OtherCertificate => {
                if let Some(other) = OTHER_CERTIFICATES.into_iter().find(|name| is_another(tree, kong, name)) {
                    fill(kong, "pg_ssl_cert", &format!("{other}.crt"));
                    fill(kong, "pg_ssl_cert_key", &format!("{other}.key"));
                }
            }
            Self::NoCertificate => remove(kong, &["pg_ssl_cert", "pg_ssl_cert_key"]),
            Self::NoRevocation => without(server, &["ssl_crl_file", "ssl_crl_dir"]),
            Self::TlsOptional => replace(kong, REQUIRED, "off"),
            Self::AnyVersion => {
                without(server, &["ssl_max_protocol_version"]);
                if let Some((_, minimum)) = server.conf.iter_mut().find(|(name, _)| name == "ssl_min_protocol_version")
                {
                    "TLSv1".clone_into(minimum);
                }
                remove(kong, &["lua_ssl_protocols"]);
                replace(kong, VERSION, "any");
            }
            Self::WrongPassword => replace(kong, PASSWORD, "wrong"),
        }
    }
}

fn set(conf: &mut Vec<(String, String)>, key: &str, value: &str) {
    match conf.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => value.clone_into(old),
        None => conf.push((key.to_owned(), value.to_owned())),
    }
}

fn without(server: &mut ServerSide, keys: &[&str]) {
    server.conf.retain(|(name, _)| !keys.contains(&name.as_str()));
}

/// Gives settings of Kong that are there another value, in kong.conf and in the environment.
fn replace(kong: &mut KongSide, keys: Key, value: &str) {
    for key in keys {
        for (name, old) in kong.settings.iter_mut().chain(&mut kong.environment) {
            if *name == key || *name == variable(key) {
                value.clone_into(old);
            }
        }
    }
}

/// The same, also where the first of them is not there.
fn give(kong: &mut KongSide, keys: Key, value: &str) {
    set(&mut kong.settings, keys[0], value);
    replace(kong, keys, value);
}

fn remove(kong: &mut KongSide, keys: &[&str]) {
    let is_kept = |(name, _): &(String, String)| !keys.iter().any(|key| name == key || *name == variable(key));
    kong.settings.retain(is_kept);
    kong.environment.retain(is_kept);
}

/// The values of a setting of Kong's.
fn values<'k>(kong: &'k KongSide, key: &'k str) -> impl Iterator<Item = &'k str> {
    let settings = kong.settings.iter().chain(&kong.environment);
    settings.filter(move |(name, _)| *name == key || *name == variable(key)).map(|(_, value)| value.as_str())
}

/// Puts another file of the tree into the files that a setting names.
fn fill(kong: &mut KongSide, key: &str, artifact: &str) {
    let names: Vec<_> = values(kong, key).flat_map(|value| file_names(value).map(str::to_owned)).collect();
    for name in names {
        if let Some(file) = kong.files.get_mut(&name) {
            file.content = Content::Artifacts(vec![artifact.to_owned()], certificate_trees::Format::default());
        }
    }
}

/// Whether a certificate of the tree is one that Kong does not show.
fn is_another(tree: &Tree, kong: &KongSide, name: &str) -> bool {
    let shown = values(kong, "pg_ssl_cert").flat_map(|value| file_names(value).map(str::to_owned)).collect::<Vec<_>>();
    let holds = |file: &PlannedFile| match &file.content {
        Content::Artifacts(parts, _) | Content::Between(_, parts, _) => {
            parts.iter().any(|part| part.strip_suffix(".crt") == Some(name))
        }
        Content::Own(..) => false,
    };
    tree.has_certificate(name) && !shown.iter().filter_map(|file| kong.files.get(file)).any(holds)
}

#[cfg(test)]
mod tests {
    use kong_pg_scenarios::suite::Suite;
    use strum::VariantArray;

    use super::*;

    fn suite() -> Suite {
        Suite::built_in().unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    fn find<'s>(suite: &'s Suite, id: &str) -> &'s Case {
        suite.cases().find(|case| case.id == id).expect("a case")
    }

    #[test]
    fn each_mutation_breaks_some_cases_and_leaves_the_expectation_alone() {
        let suite = suite();
        for mutation in Mutation::VARIANTS {
            let mutants = suite.cases().filter_map(|case| Some((case, mutation.apply(case)?)));
            let mutants: Vec<_> = mutants.collect();
            assert!(!mutants.is_empty(), "{mutation}");
            for (case, mutant) in mutants {
                assert_eq!((&case.id, case.steps.len()), (&mutant.id, mutant.steps.len()), "{mutation}");
            }
        }
    }

    #[test]
    fn what_is_not_configured_cannot_be_broken() {
        let suite = suite();
        let case = find(&suite, "verify/ca::another-ca.generated");
        assert!(Mutation::NoRevocation.apply(case).is_none());
        assert!(Mutation::NoCertificate.apply(case).is_none());
        assert!(Mutation::NoVerification.apply(case).is_some());
    }

    #[test]
    fn another_certificate_takes_the_place_of_kongs_in_the_file() {
        let suite = suite();
        let mutant = Mutation::OtherCertificate.apply(find(&suite, "mtls/cert::a-certificate.the-users.default"));
        let kong = mutant.expect("a mutant").steps[0].situation.kong.clone();
        let held = |file: &str| kong.files[file].content.clone();
        let one = |file: &str| Content::Artifacts(vec![file.to_owned()], certificate_trees::Format::default());
        assert_eq!(held("client.crt"), one("client-foo.crt"));
        assert_eq!(held("client.key"), one("client-foo.key"));
    }
}
