//! Snapshots of everything that people and programs read. `INSTA_UPDATE=always cargo test --test integration program::output` writes them
//! again; look at the differences before committing them.

use insta::{assert_snapshot, with_settings};
use rstest::rstest;

use crate::place::{Place, ProgramOutput};

const SCENARIO: &str = "\
title: a scenario
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_required: on, pg_ssl_verify: on, pg_ssl_version: tlsv1_3, pg_password: secret, lua_ssl_trusted_certificate: root.crt }
cases:
  - name: a case that passes
    expect: { connects: { tls: TLSv1.3 } }
  - name: a case that fails
    expect: { connects: { tls: TLSv1.2 } }
  - name: a case without a meaning
    applies_to: { postgres: 99+, because: it is new in PostgreSQL 99 }
    expect: { connects: { tls: TLSv1.3 } }
";

/// What differs between runs and machines.
const FILTERS: [(&str, &str); 29] = [
    (r"\n *the last green run on [^\n]*", ""),
    // Newer majors log it for every connection.
    (r#"\n *"?LOG:  connection authenticated[^\n]*"#, ""),
    (r"SSL enabled \([^)]*\)", "SSL enabled ([session])"),
    (r"SHA-256 [0-9a-f]+", "SHA-256 [fingerprint]"),
    (r"host=\S+", "host=[host]"),
    (r"as Kong \S+", "as Kong [release]"),
    (r#""kong": "3\.[^"]+""#, r#""kong": "[release]""#),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
    (r"runs/[\dTZ-]+/", "runs/[time]/"),
    (r"\d+\.\d s", "[seconds] s"),
    (r#"time="[\d.]+""#, r#"time="[seconds]""#),
    (r#""duration_ms": \d+"#, r#""duration_ms": "[ms]""#),
    (r#"uuid="[^"]+""#, r#"uuid="[uuid]""#),
    (r"port=\d+", "port=[port]"),
    (r"PostgreSQL \d+\.\d+ with OpenSSL \S+", "PostgreSQL [version] with OpenSSL [version]"),
    (r#""(major|version)": ("?)\d[\d.]*"?"#, r#""$1": "[version]""#),
    (r#""openssl": "\d[^"]*""#, r#""openssl": "[version]""#),
    (r#"timestamp="[^"]+""#, r#"timestamp="[time]""#),
    (r#"name="(postgres|openssl|runtime|kong)" value="[^"]+""#, r#"name="$1" value="[$1]""#),
    (r#""(os|kernel|architecture|choice)": "[^"]+""#, r#""$1": "[$1]""#),
    (r#""processors": \d+"#, r#""processors": "[processors]""#),
    (r#""(majors|releases)": \[\s*"?\d[^\]]*\]"#, r#""$1": "[$1]""#),
    (r"PostgreSQL \d+\.\d+; Kong \S+", "PostgreSQL [version]; Kong [release]"),
    (r"duration_ms: \d+", "duration_ms: [ms]"),
    (r"@pg\d+", "@pg[major]"),
    (r"--postgres \d+", "--postgres [major]"),
    (r"PostgreSQL \d+\b", "PostgreSQL [major]"),
    (r#"--runtime (local|docker)|\((local|docker)\)|"runtime": "(local|docker)""#, "[runtime]"),
    (r#"built in, with OpenSSL [^"\n]+"#, "built in, with [OpenSSL]"),
];

fn snapshot(name: &str, text: &str) {
    with_settings!({ filters => FILTERS, omit_expression => true, prepend_module_to_snapshot => false }, {
        assert_snapshot!(name, text);
    });
}

/// A place with the scenario, run on one stack: that whose connections end alike on every major.
fn run() -> (Place, ProgramOutput) {
    let place = Place::new();
    let folder = place.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.yaml"), SCENARIO).expect("a file");
    let output = place.run(&["run", "--scenarios", "scenarios", "--results", "results", "--stack", "luasec"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    (place, output)
}

#[rstest]
#[case("help", &["--help"])]
#[case("help-run", &["run", "--help"])]
#[case("help-list", &["list", "--help"])]
#[case("help-claims", &["claims", "--help"])]
#[case("help-env", &["env", "--help"])]
#[case("help-report", &["report", "--help"])]
#[case("help-judge", &["judge", "--help"])]
#[case("help-clean", &["clean", "--help"])]
#[case("help-check", &["check", "--help"])]
#[case("help-new", &["new", "--help"])]
#[case("help-diagnose", &["diagnose", "--help"])]
#[case("help-diff", &["diff", "--help"])]
#[case("help-upgrade", &["upgrade", "--help"])]
#[case("help-texts", &["texts", "--help"])]
#[case("help-merge", &["merge", "--help"])]
#[case("help-explain", &["explain", "--help"])]
#[case("help-export", &["export", "--help"])]
#[case("help-up", &["up", "--help"])]
#[case("help-certs", &["certs", "--help"])]
#[case("help-bench", &["bench", "--help"])]
#[case("help-vacuity", &["vacuity", "--help"])]
#[case("help-completions", &["completions", "--help"])]
#[case("help-man", &["man", "--help"])]
fn help(#[case] name: &str, #[case] arguments: &[&str]) {
    let place = Place::new();
    let mut program = place.program(arguments);
    program.env_remove("KONG_PG_TLS_RUNTIME").env_remove("KONG_PG_TLS_POSTGRES");
    let output = ProgramOutput::new(program.output().expect("the program starts"));
    assert_eq!(output.status, Some(0));
    snapshot(name, &output.stdout);
}

#[test]
fn the_list_of_cells() {
    let output = Place::new().run(&["list", "mtls/cert::a-certificate.none.*", "--postgres", "17"]);
    snapshot("list", &output.stdout);
}

#[test]
fn the_head_of_the_claims() {
    let output = Place::new().run(&["claims"]);
    snapshot("claims", &output.stdout.lines().take(5).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_run_with_its_matrix_and_a_failing_cell_in_full() {
    snapshot("run", &run().1.stdout);
}

#[test]
fn junit() {
    let (place, _) = run();
    snapshot("junit", &std::fs::read_to_string(place.path().join("results/junit.xml")).expect("a file"));
}

#[rstest]
#[case("--markdown")]
#[case("--tap")]
#[case("--github")]
fn a_report_for_others(#[case] format: &str) {
    let (place, _) = run();
    let output = place.run(&["report", "results", format, "-"]);
    assert_eq!((output.status, &*output.stderr), (Some(0), ""), "{output:#?}");
    snapshot(&format!("report{format}"), &output.stdout);
}

#[test]
fn results() {
    let (place, _) = run();
    snapshot("results", &std::fs::read_to_string(place.path().join("results/results.json")).expect("a file"));
}

#[test]
fn the_known_deviations_of_a_run() {
    let output = Place::new().run(&["run", "tls/how-it-was-built::*", "--stack", "cosocket"]);
    snapshot("deviations", &output.stdout.lines().take(40).collect::<Vec<_>>().join("\n"));
}

#[test]
fn faults_in_a_scenario() {
    let place = Place::new();
    let folder = place.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.yaml"), SCENARIO.replace("pg_ssl: on,", "pg_sll: on,")).expect("a file");
    let output = place.run(&["run", "--scenarios", "scenarios"]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    snapshot("faults", &output.stderr);
}
