//! `vacuity` on real servers: a case that can fail, and one that cannot.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use kong_pg_scenarios::suite::Suite;
use kong_pg_tls::vacuity::{Mutation, Row, Score};
use strum::{EnumMessage, VariantArray};

use crate::documents;
use crate::place::{Place, ProgramOutput, kill};

const SCENARIO: &str = "\
title: a scenario
reason: it can fail or not
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_required: on, pg_ssl_verify: on, pg_ssl_version: tlsv1_3, lua_ssl_trusted_certificate: root.crt }
cases:
  - name: a connection
    expect: { connects: { tls: TLSv1.3 } }
";

/// Kong refuses its configuration, whatever else is in it.
const CANNOT_FAIL: &str = "
  - name: a version that does not exist
    kong: { pg_ssl_version: tlsv9 }
    expect:
      refused:
        stage: configure
        raises: \"pg_ssl_version has an invalid value: 'tlsv9' (tlsv1_1, tlsv1_2, tlsv1_3, any)\"
        postgres: []
";

fn vacuity(scenario: &str, arguments: &[&str]) -> ProgramOutput {
    let place = Place::new();
    let folder = place.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.yaml"), scenario).expect("a file");
    let output = place.run(&[&["vacuity", "--scenarios", "scenarios"], arguments].concat());
    assert_eq!(place.left(), [""; 0]);
    output
}

#[test]
fn a_connection_fails_without_tls_and_with_another_ca() {
    let output = vacuity(SCENARIO, &["--break", "server-tls-off,other-trust,no-revocation", "--json"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let score: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let total = serde_json::json!({ "cells": 2, "can_fail": 2, "mutants": 4, "detected": 4 });
    assert_eq!((&score["total"], &score["survivors"]), (&total, &serde_json::json!([])));
    let rounds = "unbroken: 2 cells\nserver-tls-off: 2 cells\nother-trust: 2 cells\nno-revocation: 0 cells\n";
    assert_eq!(output.stderr, rounds);
}

#[test]
fn a_case_that_passes_whatever_is_broken_is_listed() {
    let output =
        vacuity(&format!("{SCENARIO}{CANNOT_FAIL}"), &["--stack", "cosocket", "--break", "server-tls-off,other-trust"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    let line = "cannot fail  a::a-version-that-does-not-exist@";
    assert!(output.stdout.lines().any(|text| text.starts_with(line)), "{output:#?}");
    assert!(output.stdout.contains("1 of 2 passing cells can fail"), "{output:#?}");
}

const OUTCOMES: &str = "\
outcomes:
  works:
    about: It connects.
    expect: { connects: { tls: TLSv1.3 } }
  does not:
    about: It is refused, in one of two ways.
    expect:
      refused:
        stage: auth
        kong:
          any_of: ['FATAL: no pg_hba.conf entry for host \"{host}\", user \"nobody\", database \"kong\", {in TLS}', never]
          because: an example
        postgres: 'FATAL:  no pg_hba.conf entry for host \"{host}\", user \"nobody\", database \"kong\", {in TLS}'
";

const TEXTS: &str = "\
texts:
  in TLS: { about: An example., postgres: { '13': SSL on, 14-19: SSL encryption } }
  TLS connection closed without close_notify: { about: An example., postgres: { 13-19: [] } }
";

/// A run of a scenario with outcomes and texts of its own.
fn run_with_own_texts(outcomes: &str) -> Place {
    let place = Place::new();
    let folder = place.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    let cases = "\
cases:
  - { name: a connection, expect: works }
  - { name: a refusal, kong: { pg_user: nobody }, postgres: { hba: [hostssl all kong all trust] }, expect: does not }
";
    let setup = SCENARIO.split("cases:").next().expect("a set-up");
    for (name, text) in [("a", &format!("{setup}{cases}")), ("outcomes", &outcomes.into()), ("texts", &TEXTS.into())] {
        std::fs::write(folder.join(format!("{name}.yaml")), text).expect("a file");
    }
    let run = ["run", "--scenarios", "scenarios", "--results", "results", "--stack", "luasec"];
    let output = place.run(&run);
    assert_eq!(output.status, Some(0), "{output:#?}");
    place
}

const OF_TEXTS: [&str; 5] = ["vacuity", "--scenarios", "scenarios", "--texts", "results"];

#[test]
fn each_text_that_a_run_reaches_can_fail() {
    let place = run_with_own_texts(OUTCOMES);
    let output = place.run(&[&OF_TEXTS[..], &["--json"]].concat());
    let score: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(output.status, Some(0), "{output:#?}");
    // The TLS version, the stage, what Kong says, and what the server logs.
    let outcomes = serde_json::json!({ "passages": 4, "reached": 4, "can_fail": 4, "not_recorded": 0 });
    assert_eq!((&score["files"]["outcomes.yaml"], &score["idle"]), (&outcomes, &serde_json::json!([])));
    // Only one of the two wordings is that of the server, and no connection ends abruptly on LuaSec.
    assert_eq!(score["files"]["texts.yaml"]["can_fail"], 1);
    assert_eq!(score["not_reached"].as_array().map(Vec::len), Some(2), "{score:#}");
}

#[test]
fn a_text_that_no_case_expects_is_listed() {
    let place = run_with_own_texts(&format!(
        "{OUTCOMES}  idle: {{ about: Nothing., expect: {{ connects: {{ tls: off }} }} }}\n"
    ));
    let output = place.run(&OF_TEXTS);
    assert_eq!(output.status, Some(100), "{output:#?}");
    let line = "cannot fail  outcomes.yaml: idle: expect.connects.tls: no case expects it\n";
    assert!(output.stdout.contains(line), "{output:#?}");
}

#[test]
fn a_run_of_other_scenarios_says_nothing_about_these() {
    let place = run_with_own_texts(OUTCOMES);
    let other = OUTCOMES.replace("user \"nobody\"", "user \"somebody\"");
    std::fs::write(place.path().join("scenarios/outcomes.yaml"), other).expect("a file");
    let output = place.run(&OF_TEXTS);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains("they differ about a::a-refusal@"), "{output:#?}");
}

/// `docs/vacuity.json` is a list of what `kong-pg-tls vacuity --json` prints: of the whole suite, and of scenarios that need a
/// newer PostgreSQL.
#[test]
fn the_documents_show_the_scores_of_all_scenarios() {
    let scores = Score::last_measured();
    assert!(scores.iter().all(Score::is_clean), "{scores:#?}");
    let scenarios: BTreeSet<_> = scores.iter().flat_map(|score| score.scenarios.keys().map(String::as_str)).collect();
    let suite = Suite::built_in().expect("a suite");
    let mut all: BTreeSet<_> = suite.cases().map(|case| case.scenario.as_str()).collect();
    // It needs the image of a real Kong.
    all.remove("upgrade/command-line");
    assert_eq!(scenarios, all, "docs/vacuity.json is out of date");

    let mut section = String::new();
    for Score { measured, total: Row { cells, can_fail, .. }, .. } in &scores {
        let date = measured.started.split('T').next().expect("a date");
        let postgres: Vec<_> = measured.postgres.iter().map(String::as_str).collect();
        let (cells, can_fail, postgres) = (thousands(*cells), thousands(*can_fail), postgres.join(" and "));
        writeln!(section, "- PostgreSQL {postgres} ({date}): {can_fail} of {cells} cells that pass can fail.")
            .expect("text");
    }
    section += "\n| what is broken | mutants | detected |\n|---|---:|---:|\n";
    for mutation in Mutation::VARIANTS {
        let all = scores.iter().filter_map(|score| score.mutations.get(mutation));
        let (mutants, detected) = all.fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        let about = mutation.get_documentation().expect("a description").trim_end_matches('.');
        let (mutants, detected) = (thousands(mutants), thousands(detected));
        writeln!(section, "| `{mutation}`: {about} | {mutants} | {detected} |").expect("text");
    }
    documents::check_section("trust.md", "docs/vacuity.json", &section);
    let count = |of: fn(&Row) -> usize| thousands(scores.iter().map(|score| of(&score.total)).sum());
    let score = format!("{} of the {}", count(|total| total.can_fail), count(|total| total.cells));
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a file");
    assert!(readme.contains(&score), "README.md: {score}");
}

/// A number with commas.
fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

#[test]
fn an_interrupted_one_leaves_nothing() {
    let place = Place::new();
    let mut program = place.program(&["vacuity"]).spawn().expect("a start");
    // It has begun as soon as it has a folder.
    while place.left().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    kill(&program, "INT");
    assert_eq!(program.wait().expect("an end").code(), Some(130));
    assert_eq!(place.left(), [""; 0]);
}
