//! docs/new-version.md, played: a suite whose texts end at PostgreSQL 17 meets a real 18, and a release of Kong comes that
//! no build knows.

use std::path::Path;
use std::process::Command;

use postgres_tls_server::Major;
use regex::Regex;

use super::{RELEASE, copy, texts_without};
use crate::documents;
use crate::place::Place;

/// What is another one each time.
const VARIABLE: [(&str, &str); 4] = [
    (r"duration_ms: \d+", "duration_ms: 318"),
    (r"in \d+\.\d s", "in 12.3 s"),
    (r"PostgreSQL 18\.\d+ with OpenSSL [0-9.]+, \d{4}-\d\d-\d\d", "PostgreSQL 18.6 with OpenSSL 3.6.5, 2026-11-28"),
    (r"PostgreSQL 18\.\d+ with OpenSSL [0-9.]+ ", "PostgreSQL 18.6 with OpenSSL 3.6.5 "),
];

fn steady(text: &str) -> String {
    VARIABLE.iter().fold(text.to_owned(), |text, (pattern, instead)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *instead).into_owned()
    })
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
    let status = Command::new("git").args(identity).args(arguments).current_dir(folder).status();
    assert!(status.is_ok_and(|status| status.success()), "git {arguments:?}");
}

#[test]
#[ignore = "needs a Docker engine with an image of PostgreSQL 18"]
fn the_document_about_new_versions_shows_what_the_commands_print() {
    let place = Place::new();
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).expect("a file");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"), &place.path().join("scenarios"));
    write("scenarios/texts.yaml", &texts_without(Major(18)));
    write("3.99.toml", RELEASE);
    write("kong.conf", "pg_ssl = on\npg_ssl_verify = off\n");
    git(place.path(), &["init", "--quiet"]);
    git(place.path(), &["add", "scenarios"]);
    git(place.path(), &["commit", "--quiet", "--message", "before"]);
    let run = |command: &str| {
        let mut shell = documents::shell(command, place.path());
        shell.env("KONG_PG_TLS_RUNTIME", "docker").env("TMPDIR", place.path().join("tmp"));
        steady(&documents::output(shell))
    };
    assert!(documents::check("new-version.md", &run) >= 8);
    assert_eq!(place.left(), [""; 0]);
}
