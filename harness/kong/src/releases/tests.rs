use std::io::Write as _;

use rstest::rstest;

use super::*;
use crate::generation::Lineage;
use crate::openssl_line::OpensslLine;
use crate::stack::Stack;

fn release(name: &str) -> Profile {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_open_source_edition_ends_at_3_9_and_has_no_client_certificates() {
    let names: Vec<_> = Profile::all().iter().map(Profile::to_string).collect();
    assert!(names.contains(&"3.9-oss".to_owned()) && !names.contains(&"3.10-oss".to_owned()));
    assert!(release("3.9-oss").ignores("pg_ssl_cert") && !Profile::newest().ignores("pg_ssl_cert"));
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), unique.len()), (29, 29));
}

/// The defaults that `scenarios/defaults` proves, and others that no connection shows.
#[rstest]
#[case("2.8-enterprise", ("tlsv1", "", "TLSv1.1 TLSv1.2 TLSv1.3", 1, false), OpensslLine(1, 1))]
#[case("3.1-enterprise", ("tlsv1", "system", "TLSv1.1 TLSv1.2 TLSv1.3", 1, false), OpensslLine(1, 1))]
#[case("3.3-enterprise", ("tlsv1_2", "system", "TLSv1.1 TLSv1.2 TLSv1.3", 1, false), OpensslLine(1, 1))]
#[case("3.4-enterprise", ("tlsv1_2", "system", "TLSv1.1 TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 5))]
#[case("3.4.3.23-enterprise", ("tlsv1_2", "system", "TLSv1.1 TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 1))]
#[case("3.5-enterprise", ("tlsv1_2", "system", "TLSv1.1 TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 1))]
#[case("3.9-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 2))]
#[case("3.10.0.8-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 4))]
#[case("3.10.0.9-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 5))]
#[case("3.10-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 5, false), OpensslLine(3, 5))]
#[case("3.11-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 5))]
#[case("3.13-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 5, false), OpensslLine(3, 5))]
#[case("3.14-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 5, true), OpensslLine(3, 5))]
#[case("3.14.0.6-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 1, true), OpensslLine(3, 5))]
#[case("3.15.0.0-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 1, true), OpensslLine(3, 5))]
#[case("3.16-enterprise", ("tlsv1_2", "system", "TLSv1.2 TLSv1.3", 5, true), OpensslLine(3, 5))]
#[case("3.9-oss", ("any", "system", "TLSv1.2 TLSv1.3", 1, false), OpensslLine(3, 2))]
fn a_release_has_its_defaults(
    #[case] name: &str,
    #[case] defaults: (&str, &str, &str, u32, bool),
    #[case] openssl: OpensslLine,
) {
    let profile = release(name);
    let Profile { ssl_version, trusted, protocols, verify_depth, ssl_verify, .. } = &profile;
    assert_eq!((ssl_version.as_str(), trusted.as_str(), protocols.as_str(), *verify_depth, *ssl_verify), defaults);
    assert_eq!((profile.to_string().as_str(), profile.openssl), (name, openssl));
}

/// What a release's pgmoon can do, and what its OpenSSL refuses. `scenarios` prove the first, `tests/measured` the second.
#[rstest]
#[case("2.8-oss", "leafo 1.16.0", 0)]
#[case("3.0-oss", "leafo 1.15.0", 0)]
#[case("3.4-oss", "leafo 1.16.2", 1)]
#[case("3.9-oss", "leafo 1.16.2", 2)]
#[case("2.8-enterprise", "Kong 2.2.0", 0)]
#[case("3.5-enterprise", "Kong 2.2.0", 1)]
#[case("3.9-enterprise", "Kong 2.2.0", 2)]
#[case("pgmoon-kong-2.2.0", "Kong 2.2.0", 2)]
#[case("pgmoon-kong-1.21.4", "Kong 2.2.0", 2)]
fn a_release_can_do_what_its_driver_and_its_openssl_can(
    #[case] name: &str,
    #[case] pgmoon: &str,
    #[case] security_level: u32,
) {
    let profile = release(name);
    let driver = profile.driver;
    let (lineage, version) = profile.pgmoon();
    assert_eq!(format!("{lineage} {version}"), pgmoon);
    let is_kongs = lineage == Lineage::Kong;
    assert_eq!(
        (driver.has_client_certificates(), driver.has_tls_1_0(), driver.drops_socket()),
        (is_kongs, is_kongs, is_kongs)
    );
    assert_eq!((profile.sends_terminate(), driver.sends_terminate()), (!is_kongs, !is_kongs));
    assert_eq!((driver.raises_unknown_mechanism(), driver.reads_headers_whole()), (!is_kongs, !is_kongs));
    assert_eq!(driver.never_verifies(), name == "pgmoon-kong-1.21.4");
    // Debian's OpenSSL, with which the drivers were measured, offers TLS 1.0 and refuses it.
    let is_a_release = !name.starts_with("pgmoon");
    assert_eq!(profile.runs_in_kong(), is_a_release);
    assert_eq!(profile.security_level(), security_level);
    assert_eq!((profile.offers_old_versions(0), profile.offers_old_versions(1)), (false, !is_a_release));
    assert_eq!(profile.trusted_by_default(), if name.starts_with("2.8") || !is_a_release { "" } else { "system" });
}

#[test]
fn the_newest_release_is_what_the_data_says() {
    assert_eq!(Releases::built_in().newest().to_string(), "3.16-enterprise");
}

#[test]
fn the_command_line_connects_through_a_cosocket_since_3_5() {
    let stack = |name: &str| release(name).command_line;
    assert_eq!((stack("3.4-enterprise"), stack("3.5-oss")), (Stack::Luasec, Stack::Cosocket));
}

#[test]
fn support_is_a_matter_of_the_release() {
    let newest = release("3.15-enterprise");
    assert_eq!((newest.postgres_majors(), newest.end_of_life()), (Some(13..=17), Some("2027-07-02")));
    assert_eq!(release("3.8-enterprise").postgres_majors(), Some(12..=16));
    assert_eq!(release("3.16-enterprise").end_of_life(), None);
}

#[rstest]
#[case("3.9", "`3.9` may be 3.9-oss or 3.9-enterprise")]
#[case("3.9.1", "`3.9.1` may be 3.9.1-oss or 3.9.1-enterprise")]
#[case(
    "3.15-enterprize",
    "no Kong release is known as `3.15-enterprize`; did you mean 3.15-enterprise? releases run from 2.8-oss to \
     3.16-enterprise, and a patch is written like 3.10.0.9-enterprise"
)]
#[case(
    "latest",
    "no Kong release is known as `latest`; releases run from 2.8-oss to 3.16-enterprise, and a patch is written like \
     3.10.0.9-enterprise"
)]
fn a_name_that_is_no_release_gets_a_hint(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(name.parse::<Profile>().expect_err("no release").to_string(), expected);
}

#[test]
fn an_edition_may_be_left_out_where_there_is_only_one() {
    assert_eq!(release("3.10").to_string(), "3.10-enterprise");
    assert_eq!(release("3.10.0.9").to_string(), "3.10.0.9-enterprise");
    assert!("3.99.0.1".parse::<Profile>().is_err());
}

fn with(text: &str) -> Result<Releases, ReleasesError> {
    Releases::built_in().clone().with_text(Path::new("mine.toml"), text)
}

#[test]
fn a_file_adds_a_release_and_it_becomes_the_newest() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let text = "[sources]\nmine = 'a test'\n[[release]]\nname = '3.17'\nedition = 'enterprise'\n\
                like = '3.16-enterprise'\nlua_ssl_verify_depth = { is = 7, from = 'mine' }\n";
    file.write_all(text.as_bytes()).expect("a file");
    let releases = Releases::built_in().clone().with_file(file.path()).expect("releases");
    let newest = releases.newest();
    assert_eq!((newest.to_string().as_str(), newest.verify_depth), ("3.17-enterprise", 7));
    assert!(newest.ssl_verify);
}

#[test]
fn a_row_takes_the_place_of_the_one_of_its_name() {
    let text = "[[release]]\nname = '3.9'\nedition = 'oss'\nlike = '3.8-oss'\n\
                lua_ssl_verify_depth = { is = 9, from = 'assumed' }\n";
    let releases = with(text).expect("releases");
    assert_eq!(releases.find("3.9-oss").expect("a release").verify_depth, 9);
    assert_eq!(releases.all().len(), Profile::all().len());
}

#[rstest]
#[case("[[release]]\nedition = 'oss'", "1:1: missing field `name`")]
#[case("[[release]]\nname = '4.0'\nlike = '3.9-oss'", "2:8: a release needs an edition, which is oss or enterprise")]
#[case("[[release]]\nname = 'x'\nedition = 'oss'", "2:8: `x` is not a version of Kong; one looks like 3.9 or 3.10.0.9")]
#[case("[[release]]\nname = '3'\nedition = 'oss'", "2:8: `3` is not a version of Kong; one looks like 3.9 or 3.10.0.9")]
#[case("[[release]]\nname = '4.0'\nedition = 'free'", "3:11: unknown variant `free`, expected `oss` or `enterprise`")]
#[case("[[release]]\nname = '4.0'\nedition = 'oss'", "2:8: the release has no `openssl`, and is like none that has")]
#[case(
    "[[release]]\nname = '4.0'\nedition = 'oss'\nlike = '3.99-oss'",
    "4:8: no release before this one is called `3.99-oss`; a name looks like 3.9-oss or 3.10.0.9-enterprise"
)]
#[case(
    "[[release]]\nname = '4.0'\nedition = 'oss'\nlike = '3.9-oss'\nopenssl = { is = '3.5', from = 'nowhere' }",
    "5:32: `openssl` is from `nowhere`, which is not in [sources]"
)]
#[case(
    "[[release]]\nname = '4.0'\nedition = 'oss'\nlike = '3.9-oss'\nopenssl = { is = '3.5' }",
    "5:11: missing field `from`"
)]
#[case(
    "[[release]]\nname = '4.0'\nedition = 'oss'\nlike = '3.9-oss'\nopenssl = { is = 'three', from = 'assumed' }",
    "5:18: `three` is not an OpenSSL release; one looks like 3.0 or 1.1.1"
)]
#[case("releases = []", "1:1: unknown field `releases`, expected one of `sources`, `release`, `driver`")]
#[case("[[release]", "1:11: unclosed array table, expected `]`")]
fn a_mistake_in_a_file_is_reported_with_its_place(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(with(text).expect_err("an error").to_string(), format!("mine.toml:{expected}"));
}

#[test]
fn what_is_no_file_of_releases_is_refused() {
    let error = |path: &str| Releases::default().with_file(Path::new(path)).expect_err("an error").to_string();
    assert_eq!(error("/"), "/ is not a file of releases: it is no regular file");
    assert_eq!(error("/dev/zero"), "/dev/zero is not a file of releases: it is no regular file");
    assert_eq!(error("/nonexistent"), "cannot read /nonexistent: No such file or directory (os error 2)");
    let program = std::env::current_exe().expect("this program");
    let error = error(&program.to_string_lossy());
    assert!(error.contains("is not a file of releases"), "{error}");
}

#[rstest]
#[case(1024 * 1024, None)]
#[case(1024 * 1024 + 1, Some("is not a file of releases: it is larger than 1 MB"))]
fn a_file_has_at_most_one_megabyte(#[case] size: usize, #[case] expected: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("large.toml");
    std::fs::write(&file, "\n".repeat(size)).expect("a file");
    let error = Releases::built_in().clone().with_file(&file).err().map(|error| error.to_string());
    assert_eq!(error, expected.map(|why| format!("{} {why}", file.display())));
}

#[test]
fn drivers_were_measured_by_themselves() {
    let names: Vec<_> = Releases::built_in().drivers().iter().map(Profile::to_string).collect();
    assert_eq!(names, ["pgmoon-kong-2.2.0", "pgmoon-kong-any", "pgmoon-kong-1.21.4", "pgmoon-leafo-1.16.0"]);
}

#[rstest]
#[case::nothing_changed_since("3.9.1-oss", "3.9-oss")]
#[case::something_did("3.10.0.2-enterprise", "3.10.0.2-enterprise")]
#[case::the_newest("3.10.0.99-enterprise", "3.10-enterprise")]
fn a_patch_goes_by_the_name_of_its_line_if_it_has_the_facts_of_its_newest(#[case] exact: &str, #[case] release: &str) {
    let known = Releases::built_in().of_patch(exact).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(known.to_string(), release);
    assert!(is_patch_of(exact, release));
}

#[test]
fn a_version_is_of_its_line_and_its_edition_only() {
    assert!(is_patch_of("3.10.0.2-enterprise", "3.10") && is_patch_of("3.10.0.2-enterprise", "3.10.0.2-enterprise"));
    for other in ["3.1", "3.10-oss", "3.10.0.9-enterprise", "3.10.0.2.1"] {
        assert!(!is_patch_of("3.10.0.2-enterprise", other), "{other}");
    }
}

/// OpenSSL's own defaults, but for its level 1 of 1.1.1, which is level 0 of those that came later.
#[test]
fn the_security_level_is_that_of_openssl() {
    let levels: BTreeMap<_, _> = Releases::built_in()
        .all()
        .iter()
        .map(|profile| (profile.openssl.to_string(), profile.security_level()))
        .collect();
    let expected = [("1.1.1", 0), ("3.1", 1), ("3.2", 2), ("3.5", 2)];
    assert_eq!(levels, expected.map(|(line, level)| (line.to_owned(), level)).into());
    // No release has this one; a user's own may.
    let own = Profile { openssl: OpensslLine(3, 0), ..Releases::built_in().all().remove(0) };
    assert_eq!(own.security_level(), 1);
}
