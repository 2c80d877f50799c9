//! Runs in parts: shards as processes of their own, merged; and a run continued by another.

use std::path::Path;
use std::process::Child;

use kong_pg_tls::record::{LATEST, Results};
use serde_json::Value;

use crate::place::{Place, ProgramOutput};

/// Cells that pass, that deviate, and that have no meaning with some clients.
const CELLS: [&str; 5] = ["run", "tls/hba-lines::*", "start/hba-lines::*", "--client", "kong,rustls"];

fn start(place: &Place, options: &[&str]) -> Child {
    place.program(&[&CELLS[..], options].concat()).spawn().expect("the program starts")
}

/// A result file without what differs between two runs of the same cells.
fn comparable(place: &Place, folder: &str) -> Value {
    let run = Results::read(&place.path().join(folder)).expect("results");
    let mut run = serde_json::to_value(run).expect("JSON");
    blank(&mut run);
    run
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match key.as_str() {
                    // Ports, folders and fingerprints are in the texts.
                    "started" | "duration_ms" | "certificate" | "not_before" | "not_after" | "reload"
                    | "server_log" | "judged_log" | "text" | "error" | "reports" => {
                        *value = Value::Null;
                    }
                    _ => blank(value),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(blank),
        _ => {}
    }
}

/// Cell by cell, so that a difference can be read.
fn assert_same(mut one: Value, mut other: Value) {
    let (Value::Array(cells), Value::Array(others)) = (one["cells"].take(), other["cells"].take()) else {
        panic!("no cells: {one:#}")
    };
    assert_eq!(one, other);
    assert_eq!(cells.len(), others.len());
    for (cell, other) in cells.iter().zip(&others) {
        assert_eq!(cell, other);
    }
}

fn merge(place: &Place, arguments: &[&str]) -> ProgramOutput {
    place.run(&[&["merge"], arguments].concat())
}

#[test]
fn shards_run_by_processes_of_their_own_merge_to_the_unsplit_run() {
    let place = Place::new();
    let shards = [("1/3", "one"), ("2/3", "two"), ("3/3", "three")];
    let running = shards.map(|(shard, folder)| start(&place, &["--shard", shard, "--results", folder]));
    for child in running {
        let output = ProgramOutput::new(child.wait_with_output().expect("an end"));
        assert_eq!(output.status, Some(0), "{output:#?}");
    }
    let whole = ProgramOutput::new(start(&place, &["--results", "whole"]).wait_with_output().expect("an end"));
    assert_eq!(whole.status, Some(0), "{whole:#?}");

    let merged = merge(&place, &["three", "one", "two", "--results", "merged"]);
    assert_eq!(merged.status, Some(0), "{merged:#?}");
    assert_same(comparable(&place, "merged"), comparable(&place, "whole"));
    // The log of the merged run tells the same.
    assert_same(comparable(&place, "merged/events.jsonl"), comparable(&place, "whole"));

    let missing = merge(&place, &["one", "two"]);
    assert_eq!(missing.status, Some(2), "{missing:#?}");
    assert!(missing.stderr.contains("no part is the shard 3/3"), "{missing:#?}");
    let overlapping = merge(&place, &["one", "whole"]);
    assert_eq!(overlapping.status, Some(2), "{overlapping:#?}");
    assert!(overlapping.stderr.contains("are in more than one part"), "{overlapping:#?}");
    let told = merge(&place, &["one", "two", "--missing", "--results", "partial"]);
    assert_eq!(told.status, Some(3), "{told:#?}");
    assert!(told.stdout.contains("parts of it are missing"), "{told:#?}");
}

#[test]
fn a_rerun_runs_what_failed_or_is_new_and_keeps_the_rest() {
    let place = Place::new();
    let folder = place.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    let good = super::SCENARIO.replace("foreign-root.crt", "root.crt");
    let bad = good.replace("tls: TLSv1.3 }", "tls: TLSv1.2 }").replace("connects: { TLSv", "connects: { tls: TLSv");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    write("a.yaml", &good);
    write("b.yaml", &bad);
    let first = place.run(&["run", "--scenarios", "scenarios", "--kong", "3.14-enterprise"]);
    assert_eq!(first.status, Some(100), "{first:#?}");
    let before = Results::read(&place.path().join(LATEST)).expect("results");

    write("b.yaml", &good);
    write("c.yaml", &good);
    let again = place.run(&["run", "--rerun", LATEST, "--verbose"]);
    assert_eq!(again.status, Some(0), "{again:#?}");
    let run = |scenario: &str| again.stderr.matches(&format!("{scenario}::a-private-ca@")).count();
    assert_eq!((run("a"), run("b"), run("c")), (0, 2, 2), "{again:#?}");
    let after = Results::read(&place.path().join(LATEST)).expect("results");
    assert!(after.complete && after.cells.len() == 6, "{after:#?}");
    let started =
        |results: &Results| results.cells.iter().find(|cell| cell.scenario == "a").map(|cell| cell.started.clone());
    assert_eq!(started(&after), started(&before), "kept as it was");
}

/// Every option that an example uses is one of the program's.
#[test]
fn the_examples_for_ci_are_yaml_and_use_options_that_there_are() {
    let place = Place::new();
    let help: String =
        ["run", "merge", "report", "vacuity"].iter().map(|command| place.run(&[command, "--help"]).stdout).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/examples");
    let mut options = 0;
    for example in std::fs::read_dir(folder).expect("a folder") {
        let path = example.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a file");
        for document in serde_yaml::Deserializer::from_str(&text) {
            let parsed = <serde_yaml::Value as serde::Deserialize>::deserialize(document);
            parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        let commands = text.lines().filter(|line| line.contains("kong-pg-tls ") || line.contains("ci/conformance"));
        for option in commands.flat_map(str::split_whitespace).filter(|word| word.starts_with("--")) {
            assert!(help.contains(&format!("{option} ")), "{option} in {}", path.display());
            options += 1;
        }
    }
    assert!(options > 10, "{options}");
}
