//! What is wrong in a scenario file is told with its place, all of it at once, and what was expected there.

use std::path::Path;

use kong_pg_tls::suite::Suite;
use rstest::rstest;

/// A scenario with a text in the place of one of its parts.
fn scenario(part: &str, instead: &str) -> String {
    let whole = "\
title: a scenario
pki: root-only
postgres:
  conf: { ssl: on }
  hba: [hostssl all all all trust]
kong: { pg_ssl: on, lua_ssl_trusted_certificate: root.crt }
cases:
  - name: a case
    expect: { connects: { tls: TLSv1.3 } }
";
    assert!(whole.contains(part), "nothing to replace");
    whole.replacen(part, instead, 1)
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let told = Suite::of_folder(folder.path()).err().unwrap_or_default();
    let prefix = format!("{}/", folder.path().display());
    told.iter().map(|fault| fault.to_string().replace(&prefix, "")).collect()
}

#[test]
fn the_scenario_these_tests_change_is_a_good_one() {
    assert_eq!(faults(&[("a.yaml", &scenario("title", "title"))]), [""; 0]);
}

#[rstest]
#[case::unknown_key("pg_ssl: on", "pg_sll: on", "a.yaml:6:9: unknown key `pg_sll`: did you mean `pg_ssl`?")]
#[case::unknown_key_at_the_top("pki:", "pkj:", "a.yaml:2:1: unknown key `pkj`: expected one of title, about")]
#[case::unknown_setting("ssl: on }\n", "ssl_crt_file: x }\n", "a.yaml:4:11: unknown key `ssl_crt_file`")]
#[case::wrong_type(
    "hba: [hostssl all all all trust]",
    "hba: hostssl",
    "a.yaml:5:8: `hostssl` where a list belongs: expected a list"
)]
#[case::wrong_value(
    "TLSv1.3",
    "TLSv1.4",
    "a.yaml:9:32: `TLSv1.4` does not belong here: expected one of off, TLSv1, TLSv1.1"
)]
#[case::duplicate_key("  hba:", "  conf: {}\n  hba:", "a.yaml:5:3: the key `conf` is here twice")]
#[case::no_mapping("title: a scenario\n", "- title\n", "a.yaml:2:1: not YAML")]
#[case::no_cases(
    "cases:\n  - name: a case\n    expect: { connects: { tls: TLSv1.3 } }\n",
    "cases: []\n",
    "a.yaml:7:8: too few items"
)]
#[case::cases_missing("cases:", "kases:", "`cases` is missing")]
#[case::unknown_certificate(
    "root.crt }",
    "rot.crt }",
    "a.yaml:6:50: no certificate of this case makes the file `rot.crt`"
)]
#[case::unknown_tree("root-only", "rootonly", "a.yaml:2:6: no tree is called `rootonly`")]
#[case::way_out("root.crt }", "../../root.crt }", "a.yaml:6:50: `../../root.crt` is no name for a file")]
#[case::contradiction(
    "connects: { tls: TLSv1.3 }",
    "connects: { tls: off, client_dn: /CN=kong }",
    "a.yaml:9:25: the expectation contradicts itself: something of TLS on a connection in plaintext"
)]
#[case::both_outcomes(
    "{ connects: { tls: TLSv1.3 } }",
    "{ connects: { tls: TLSv1.3 }, refused: { stage: auth, kong: no, postgres: [] } }",
    "a.yaml:9:13: the expectation contradicts itself: Kong connects, and is refused"
)]
#[case::one_side_only(
    "{ connects: { tls: TLSv1.3 } }",
    "{ refused: { stage: auth, kong: no } }",
    "a.yaml:9:24: `postgres` is missing"
)]
#[case::one_stack_only(
    "{ connects: { tls: TLSv1.3 } }",
    "{ luasec: { connects: { tls: TLSv1.3 } } }",
    "a.yaml:9:13: the expectation says nothing of the cosocket stack"
)]
#[case::unknown_placeholder(
    "{ connects: { tls: TLSv1.3 } }",
    "{ refused: { stage: auth, kong: 'no {what}', postgres: [] } }",
    "a.yaml:9:45: nothing is called `{what}`"
)]
#[case::nothing_expected("    expect: { connects: { tls: TLSv1.3 } }\n", "", "a.yaml:8:5: the case expects nothing")]
#[case::unused_file(
    "    expect",
    "    files: { x.crt: root.crt }\n    expect",
    "a.yaml:9:14: no setting names the file `x.crt`"
)]
fn a_fault_is_told_with_its_place(#[case] part: &str, #[case] instead: &str, #[case] expected: &str) {
    let told = faults(&[("a.yaml", &scenario(part, instead))]);
    assert!(told.iter().any(|fault| fault.starts_with(expected) || fault.contains(expected)), "{told:#?}");
}

#[test]
fn a_scenario_that_is_no_mapping_is_told_as_such() {
    assert_eq!(faults(&[("a.yaml", "- title\n")]), ["a.yaml:1:1: a list where a mapping belongs: expected a mapping"]);
    assert_eq!(faults(&[("a.yaml", "")]).len(), 1);
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let twice = scenario("pg_ssl: on", "pg_sll: on, pg_ssl_verfy: on");
    let told = faults(&[("a.yaml", &twice), ("b.yaml", &scenario("title:", "titel:"))]);
    assert_eq!(told.iter().filter(|fault| fault.starts_with("a.yaml:6:")).count(), 2, "{told:#?}");
    assert!(told.iter().any(|fault| fault.starts_with("b.yaml:1:1")), "{told:#?}");
}

#[test]
fn two_cases_with_the_same_id_are_told() {
    let again = "cases:\n  - name: A case!\n    expect: { connects: { tls: TLSv1.2 } }\n";
    let told = faults(&[("a.yaml", &scenario("cases:\n", again))]);
    assert!(told[0].starts_with("a.yaml:10:11: two cases of this scenario have the id `a::a-case`"), "{told:#?}");
}

#[test]
fn an_expected_text_is_checked_where_it_stands() {
    let log = "{ refused: { stage: auth, kong: no, postgres: ['FATAL:  no', 'DETAIL:  {what}'] } }";
    let told = faults(&[("a.yaml", &scenario("{ connects: { tls: TLSv1.3 } }", log))]);
    assert!(told[0].starts_with("a.yaml:9:74: nothing is called `{what}`"), "{told:#?}");
}

#[test]
fn a_tree_that_signs_with_what_it_does_not_have_is_told() {
    let tree = "pki: { certificates: { server: { issuer: root, subject: /CN=db } } }";
    let told = faults(&[("a.yaml", &scenario("pki: root-only", tree))]);
    assert!(told[0].starts_with("a.yaml:2:42: no certificate of this tree is called `root`"), "{told:#?}");
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let told = Suite::of_folder(Path::new("/nonexistent/scenarios")).expect_err("a fault");
    assert!(told[0].to_string().starts_with("/nonexistent/scenarios: cannot be read"), "{}", told[0]);
}

#[test]
fn the_suite_of_the_repository_is_the_one_that_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let ids = |suite: Suite| suite.cases().map(|case| case.id.clone()).collect::<Vec<_>>();
    let built_in = ids(Suite::built_in().expect("a good suite"));
    assert_eq!(built_in, ids(Suite::of_folder(&folder).expect("a good suite")));
    assert!(built_in.len() >= 70, "{}", built_in.len());
}

/// What reaches the products' files: YAML's booleans, numbers and dates are none there.
#[rstest]
#[case("True")]
#[case("yes")]
#[case("0600")]
#[case("1e3")]
#[case("~")]
#[case("0x1F")]
#[case("2026-11-24")]
#[case("1_000")]
#[case(".5")]
#[case("1.10")]
#[case("Null")]
#[case("+1")]
#[case(".inf")]
fn a_setting_reaches_the_file_as_it_is_written(#[case] value: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let both = scenario("pg_ssl: on", &format!("pg_ssl: {value}, KONG_PG_USER: {value}"));
    let both = both.replace("ssl: on }", &format!("ssl: on, ssl_ciphers: {value} }}"));
    std::fs::write(folder.path().join("a.yaml"), both).expect("a file");
    let suite = Suite::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
    let situation = &suite.scenarios[0].cases[0].steps[0].situation;
    let of = |settings: &[(String, String)], key: &str| {
        settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    };
    assert_eq!(of(&situation.kong.settings, "pg_ssl").as_deref(), Some(value));
    assert_eq!(of(&situation.kong.environment, "KONG_PG_USER").as_deref(), Some(value));
    assert_eq!(of(&situation.server.conf, "ssl_ciphers").as_deref(), Some(value));
}

#[rstest]
#[case("null", None)]
#[case("'null'", Some("null"))]
#[case("", Some(""))]
fn only_the_plain_word_null_takes_a_setting_away(#[case] value: &str, #[case] expected: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let own = format!("  - name: a case\n    kong: {{ pg_ssl: {value} }}\n");
    std::fs::write(folder.path().join("a.yaml"), scenario("  - name: a case\n", &own)).expect("a file");
    let suite = Suite::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
    let settings = &suite.scenarios[0].cases[0].steps[0].situation.kong.settings;
    let found = settings.iter().find(|(name, _)| name == "pg_ssl").map(|(_, value)| value.as_str());
    assert_eq!(found, expected);
}
