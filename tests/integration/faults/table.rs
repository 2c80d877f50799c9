//! The table of faults: each has a test, and docs/trust.md shows it.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::documents;

/// Something that breaks, and what is promised then.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    #[serde(rename = "fault")]
    breaks: String,
    cells: String,
    exit: String,
    kept: String,
    /// Of what holds the promise: `faults/a_killed_process_is_no_finding`.
    test: String,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file")
}

fn faults() -> Vec<Fault> {
    serde_yaml::from_str(&read("tests/integration/faults/table.yaml")).expect("a table")
}

#[test]
fn every_fault_has_a_test() {
    for Fault { breaks, test, .. } in faults() {
        let (file, function) = test.split_once('/').expect("a file and a function");
        assert!(
            read(&format!("tests/integration/{file}.rs")).contains(&format!("\nfn {function}(")),
            "{breaks}: there is no {test}"
        );
    }
}

/// `UPDATE_DOCS=1 cargo test --test integration faults::` writes it.
#[test]
fn the_documentation_shows_the_table() {
    let mut table = "| what breaks | cells | exit status | what is kept |\n|---|---|---|---|\n".to_owned();
    for Fault { breaks, cells, exit, kept, .. } in faults() {
        writeln!(table, "| {breaks} | {cells} | {exit} | {kept} |").expect("text");
    }
    documents::check_section("trust.md", "tests/integration/faults/table.yaml", &table);
}
