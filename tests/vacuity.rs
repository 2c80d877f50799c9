//! `vacuity` on real servers: a case that can fail, and one that cannot.

mod place;
mod runs_on;

use place::{Place, kill};

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

fn vacuity(scenario: &str, arguments: &[&str]) -> place::ProgramOutput {
    let place = Place::new();
    let folder = place.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.yaml"), scenario).expect("a file");
    let output = place.run(&[&["vacuity", "--scenarios", "scenarios"], arguments].concat());
    assert_eq!((place.left(), output.stderr.as_str()), (Vec::new(), ""));
    output
}

#[test]
fn a_connection_fails_without_tls_and_with_another_ca() {
    let output = vacuity(SCENARIO, &["--break", "server-tls-off,other-trust,no-revocation", "--json"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let score: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let total = serde_json::json!({ "cells": 2, "can_fail": 2, "mutants": 4, "detected": 4 });
    assert_eq!((&score["total"], &score["survivors"]), (&total, &serde_json::json!([])));
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
