//! What is kept of cells beside their results.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kong_pg_tls::record::{CellRecord, Results};
use rstest::rstest;

use crate::place::Place;

/// Files below a folder, with their modes; folders end in a slash.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = entry.strip_prefix(folder).expect("below it").to_string_lossy().into_owned();
            let mode = entry.metadata().expect("metadata").permissions().mode() & 0o7777;
            if entry.is_dir() {
                folders.push(entry);
                found.push((name + "/", mode));
            } else {
                found.push((name, mode));
            }
        }
    }
    found.sort();
    found
}

/// Runs the scenario as a release, which it fails or passes, and returns where its results are.
fn run(place: &Place, release: &str, options: &[&str]) -> PathBuf {
    std::fs::create_dir_all(place.path().join("scenarios")).expect("a folder");
    std::fs::write(place.path().join("scenarios/a.yaml"), super::SCENARIO).expect("a file");
    let fixed = ["run", "--scenarios", "scenarios", "--stack", "luasec", "--results", "results", "--kong", release];
    let output = place.run(&[&fixed[..], options].concat());
    assert!(matches!(output.status, Some(0 | 100)), "{output:#?}");
    place.path().join("results")
}

fn only_cell(results: &Path) -> CellRecord {
    let mut run = Results::read(results).expect("results");
    assert_eq!(run.cells.len(), 1, "{run:#?}");
    run.cells.remove(0)
}

const FAILS: &str = "3.14-enterprise";
const PASSES: &str = "3.9-enterprise";

#[test]
fn the_evidence_of_a_failed_cell_is_private_and_has_no_keys() {
    let place = Place::new();
    let results = run(&place, FAILS, &["--evidence"]);
    let kept = results.join(only_cell(&results).evidence.expect("evidence"));
    let files = modes(&kept);
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "capture.keys",
        "capture.pcapng",
        "cell.json",
        "configuration/",
        "configuration/kong.conf",
        "configuration/pg_hba.conf",
        "configuration/postgresql.conf",
        "files/",
        "files/kong/",
        "files/kong/foreign-root.crt",
        "files/server/",
        "files/server/server.crt",
        "files/server/server.key",
        "kong.log",
        "postgres.log",
    ];
    assert_eq!(names, expected);
    for (name, mode) in modes(&results.join("evidence")) {
        assert_eq!(mode, if name.ends_with('/') { 0o700 } else { 0o600 }, "{name}");
    }
    assert_eq!(results.join("evidence").metadata().expect("a folder").permissions().mode() & 0o777, 0o700);
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(kept.join(name)).expect("a file")).into_owned();
    for (name, _) in files.iter().filter(|(name, _)| !name.ends_with('/')) {
        assert!(!read(name).contains("PRIVATE KEY-----"), "{name}");
    }
    assert!(read("files/server/server.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(read("kong.log").contains("certificate verify failed"), "{}", read("kong.log"));
    assert!(read("postgres.log").contains("could not accept SSL connection"), "{}", read("postgres.log"));
}

#[rstest]
#[case::nothing_is_asked_for(FAILS, &[], None)]
#[case::nothing_has_failed(PASSES, &["--evidence"], None)]
#[case::all(PASSES, &["--evidence=all"], Some(false))]
#[case::with_keys(PASSES, &["--evidence=all", "--evidence-keys"], Some(true))]
fn evidence_is_kept_as_asked_for(#[case] release: &str, #[case] options: &[&str], #[case] keys: Option<bool>) {
    let place = Place::new();
    let results = run(&place, release, options);
    let cell = only_cell(&results);
    assert_eq!(cell.evidence.is_some(), keys.is_some(), "{cell:#?}");
    let Some(evidence) = cell.evidence else { return };
    let key = std::fs::read_to_string(results.join(&evidence).join("files/server/server.key")).expect("a file");
    assert_eq!(Some(key.contains("PRIVATE KEY-----")), keys);
    // What an earlier run has left would be taken for this run's.
    run(&place, release, &[]);
    assert!(!results.join("evidence").exists());
}

#[test]
fn a_folder_of_the_users_is_not_removed() {
    let place = Place::new();
    let own = place.path().join("results/evidence/own");
    std::fs::create_dir_all(&own).expect("a folder");
    let output = place.run(&["run", "tls/how-it*", "--evidence", "--results", "results"]);
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(output.stderr.contains("evidence was not made by a run") && own.exists(), "{output:#?}");
}

/// Wireshark's own program decrypts it, with nothing but the file.
#[test]
#[ignore = "needs the program tshark"]
fn tshark_decrypts_a_capture() {
    let place = Place::new();
    let output = place.run(&["run", "verify/ca::*", "--evidence=all", "--results", "results"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let run = Results::read(&place.path().join("results")).expect("results");
    let in_tls = run.cells.iter().filter(|cell| {
        let session = cell.observed.as_ref().and_then(|observed| observed.outcome.tls.as_ref());
        session.is_some_and(|session| ["TLSv1.2", "TLSv1.3"].contains(&session.version()))
    });
    let mut decrypted = 0;
    for cell in in_tls {
        let folder = place.path().join("results").join(cell.evidence.as_ref().expect("evidence"));
        let shown = Command::new("tshark")
            .args([
                "-n",
                "-Y",
                "tls && pgsql",
                "-T",
                "fields",
                "-e",
                "pgsql.parameter_value",
                "-e",
                "pgsql.query",
                "-r",
            ])
            .arg(folder.join("capture.pcapng"))
            .output()
            .expect("the program tshark starts");
        let text = String::from_utf8_lossy(&shown.stdout);
        for part in ["pgmoon", "SHOW server_version_num"] {
            assert!(text.contains(part), "{}: no {part}: {text}", cell.id);
        }
        decrypted += 1;
    }
    assert!(decrypted >= 4, "{decrypted} captures of TLS");
}
