//! Scenarios of the user's: files of one's own, harmless settings, and expectations that a run fills in.

use crate::place::{Place, ProgramOutput};
use rstest::rstest;

const SCENARIO: &str = "\
title: my own # kept
pki: root-only
postgres:
  conf: { ssl: on, ssl_ca_file: ca.crt, work_mem: 8MB, max_connections: 30 }
  hba: [hostssl all all all cert]
files: { ca.crt: root.crt }
kong:
  pg_ssl: on
  pg_ssl_required: on
  pg_ssl_verify: on
  lua_ssl_trusted_certificate: root.crt
  proxy_listen: off
cases:
  # the first
  - name: no certificate
    expect:   # to be written
  - name: with one
    kong: { pg_ssl_cert: client.crt, pg_ssl_cert_key: client.key }
    expect: connects
";

fn place(scenario: &str) -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path().join("mine")).expect("a folder");
    std::fs::write(place.path().join("mine/a.yaml"), scenario).expect("a file");
    place
}

fn run(place: &Place, arguments: &[&str]) -> ProgramOutput {
    place.run(&[&["run", "--scenarios", "mine"], arguments].concat())
}

#[test]
fn an_empty_expectation_is_filled_in_by_a_run_and_nothing_else_changes() {
    let place = place(SCENARIO);
    let open = run(&place, &[]);
    assert_eq!(open.status, Some(100), "{open:#?}");
    assert!(open.stdout.contains("the scenario expects nothing yet; `run --bless`"), "{open:#?}");
    let file = place.path().join("mine/a.yaml");
    let read = || std::fs::read_to_string(&file).expect("a file");
    assert_eq!(read(), SCENARIO, "a run without --bless writes nothing");

    let blessed = run(&place, &["--bless"]);
    assert_eq!(blessed.status, Some(0), "{blessed:#?}");
    assert!(blessed.stdout.contains("written at mine/a.yaml:16:\n  refused:\n    stage: auth\n"), "{blessed:#?}");
    let written = "    expect:   # to be written
      refused:
        stage: auth
        kong: 'FATAL: connection requires a valid client certificate'
        postgres:
        - 'FATAL:  connection requires a valid client certificate'
";
    assert_eq!(read(), SCENARIO.replace("    expect:   # to be written\n", written));

    let again = run(&place, &["--bless"]);
    assert_eq!(again.status, Some(0), "{again:#?}");
    assert!(again.stdout.contains("There is no empty `expect:`"), "{again:#?}");
}

#[test]
fn both_stacks_are_written_down_and_one_alone_is_not() {
    let scenario = SCENARIO.replace("certificate: root.crt", "certificate: foreign-root.crt");
    let place = place(&scenario);
    let one = run(&place, &["*no-certificate*", "--bless", "--stack", "luasec"]);
    assert_eq!(one.status, Some(100), "{one:#?}");
    assert!(one.stderr.contains("only luasec was run; leave --stack out"), "{one:#?}");
    assert_eq!(run(&place, &["*no-certificate*", "--bless"]).status, Some(0));
    let text = std::fs::read_to_string(place.path().join("mine/a.yaml")).expect("a file");
    assert!(text.contains("      luasec:\n        refused:\n          stage: handshake\n"), "{text}");
    assert!(text.contains("      cosocket:\n        refused:\n          stage: verify\n"), "{text}");
    let again = run(&place, &["*no-certificate*"]);
    assert_eq!(again.status, Some(0), "what was written is what happens: {again:#?}");
}

#[test]
fn the_built_in_scenarios_are_never_blessed() {
    let output = Place::new().run(&["run", "keys/p-521::*", "--bless"]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains("--scenarios <DIR>"), "{output:#?}");
}

#[test]
fn a_file_beside_the_scenario_is_used_as_it_is() {
    let scenario = SCENARIO.replace("{ ca.crt: root.crt }", "{ ca.crt: { path: certificates/ca.pem } }");
    let place = place(&scenario.replace("    expect:   # to be written\n", "    expect: connects\n"));
    let missing = run(&place, &[]);
    assert_eq!(missing.status, Some(2), "{missing:#?}");
    assert!(missing.stderr.contains("certificates/ca.pem cannot be read: No such file"), "{missing:#?}");

    std::fs::create_dir(place.path().join("mine/certificates")).expect("a folder");
    std::fs::write(place.path().join("mine/certificates/ca.pem"), "no certificate\n").expect("a file");
    let output = run(&place, &[]);
    assert_ne!(output.status, Some(0), "{output:#?}");
    assert!(output.stdout.contains("could not load root certificate file \"ca.crt\""), "{output:#?}");
}

#[rstest]
#[case::of_the_suite("work_mem: 8MB", "log_line_prefix: x", "`log_line_prefix` is the suite's own")]
#[case::misspelt("work_mem: 8MB", "ssl_ca_fil: x", "did you mean `ssl_ca_file`?")]
#[case::kong_s_prefix("proxy_listen: off", "prefix: /x", "each Kong of the suite has a folder of its own")]
#[case::misspelt_for_kong("proxy_listen: off", "pg_sll: on", "did you mean `pg_ssl`?")]
#[case::no_file("ca.crt: root.crt", "ca.crt: ./missing.crt", "missing.crt cannot be read")]
#[case::a_folder("ca.crt: root.crt", "ca.crt: ../mine", "it is no file")]
fn what_a_scenario_cannot_have_is_named_with_its_reason(#[case] part: &str, #[case] instead: &str, #[case] why: &str) {
    let output = run(&place(&SCENARIO.replace(part, instead)), &[]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(why), "{output:#?}");
}
