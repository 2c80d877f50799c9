//! What is made of a run's results: `diff` and `report`.

#[allow(dead_code, reason = "shared with tests that look at what a run leaves behind")]
mod place;
mod runs_on;

use std::path::{Path, PathBuf};

use place::{Place, ProgramOutput};
use rstest::rstest;
use serde_json::Value;

/// `pg_ssl_verify` is not set, and no trusted CA has signed the server's certificate.
const SCENARIO: &str = "\
title: verification by default
reason: It is on since 3.14.
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_version: tlsv1_3, lua_ssl_protocols: TLSv1.3, lua_ssl_trusted_certificate: foreign-root.crt }
cases:
  - name: a private CA
    expect: { connects: { tls: TLSv1.3 } }
";

/// The results of the scenario as a release of Kong.
fn run(place: &Place, release: &str) -> PathBuf {
    let scenarios = place.path().join("scenarios");
    std::fs::create_dir_all(&scenarios).expect("a folder");
    std::fs::write(scenarios.join("a.yaml"), SCENARIO).expect("a file");
    let results = place.path().join(release);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    place.run(&["run", "--scenarios", &text(&scenarios), "--kong", release, "--results", &text(&results)]);
    results
}

fn diff(place: &Place, arguments: &[&str]) -> ProgramOutput {
    let before = run(place, "3.13-enterprise").to_string_lossy().into_owned();
    let after = run(place, "3.14-enterprise").to_string_lossy().into_owned();
    place.run(&[&["diff", &before, &after], arguments].concat())
}

#[rstest]
#[case::text(&[], "Kong 3.13-enterprise -> 3.14-enterprise")]
#[case::markdown(&["--markdown"], "| 1 regressed, only stack luasec |")]
#[case::json(&["--json"], "\"regressed\": 2")]
fn an_upgrade_that_breaks_a_connection_is_a_regression_explained_by_the_release(
    #[case] arguments: &[&str],
    #[case] part: &str,
) {
    let output = diff(&Place::new(), arguments);
    assert_eq!(output.status, Some(100), "{output:#?}");
    for part in [part, "a::a-private-ca", "certificate verify failed"] {
        assert!(output.stdout.contains(part), "{part}: {output:#?}");
    }
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let place = Place::new();
    let results = run(&place, "3.9-enterprise").to_string_lossy().into_owned();
    let output = place.run(&["diff", &results, &results]);
    assert_eq!((output.status, &*output.stderr), (Some(0), ""), "{output:#?}");
}

#[test]
fn a_report_is_written_beside_the_results_by_the_run_and_anywhere_on_request() {
    let place = Place::new();
    let results = run(&place, "3.9-enterprise");
    let by_the_run = std::fs::read_to_string(results.join("report.html")).expect("a page");
    let page = place.path().join("page.html");
    let output = place.run(&["report", &results.to_string_lossy(), "--html", &page.to_string_lossy()]);
    assert_eq!((output.status, output.stdout.trim_end()), (Some(0), &*page.to_string_lossy()), "{output:#?}");
    assert_eq!(std::fs::read_to_string(page).expect("a page"), by_the_run);
}

#[rstest]
#[case::missing("diff", None, "cannot read")]
#[case::not_json("diff", Some("prose"), "is not a result file")]
#[case::other_json("diff", Some("[]"), "is not a result file")]
#[case::missing_for_a_report("report", None, "cannot read")]
#[case::other_json_for_a_report("report", Some("{}"), "is not a result file")]
fn what_is_no_result_file_is_wrong_usage(#[case] command: &str, #[case] text: Option<&str>, #[case] part: &str) {
    let place = Place::new();
    let file = place.path().join("file.json");
    if let Some(text) = text {
        std::fs::write(&file, text).expect("a file");
    }
    let file = file.to_string_lossy();
    let arguments = if command == "diff" { vec![command, &file, &file] } else { vec![command, &file] };
    let output = place.run(&arguments);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(part) && output.stderr.contains("file.json"), "{output:#?}");
}

/// The results are in the page for a browser to unpack.
#[test]
#[ignore = "needs the program chromium"]
fn a_browser_shows_the_cells_of_a_report() {
    let place = Place::new();
    let page = run(&place, "3.14-enterprise").join("report.html");
    let chromium = std::process::Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", place.path().join("browser").display()))
        .arg(format!("file://{}#view=cells", page.display()))
        .output()
        .expect("the program chromium starts");
    let shown = String::from_utf8_lossy(&chromium.stdout);
    for part in ["2 of 2 cells are not as expected", "a::a-private-ca@pg", "class=\"v fail\""] {
        assert!(shown.contains(part), "{part}: {shown}\n{}", String::from_utf8_lossy(&chromium.stderr));
    }
}

#[test]
fn json_of_a_comparison_is_for_programs() {
    let output = diff(&Place::new(), &["--json"]);
    let comparison: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(comparison["axes"][0]["axis"], "Kong", "{comparison:#}");
}
