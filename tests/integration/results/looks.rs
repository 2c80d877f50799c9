//! The output in docs/results.md is what the commands print, but for versions, times and folders.
//! `UPDATE_DOCS=1 cargo test --test integration results::looks` rewrites it.

use regex::Regex;

use crate::documents;
use crate::place::Place;
use crate::runs_on::{RunsOn, runs_on};

/// What differs between runs and machines, and an example of it.
const EXAMPLES: [(&str, &str); 14] = [
    (r"host=[\d.]+ port=\d+", "host=127.0.0.1 port=50000"),
    // Only where the server is not of the version that it was in the last green run.
    (r"  the last green run on \d+ was of PostgreSQL .*\n", ""),
    (r"runs/[^/]+/", "runs/2026-11-24T12-00-00Z/"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|\+00:00)", "2026-11-24T12:00:00.000Z"),
    (r#"time="[\d.]+""#, r#"time="0.100""#),
    (r"duration_ms: \d+", "duration_ms: 100"),
    (r#"uuid="[^"]+""#, r#"uuid="...""#),
    (r"@pg\d+", "@pg17"),
    (r"PostgreSQL \d+(\.\d+)?[^;\n]*", "PostgreSQL 17.6"),
    (r#"name="postgres" value="[^"]+""#, r#"name="postgres" value="17.6""#),
    (r#"name="openssl" value="[^"]+""#, r#"name="openssl" value="3.5.1""#),
    (r#"name="runtime" value="[^"]+""#, r#"name="runtime" value="local""#),
    (r"--runtime (local|docker) --postgres \d+", "--runtime local --postgres 17"),
    (r"\d+\.\d s\b", "0.1 s"),
];

#[test]
fn each_command_prints_what_the_document_shows() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("scenarios")).expect("a folder");
    std::fs::write(place.path().join("scenarios/a.yaml"), super::SCENARIO).expect("a file");
    let RunsOn { runtime, postgres } = runs_on();
    let commands = documents::check("results.md", &|command| {
        let mut shell = documents::shell(command, place.path());
        shell.env("TMPDIR", place.path().join("tmp"));
        let output = shell.env("KONG_PG_TLS_RUNTIME", runtime).env("KONG_PG_TLS_POSTGRES", postgres).output();
        let text = String::from_utf8(output.expect("a shell").stdout).expect("text");
        EXAMPLES.iter().fold(text, |text, (pattern, example)| {
            Regex::new(pattern).expect("a pattern").replace_all(&text, *example).into_owned()
        })
    });
    assert!(commands >= 6, "{commands} commands");
    assert_eq!(place.left(), [""; 0]);
}
