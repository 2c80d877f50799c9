//! The output in docs/reproduce.md is what the commands print, but for ports, versions and folders.
//! `UPDATE_DOCS=1 cargo test --test integration reproduce::` rewrites it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::documents;
use crate::place::{Place, kill};
use crate::runs_on::{RunsOn, runs_on};
use regex::Regex;

/// What differs between runs and machines, and an example of it.
const EXAMPLES: [(&str, &str); 7] = [
    (r"runs/[^/]+/", "runs/2026-11-24T12-00-00Z/"),
    (r"kong-pg-tls-[A-Za-z0-9]{6}\b", "kong-pg-tls-example"),
    (r"\b[3-6]\d{4}\b", "41007"),
    (r"PostgreSQL \d+\.\d+ with OpenSSL \S+ \((local|docker)\)", "PostgreSQL 17.6 with OpenSSL 3.5.1 (local)"),
    (r"@pg\d+", "@pg17"),
    (r"PostgreSQL \d+\b", "PostgreSQL 17"),
    (r"\d+\.\d s\b", "0.1 s"),
];

/// What a command prints. `up` is interrupted once its server is there.
fn output(command: &str, place: &Place) -> String {
    let RunsOn { runtime, postgres } = runs_on();
    let command = command.replace("kong-pg-tls up", &format!("exec kong-pg-tls up --postgres {postgres}"));
    let mut shell = documents::shell(&command, place.path());
    shell.env("TMPDIR", place.path().join("tmp"));
    shell.env("KONG_PG_TLS_RUNTIME", runtime).env("KONG_PG_TLS_POSTGRES", postgres);
    let mut child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut text = String::new();
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        text += &(line.clone() + "\n");
        if line == "The server's log:" {
            kill(&child, "INT");
        }
    }
    assert!(child.wait().expect("an end").success(), "{command}: {text}");
    let here = place.path().to_string_lossy().into_owned();
    let text = text.replace(&format!("{here}/tmp"), "/tmp").replace(&here, "/home/you");
    EXAMPLES.iter().fold(text, |text, (pattern, example)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *example).into_owned()
    })
}

#[test]
fn each_command_prints_what_the_document_shows() {
    let place = Place::new();
    let commands = documents::check("reproduce.md", &|command| output(command, &place));
    assert!(commands >= 7, "{commands} commands");
    assert_eq!(place.left(), [""; 0]);
}
