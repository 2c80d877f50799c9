//! Mistakes in scenario files: each is reported with its place and with what was expected there, all of them at once.
//! `INSTA_UPDATE=always cargo test --test integration scenarios::` rewrites the snapshot of the messages.

use std::path::Path;

use kong_pg_scenarios::suite::Suite;
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
    let found = Suite::of_folder(folder.path()).err().unwrap_or_default();
    let prefix = format!("{}/", folder.path().display());
    found.iter().map(|fault| fault.to_string().replace(&prefix, "")).collect()
}

#[test]
fn the_scenario_that_these_tests_change_is_valid() {
    assert_eq!(faults(&[("a.yaml", &scenario("title", "title"))]), [""; 0]);
}

/// Mistakes in a scenario file: what is replaced in a good one, and by what.
const MISTAKES: [(&str, &str, &str); 55] = [
    ("an unknown setting", "pg_ssl: on", "pg_sll: on"),
    ("an unknown key at the top", "pki:", "pkj:"),
    ("a setting of another file", "ssl: on }\n", "ssl_crt_file: x }\n"),
    ("a text for a list", "hba: [hostssl all all all trust]", "hba: hostssl"),
    ("a value that is not in the list", "TLSv1.3", "TLSv1.4"),
    ("a key that is there twice", "  hba:", "  conf: {}\n  hba:"),
    ("a list item among keys", "title: a scenario\n", "- title\n"),
    ("no cases", "cases:\n  - name: a case\n    expect: { connects: { tls: TLSv1.3 } }\n", "cases: []\n"),
    ("a required key misspelt", "cases:", "kases:"),
    ("a file of no certificate", "root.crt }", "rot.crt }"),
    ("an unknown tree", "root-only", "rootonly"),
    ("an unknown tree, like none", "root-only", "x"),
    ("no pki", "pki: root-only\n", ""),
    ("a path out of the folder", "root.crt }", "../../root.crt }"),
    ("a certificate in plaintext", "connects: { tls: TLSv1.3 }", "connects: { tls: off, client_dn: /CN=kong }"),
    (
        "two outcomes",
        "{ connects: { tls: TLSv1.3 } }",
        "{ connects: { tls: TLSv1.3 }, refused: { stage: auth, kong: no, postgres: [] } }",
    ),
    ("one side of a refusal", "{ connects: { tls: TLSv1.3 } }", "{ refused: { stage: auth, kong: no } }"),
    ("one stack only", "{ connects: { tls: TLSv1.3 } }", "{ luasec: { connects: { tls: TLSv1.3 } } }"),
    (
        "an unknown text",
        "{ connects: { tls: TLSv1.3 } }",
        "{ refused: { stage: auth, kong: 'no {what}', postgres: [] } }",
    ),
    (
        "an unknown text in a log",
        "{ connects: { tls: TLSv1.3 } }",
        "{ refused: { stage: auth, kong: no, postgres: ['FATAL:  no', 'DETAIL:  {what}'] } }",
    ),
    (
        "a text that is not closed",
        "{ connects: { tls: TLSv1.3 } }",
        "{ refused: { stage: auth, kong: 'no {host', postgres: [] } }",
    ),
    (
        "a text without its argument",
        "{ connects: { tls: TLSv1.3 } }",
        "{ refused: { stage: auth, kong: no, postgres: '{matched line}' } }",
    ),
    ("an unknown outcome", "{ connects: { tls: TLSv1.3 } }", "server certifcate refused"),
    ("an outcome like none", "{ connects: { tls: TLSv1.3 } }", "it works"),
    (
        "an outcome without an argument",
        "{ connects: { tls: TLSv1.3 } }",
        "{ server certificate refused: { alert: unknown ca } }",
    ),
    ("an outcome without arguments", "{ connects: { tls: TLSv1.3 } }", "server certificate refused"),
    (
        "an unknown argument",
        "{ connects: { tls: TLSv1.3 } }",
        "{ connects to: { certificate: server.crt, in: TLSv1.3 } }",
    ),
    (
        "an argument that is there twice",
        "{ connects: { tls: TLSv1.3 } }",
        "{ connects to: { certificate: server.crt, certificate: server.crt } }",
    ),
    ("arguments in parentheses", "{ connects: { tls: TLSv1.3 } }", "connects to (server.crt)"),
    (
        "an argument that no outcome is for",
        "{ connects: { tls: TLSv1.3 } }",
        "{ connects to: { certificate: server.crt, tls: TLSv1 } }",
    ),
    (
        "several outcomes by name",
        "{ connects: { tls: TLSv1.3 } }",
        "{ connects to: { certificate: server.crt }, connects as: { subject: /CN=kong } }",
    ),
    ("nothing expected", "    expect: { connects: { tls: TLSv1.3 } }\n", ""),
    ("a file that no setting names", "    expect", "    files: { x.crt: root.crt }\n    expect"),
    ("an invalid line of pg_hba.conf", "hostssl all", "hostsl all"),
    ("a source that is no URL", "pki:", "source: [Kong 5921]\npki:"),
    ("an unknown claim", "pki:", "claims: [configure/server/ssl]\npki:"),
    ("a claim at an unknown axis", "pki:", "claims: [{ claim: configure/server/ssl-on, at: { line: x } }]\npki:"),
    ("a range that ends before it begins", "pki:", "applies_to: { postgres: 17-15, because: no }\npki:"),
    ("a range of words", "pki:", "applies_to: { openssl: new, because: no }\npki:"),
    ("a range without a reason", "pki:", "applies_to: { postgres: 15+ }\npki:"),
    ("an unknown release", "pki:", "applies_to: { releases: [3.99-oss] }\npki:"),
    ("a tab", "  conf:", "\tconf:"),
    ("a bracket that is not closed", "hba: [hostssl all all all trust]", "hba: [hostssl all all all trust"),
    ("a brace that is not closed", "conf: { ssl: on }", "conf: { ssl: on"),
    ("a quotation mark that is not closed", "title: a", "title: \"a"),
    ("a colon in a text", "title: a scenario", "title: a scenario: with a colon"),
    ("a line that is indented too little", "    expect:", "   expect:"),
    ("a second document", "kong:", "---\nkong:"),
    ("an anchor that is not there", "{ connects: { tls: TLSv1.3 } }", "*connected"),
    ("a text for a mapping", "    expect", "    proxy: answers-no\n    expect"),
    ("a boolean for an expectation", "{ connects: { tls: TLSv1.3 } }", "true"),
    ("an invalid mode", "    expect", "    files: { server.key: { mode: '0999' } }\n    expect"),
    ("a step with two changes", "{ connects: { tls: TLSv1.3 } }", "connects\n    then: [{ reload: {}, restart: {} }]"),
    ("a step without a change", "{ connects: { tls: TLSv1.3 } }", "connects\n    then: [{ expect: connects }]"),
    (
        "a certificate like none",
        "pki: root-only",
        "pki: { tree: root-only, certificates: { server: { like: servr } } }",
    ),
];

#[test]
fn every_mistake_is_explained_at_its_place() {
    let mistakes = MISTAKES.map(|(what, part, instead)| (what, scenario(part, instead)));
    let whole = [("an empty file", ""), ("a list", "- title\n"), ("a scenario without keys", "{}\n")];
    let all = mistakes.into_iter().chain(whole.map(|(what, text)| (what, text.to_owned())));
    let all: Vec<_> = all.map(|(what, text)| format!("## {what}\n\n{}\n", rendered(&text))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

/// What a user sees of a file, without the folder it is in.
fn rendered(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.yaml"), text).expect("a file");
    let faults = Suite::of_folder(folder.path()).expect_err("a mistake");
    let prefix = format!("{}/", folder.path().display());
    faults.iter().map(|fault| fault.render(false).replace(&prefix, "")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_byte_order_mark_before_a_scenario_is_no_mistake() {
    assert_eq!(faults(&[("a.yaml", &format!("\u{feff}{}", scenario("title", "title")))]), [""; 0]);
}

#[test]
fn all_faults_of_all_files_are_reported_at_once() {
    let twice = scenario("pg_ssl: on", "pg_sll: on, pg_ssl_verfy: on");
    let found = faults(&[("a.yaml", &twice), ("b.yaml", &scenario("title:", "titel:"))]);
    assert_eq!(found.iter().filter(|fault| fault.starts_with("a.yaml:6:")).count(), 2, "{found:#?}");
    assert!(found.iter().any(|fault| fault.starts_with("b.yaml:1:1")), "{found:#?}");
}

#[test]
fn two_cases_with_the_same_id_are_reported() {
    let again = "cases:\n  - name: A case!\n    expect: { connects: { tls: TLSv1.2 } }\n";
    let found = faults(&[("a.yaml", &scenario("cases:\n", again))]);
    assert!(found[0].starts_with("a.yaml:10:11: two cases of this scenario have the id `a::a-case`"), "{found:#?}");
}

#[test]
fn an_issuer_that_the_tree_does_not_have_is_reported() {
    let tree = "pki: { certificates: { server: { issuer: root, subject: /CN=db } } }";
    let found = faults(&[("a.yaml", &scenario("pki: root-only", tree))]);
    assert!(found[0].starts_with("a.yaml:2:42: no certificate of this tree is called `root`"), "{found:#?}");
}

#[test]
fn a_folder_that_does_not_exist_is_reported() {
    let found = Suite::of_folder(Path::new("/nonexistent/scenarios")).expect_err("a fault");
    assert!(found[0].to_string().starts_with("/nonexistent/scenarios: cannot be read"), "{}", found[0]);
}

#[test]
fn the_suite_of_the_repository_is_the_one_that_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let ids = |suite: Suite| suite.cases().map(|case| case.id.clone()).collect::<Vec<_>>();
    let built_in = ids(Suite::built_in().expect("a good suite"));
    assert_eq!(built_in, ids(Suite::of_folder(&folder).expect("a good suite")));
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
