//! Which versions the last green run had, for telling whether a package has changed since.

use postgres_tls_server::{Major, ServerFacts};

use crate::record::PostgresRecord;

/// Lines of a major, its version and that of its OpenSSL, as `ci/record-versions` writes them.
const RECORDED: &str = include_str!("../../../../ci/last-green.txt");

/// What has changed against the last green run on that major; `None` if nothing has, or if nothing is recorded of it.
pub(super) fn changed(server: &PostgresRecord) -> Option<String> {
    changed_since(RECORDED, server)
}

/// The server of the last green run on a major; of one that is not recorded, nothing but the major is known.
pub(super) fn facts(major: Major) -> ServerFacts {
    let versions = recorded_of(RECORDED, major);
    let openssl = versions.map(|(_, openssl)| openssl.to_owned());
    let version = versions.map_or_else(|| major.to_string(), |(version, _)| version.into());
    ServerFacts { major, version, openssl, has_tls: true }
}

/// The versions of PostgreSQL and OpenSSL that are recorded of a major.
fn recorded_of(recorded: &str, major: Major) -> Option<(&str, &str)> {
    let major = major.to_string();
    let mut lines = recorded.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find_map(|line| match line[..] {
        [of, version, openssl] if of == major => Some((version, openssl)),
        _ => None,
    })
}

fn changed_since(recorded: &str, server: &PostgresRecord) -> Option<String> {
    let (major, (version, openssl)) = (server.major, recorded_of(recorded, server.major)?);
    let known = server.version.as_deref()?;
    if known == version && server.openssl.as_deref().is_none_or(|known| known == openssl) {
        return None;
    }
    Some(format!("the last green run on {major} was of PostgreSQL {version} with OpenSSL {openssl}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("17.11", Some("3.5.7"), None)]
    #[case("17.11", None, None)]
    #[case("17.11", Some("3.5.9"), Some("the last green run on 17 was of PostgreSQL 17.11 with OpenSSL 3.5.7"))]
    #[case("17.12", Some("3.5.7"), Some("the last green run on 17 was of PostgreSQL 17.11 with OpenSSL 3.5.7"))]
    fn a_package_that_has_changed_is_named(
        #[case] version: &str,
        #[case] openssl: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let recorded = "# a comment\n15 15.18 3.0.19\n17 17.11 3.5.7\n";
        let mut server =
            PostgresRecord { major: Major(17), version: Some(version.into()), openssl: openssl.map(str::to_owned) };
        assert_eq!(changed_since(recorded, &server).as_deref(), expected);
        server.major = Major(18);
        assert_eq!(changed_since(recorded, &server), None, "nothing is recorded of it");
    }

    #[test]
    fn every_line_of_the_record_is_understood() {
        for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [major, version, _] = fields[..] else { panic!("{line}") };
            assert!(major.parse::<Major>().is_ok() && version.starts_with(major), "{line}");
        }
    }
}
