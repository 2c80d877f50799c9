//! What changes for a configuration, from the facts of both releases: nothing is run for it.

use std::path::PathBuf;

use serde::Serialize;

use kong_pg_client::conf::{KongConf, variable};
use kong_pg_client::{ConnectionRole, Profile, Settings, Trusted};
use kong_pg_scenarios::suite::{TextVersion, Texts};
use postgres_tls_server::Major;

/// Something that is not the same in both releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is: `pg_ssl_verify`, `OpenSSL`.
    pub what: String,
    /// What it is in the old release.
    pub before: String,
    /// What it is in the new one.
    pub after: String,
    /// What to do about it, if something is to be done.
    pub fix: Option<String>,
    /// Whether a connection may fail for it, or be less safe.
    pub worse: bool,
}

/// A text that is not the same on both versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedText {
    /// Its name in texts.yaml.
    pub text: String,
    /// Its lines on the old version.
    pub before: Vec<String>,
    /// Its lines on the new one.
    pub after: Vec<String>,
}

/// The facts that change for settings, by name and value.
pub(super) fn facts(settings: &[(String, String)], from: &Profile, to: &Profile) -> Vec<Fact> {
    let mut facts = Vec::new();
    let (before, after) = (read(settings, from), read(settings, to));
    let is_set = |key: &str| settings.iter().any(|(name, _)| name == key);
    if let (Ok(before), Ok(after)) = (&before, &after) {
        let asks_for_tls = before.ssl;
        let on = |value: bool| if value { "on" } else { "off" }.to_owned();
        let defaults = [
            ("pg_ssl_verify", on(before.ssl_verify), on(after.ssl_verify)),
            ("pg_ssl_version", before.ssl_version.clone(), after.ssl_version.clone()),
            ("lua_ssl_trusted_certificate", trusted(&before.trusted), trusted(&after.trusted)),
            ("lua_ssl_protocols", before.protocols.clone(), after.protocols.clone()),
            ("lua_ssl_verify_depth", before.verify_depth.clone(), after.verify_depth.clone()),
        ];
        for (key, before, after) in defaults.into_iter().filter(|(key, before, after)| before != after && !is_set(key))
        {
            facts.push(default(key, before, after, asks_for_tls));
        }
    }
    let told = |read: Result<Settings, String>| read.map_or_else(|error| error, |_| "it is taken".to_owned());
    let (before, after) = (told(before), told(after));
    if before != after {
        let worse = after != "it is taken";
        let fix = worse.then(|| "Set a value that the new release takes before the upgrade.".to_owned());
        facts.push(Fact { what: "the value of a setting".into(), before, after, fix, worse });
    }
    for (key, value) in settings.iter().filter(|(key, _)| from.ignores(key) != to.ignores(key)) {
        let word = |profile: &Profile| if profile.ignores(key) { "ignored" } else { "used" }.to_owned();
        let worse = to.ignores(key);
        let fix = if worse {
            format!("{to} has no {key}: do not rely on it.")
        } else {
            format!("Check that `{key} = {value}` is what you want: it takes effect for the first time.")
        };
        facts.push(Fact { what: key.clone(), before: word(from), after: word(to), fix: Some(fix), worse });
    }
    let pairs = [
        ("the command line's TLS stack", from.command_line.to_string(), to.command_line.to_string()),
        ("OpenSSL", from.openssl.to_string(), to.openssl.to_string()),
        ("OpenSSL's security level", from.security_level().to_string(), to.security_level().to_string()),
        ("supported PostgreSQL", majors(from), majors(to)),
        ("end of life", end_of_life(from), end_of_life(to)),
    ];
    for (what, before, after) in pairs.into_iter().filter(|(_, before, after)| before != after) {
        facts.push(Fact { what: what.into(), before, after, fix: None, worse: false });
    }
    facts
}

/// The default of a setting that the configuration does not have.
fn default(key: &str, before: String, after: String, asks_for_tls: bool) -> Fact {
    let verifies = key == "pg_ssl_verify" && after == "on" && asks_for_tls;
    let fix = if verifies {
        "Add the CA of the server's certificate to lua_ssl_trusted_certificate. `pg_ssl_verify = off` keeps the old \
         behaviour, without protection against an impostor."
            .to_owned()
    } else {
        format!("`{key} = {before}` keeps the old default.")
    };
    Fact { what: format!("{key}, by default"), before, after, fix: Some(fix), worse: verifies }
}

/// The settings as a release reads them, or the text with which it stops. Files are not looked for.
fn read(settings: &[(String, String)], profile: &Profile) -> Result<Settings, String> {
    let settings = settings.iter().filter(|(key, _)| key != "lua_ssl_trusted_certificate");
    let conf = settings.fold(KongConf::default(), |conf, (key, value)| conf.with_variable(&variable(key), value));
    Settings::read(&conf, profile, ConnectionRole::Main, ("127.0.0.1", 5432), PathBuf::new())
        .map_err(|error| error.to_string())
}

fn trusted(trusted: &Trusted) -> String {
    match trusted {
        Trusted::Combined(_) => "system",
        Trusted::Nothing | Trusted::Emptied => "nothing",
    }
    .to_owned()
}

fn majors(profile: &Profile) -> String {
    let range = profile.postgres_majors();
    range.map_or_else(|| "not listed".into(), |range| format!("{} to {}", range.start(), range.end()))
}

fn end_of_life(profile: &Profile) -> String {
    profile.end_of_life().unwrap_or("not known").to_owned()
}

/// The texts that differ between the two sides' versions.
pub(super) fn texts(
    texts: &Texts,
    (from, to): (&Profile, &Profile),
    postgres: Option<(Major, Major)>,
) -> Vec<ChangedText> {
    let kong = (TextVersion::Openssl(from.openssl), TextVersion::Openssl(to.openssl));
    let server = postgres.map(|(from, to)| (TextVersion::Postgres(from), TextVersion::Postgres(to)));
    let mut changed = Vec::new();
    for (from, to) in [Some(kong), server].into_iter().flatten() {
        for name in texts.0.keys() {
            let (Some(before), Some(after)) = (texts.get(name, from), texts.get(name, to)) else { continue };
            if before != after {
                let (before, after) = (before.lines().to_vec(), after.lines().to_vec());
                changed.push(ChangedText { text: name.clone(), before, after });
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn changed(settings: &[(&str, &str)], from: &str, to: &str) -> Vec<Fact> {
        let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let release = |name: &str| name.parse::<Profile>().unwrap_or_else(|error| panic!("{error}"));
        facts(&settings, &release(from), &release(to))
    }

    #[rstest]
    #[case::default_flips(&[("pg_ssl", "on")], "3.13-enterprise", "3.14-enterprise", "pg_ssl_verify, by default", true)]
    #[case::value_not_taken(
        &[("pg_ssl_version", "tlsv1")], "3.1-enterprise", "3.2-enterprise", "the value of a setting", true
    )]
    #[case::no_longer_known(
        &[("pg_ssl_cert", "/a.crt")], "3.9-enterprise", "3.9-oss", "pg_ssl_cert", true
    )]
    #[case::newly_known(&[("pg_ssl_required", "on")], "3.9-oss", "3.9-enterprise", "pg_ssl_required", false)]
    #[case::stack(&[("pg_ssl", "on")], "3.4-enterprise", "3.5-enterprise", "the command line's TLS stack", false)]
    fn a_change_is_found(
        #[case] settings: &[(&str, &str)],
        #[case] from: &str,
        #[case] to: &str,
        #[case] what: &str,
        #[case] worse: bool,
    ) {
        let facts = changed(settings, from, to);
        let fact = facts.iter().find(|fact| fact.what == what).unwrap_or_else(|| panic!("{facts:#?}"));
        assert_eq!(fact.worse, worse, "{fact:?}");
    }

    #[test]
    fn a_default_is_no_matter_where_the_setting_is_made() {
        let facts = changed(&[("pg_ssl", "on"), ("pg_ssl_verify", "off")], "3.13-enterprise", "3.14-enterprise");
        assert!(facts.iter().all(|fact| !fact.worse), "{facts:#?}");
    }

    #[test]
    fn without_tls_no_default_about_it_is_for_the_worse() {
        let facts = changed(&[("pg_ssl", "off")], "3.13-enterprise", "3.14-enterprise");
        assert!(facts.iter().all(|fact| !fact.worse), "{facts:#?}");
    }

    #[test]
    fn nothing_changes_from_a_release_to_itself() {
        assert_eq!(changed(&[("pg_ssl", "on")], "3.15-enterprise", "3.15-enterprise"), []);
    }
}
