//! The output in docs/reproduce.md is what the commands print, but for ports, versions and folders.
//! `UPDATE_DOCS=1 cargo test --test reproduce` writes it anew.

#[allow(dead_code, reason = "shared with tests that look at what a run leaves behind")]
mod place;
mod runs_on;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use place::{Place, kill};
use regex::Regex;
use runs_on::{RunsOn, runs_on};

const BEGIN: &str = "```console\n$ ";
const END: &str = "```\n";

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
    let program = Path::new(env!("CARGO_BIN_EXE_kong-pg-tls")).parent().expect("a folder").display();
    let path = format!("{program}:{}", std::env::var("PATH").unwrap_or_default());
    let command = command.replace("kong-pg-tls up", &format!("exec kong-pg-tls up --postgres {postgres}"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("PATH", path).env("TMPDIR", place.path().join("tmp")).current_dir(place.path());
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reproduce.md");
    let document = std::fs::read_to_string(&path).expect("a file");
    let place = Place::new();
    let mut blocks = document.split(BEGIN);
    let mut made = blocks.next().expect("a beginning").to_owned();
    let mut commands = 0;
    for block in blocks {
        let (shown, rest) = block.split_once(END).expect("an end of the block");
        let command = shown.lines().next().expect("a command");
        made += &[BEGIN, command, "\n", &output(command, &place), END, rest].concat();
        commands += 1;
    }
    assert!(commands >= 7, "{commands} commands");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("the document can be written");
    }
    let document = std::fs::read_to_string(&path).expect("a file");
    let differs = document.lines().zip(made.lines()).find(|(shown, printed)| shown != printed);
    assert!(document == made, "UPDATE_DOCS=1 cargo test --test reproduce; first {differs:?}");
    assert_eq!(place.left(), [""; 0]);
}
