//! What is kept of a run, and what is made of it: `report`, `judge` and `diff`.

mod attempts;
mod browser;
mod evidence;
mod looks;
mod marks;
mod splitting;

use std::path::{Path, PathBuf};

use crate::place::{Place, ProgramOutput, kill};
use kong_pg_tls::record::{LATEST, Results};
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

/// Both releases in one run: it ends with what is different between them, and `diff` shows all of it.
#[test]
fn a_run_of_two_releases_ends_with_their_comparison() {
    let place = Place::new();
    let results = run(&place, "3.13-enterprise,3.14-enterprise").to_string_lossy().into_owned();
    let output = place.run(&["merge", &results, "--results", "again"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    for part in ["Kong 3.13-enterprise  Kong 3.14-enterprise  differ", "Kong 3.13-enterprise -> 3.14-enterprise\n"] {
        assert!(output.stdout.contains(part), "{part}: {output:#?}");
    }
    let said = output.stdout.lines().find_map(|line| line.trim().strip_prefix("all of it: kong-pg-tls "));
    let diff: Vec<_> = said.expect("a command").split(' ').collect();
    assert_eq!(diff, ["diff", "again", "--kong", "3.13-enterprise,3.14-enterprise"]);
    let output = place.run(&[&diff[..], &["--json"]].concat());
    assert_eq!(output.status, Some(100), "{output:#?}");
    let comparison: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&comparison["compared"], &comparison["counts"]["regressed"]), (&2.into(), &2.into()));
    let output = place.run(&["diff", &results, "--kong", "3.14,3.13"]);
    assert_eq!(output.status, Some(0), "the other way round it is fixed: {output:#?}");
    assert!(output.stdout.contains("2 cells compared: 2 fixed"), "{output:#?}");
    let markdown = report(&place, Path::new(&results), "--markdown").stdout;
    assert!(markdown.contains("<summary>Kong 3.13-enterprise -> 3.14-enterprise</summary>"), "{markdown}");
}

#[rstest]
#[case::nothing_named(&[], 2, "there is nothing to compare the run with")]
#[case::one_side(&["--kong", "3.14"], 2, "like --postgres 15,17; it has Kong 3.14-enterprise and PostgreSQL")]
#[case::not_in_the_run(&["--kong", "3.14,3.15"], 4, "no cell of the run is of Kong 3.15; it has 3.14-enterprise")]
#[case::three(&["--postgres", "15,17,18"], 2, "expected one value, or two like 15,17")]
fn what_cannot_be_compared_is_reported(#[case] arguments: &[&str], #[case] status: i32, #[case] part: &str) {
    let place = Place::new();
    let results = run(&place, "3.14-enterprise").to_string_lossy().into_owned();
    let output = place.run(&[&["diff", &results], arguments].concat());
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert!(output.stderr.contains(part), "{output:#?}");
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
#[case::another_format("report", Some("{\"format\": 2}"), "it has format 2")]
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

/// A report of the run in a folder, printed.
fn report(place: &Place, folder: &Path, format: &str) -> ProgramOutput {
    let output = place.run(&["report", &folder.to_string_lossy(), format, "-"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    output
}

#[test]
fn the_log_of_a_run_contains_everything_in_its_result_file() {
    let place = Place::new();
    let results = run(&place, "3.14-enterprise");
    let read = |name: &str| {
        let mut run = serde_json::to_value(Results::read(&results.join(name)).expect("results")).expect("JSON");
        run["duration_ms"] = Value::Null;
        run
    };
    assert_eq!(read("events.jsonl"), read("results.json"));
    let first = std::fs::read_to_string(results.join("events.jsonl")).expect("a log");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/schema/events.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(schema).expect("a schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for line in first.lines() {
        let faults: Vec<_> =
            validator.iter_errors(&serde_json::from_str(line).expect("JSON")).map(|error| error.to_string()).collect();
        assert_eq!(faults, [""; 0], "{line}");
    }
}

#[rstest]
#[case::json("--json", "\"complete\": false")]
#[case::junit("--junit", "type=\"partial\"")]
#[case::markdown("--markdown", "Partial: ")]
#[case::github("--github", "::error title=partial run::")]
#[case::tap("--tap", "Bail out! ")]
#[case::html("--html", "id=\"results\"")]
fn every_report_of_a_killed_run_says_that_it_is_partial(#[case] format: &str, #[case] part: &str) {
    let place = Place::new();
    let mut program = place.under_way();
    kill(&program, "KILL");
    program.wait().expect("an end");
    let latest = place.path().join(LATEST);
    assert!(!latest.join("results.json").exists(), "it was not killed in time");
    let output = report(&place, &latest, format);
    assert!(output.stdout.contains(part), "{output:#?}");
    assert!(output.stderr.contains(" cells were run: it was killed, or is still running"), "{output:#?}");
    let judged = place.run(&["judge"]);
    assert_eq!(judged.status, Some(0), "{judged:#?}");
    assert!(judged.stdout.contains("it was killed, or is still running"), "{judged:#?}");
    assert_eq!(place.run(&["clean"]).status, Some(0));
}

/// From what is in the file, and nothing else.
#[test]
fn judge_decides_every_verdict_again_and_finds_one_that_was_changed() {
    let place = Place::new();
    let cells =
        ["rotation/open-connections::a-re*", "start/hba-lines::*", "between/silence::answers-s*", "tls/how-it*"];
    let output = place.run(&[&["run", "--client", "kong,rustls"], &cells[..]].concat());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let file = place.path().join(LATEST).join("results.json");
    let mut run = Results::read(&file).expect("results");
    for cell in &run.cells {
        assert!(cell.evidence().is_some() || !cell.verdict.is_proof(), "{} has a verdict without evidence", cell.id);
    }
    let again = place.run(&["judge"]);
    assert_eq!(again.status, Some(0), "{again:#?}");
    let judged = run.cells.iter().filter(|cell| cell.evidence().is_some()).count();
    assert!(
        judged > 20 && again.stdout.starts_with(&format!("{judged} verdicts decided again, {judged} are the same")),
        "{again:#?}"
    );

    let proved = run.cells.iter_mut().find(|cell| cell.verdict.is_proof()).expect("a proof");
    proved.verdict = kong_pg_tls::judge::Verdict::Fail;
    std::fs::write(&file, serde_json::to_vec(&run).expect("JSON")).expect("a file");
    let again = place.run(&["judge"]);
    assert_eq!(again.status, Some(100), "{again:#?}");
    assert!(again.stdout.contains("recorded: fail"), "{again:#?}");
}

#[test]
fn junit_is_understood_by_a_parser_with_file_line_time_and_properties() {
    let place = Place::new();
    let results = run(&place, "3.14-enterprise");
    let output = report(&place, &results, "--junit");
    let suites = junit_parser::from_reader(output.stdout.as_bytes()).expect("JUnit");
    let [suite] = &suites.suites[..] else { panic!("one suite: {suites:#?}") };
    assert_eq!((suite.tests, suite.failures, suite.errors), (2, 2, 0));
    for case in &suite.cases {
        assert!(case.file.as_deref().is_some_and(|file| file.ends_with("scenarios/a.yaml")), "{case:#?}");
        assert_eq!(case.line, Some(7));
        assert!(case.timestamp.is_some() && case.time > 0.0, "{case:#?}");
        let verdict = case.properties.vec.iter().find(|(name, _)| name == "verdict").map(|(_, value)| &**value);
        assert_eq!(verdict, Some("fail"));
    }
}

#[test]
fn tap_is_understood_by_a_parser() {
    let place = Place::new();
    let results = run(&place, "3.14-enterprise");
    let output = report(&place, &results, "--tap");
    let mut parser = tap_parser::TapParser::new();
    let statements = parser.parse(&output.stdout).expect("TAP");
    let mut failed = 0;
    for statement in &statements {
        match statement {
            tap_parser::TapStatement::Plan(plan) => assert_eq!(plan.count, 2),
            tap_parser::TapStatement::TestPoint(test) => {
                let about: Value = serde_yaml::from_str(&test.yaml.join("\n")).expect("YAML");
                assert_eq!((test.result, about["verdict"].as_str()), (false, Some("fail")));
                assert!(about["mismatches"][0]["observed"][0].is_string(), "{about:#}");
                failed += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(failed, 2);
}

/// As the runner of GitHub Actions parses a command: name, properties, message.
#[test]
fn annotations_are_at_the_line_of_the_scenario() {
    let place = Place::new();
    let results = run(&place, "3.14-enterprise");
    let output = report(&place, &results, "--github");
    let command = regex::Regex::new(r"(?m)^::error file=([^,:]+),line=(\d+),title=([^,:]+)::(.+)$").expect("a regex");
    let all: Vec<_> = command.captures_iter(&output.stdout).collect();
    let [annotation] = &all[..] else { panic!("one annotation: {output:#?}") };
    assert_eq!(output.stdout.lines().count(), 1, "{output:#?}");
    assert!(annotation[1].ends_with("scenarios/a.yaml") && &annotation[2] == "7", "{annotation:?}");
    assert_eq!(&annotation[3], "2 fail%3A a private CA");
}

#[test]
fn runs_are_kept_up_to_a_number_and_latest_is_the_newest() {
    let place = Place::new();
    run(&place, "3.9-enterprise");
    let cells = |release| place.run(&["run", "--scenarios", "scenarios", "--keep", "2", "--kong", release]);
    let kept = || std::fs::read_dir(place.path().join("target/kong-pg-tls/runs")).expect("a folder").count();
    for (release, expected) in [("3.9-enterprise", 1), ("3.10-enterprise", 2), ("3.13-enterprise", 2)] {
        assert_eq!(cells(release).status, Some(0));
        assert_eq!(kept(), expected);
        let latest = Results::read(&place.path().join(LATEST)).expect("results");
        assert_eq!(latest.run.releases, [release]);
    }
}

/// Both runs side by side.
#[test]
#[ignore = "needs the program chromium"]
fn a_browser_shows_a_changed_cell_as_it_was_and_as_it_is() {
    let place = Place::new();
    let page = place.path().join("diff.html");
    let output = diff(&place, &["--html", &page.to_string_lossy()]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(output.stdout.starts_with("2 cells compared: 2 regressed"), "{output:#?}");
    let shown = dump(&place, &format!("file://{}", page.display()));
    for part in ["2 of 2 cells regressed", "Kong 3.13-enterprise → 3.14-enterprise", "a::a-private-ca@pg"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let link = shown.split("href=\"#").find(|rest| rest.starts_with("cell=")).expect("a link to a cell");
    let address = link.split('"').next().expect("an address").replace("&amp;", "&");
    let shown = dump(&place, &format!("file://{}#{address}", page.display()));
    for part in ["connects TLSv1.3", "is refused at handshake", "<mark class=\"own\">+ ", "certificate verify failed"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// What a browser shows at an address.
fn dump(place: &Place, address: &str) -> String {
    let chromium = std::process::Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", place.path().join("browser").display()))
        .arg(address)
        .output()
        .expect("the program chromium starts");
    let shown = String::from_utf8_lossy(&chromium.stdout).into_owned();
    assert!(!shown.is_empty(), "{}", String::from_utf8_lossy(&chromium.stderr));
    shown
}

/// What was configured is what one looks at first.
#[test]
fn a_cell_that_ran_out_of_time_has_its_configuration_and_its_certificates() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("scenarios")).expect("a folder");
    let silent = SCENARIO.replace("kong: {", "proxy: { does: is-silent }\nkong: { pg_timeout: 30000,");
    std::fs::write(place.path().join("scenarios/a.yaml"), silent).expect("a file");
    let options = ["run", "--scenarios", "scenarios", "--stack", "luasec", "--timeout", "8", "--results", "results"];
    let output = place.run(&options);
    assert_eq!(output.status, Some(100), "{output:#?}");
    let run = Results::read(&place.path().join("results")).expect("results");
    let [cell] = &run.cells[..] else { panic!("one cell: {run:#?}") };
    assert_eq!(cell.verdict, kong_pg_tls::judge::Verdict::Timeout, "{cell:#?}");
    let names: Vec<_> = cell.files.0.keys().map(String::as_str).collect();
    assert_eq!(names, ["postgresql.conf", "pg_hba.conf", "kong.conf"]);
    let certificates = cell.certificates.as_ref().expect("certificates");
    assert_eq!(certificates.server.links.len(), 1, "{certificates:#?}");
    assert!(certificates.server.missing.is_some() && !certificates.server.trusted.is_empty(), "{certificates:#?}");
}

#[test]
fn json_of_a_comparison_is_for_programs() {
    let output = diff(&Place::new(), &["--json"]);
    let comparison: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(comparison["axes"][0]["axis"], "Kong", "{comparison:#}");
}
