//! The suite under nextest, where each cell is a process: they share servers, and nothing is left of them.
//! `ci/test --test integration nextest:: -- --ignored`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, ProgramOutput, kill};
use crate::runs_on::{RunsOn, runs_on};

/// 24 cells.
const CELLS: &str = "test(/^tls.hba-lines::/)";

/// How long the broker may take to notice that nextest has ended, and to stop the servers.
const LIMIT: Duration = Duration::from_secs(60);

fn nextest(place: &Place, cells: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    // As `ci/test` builds it, so that nothing is built again.
    command.args(["nextest", "run", "--locked", "--workspace", "--test", "conformance", "--no-fail-fast"]);
    command.args(["--status-level", "all", "--color", "never", "-E", cells]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_test(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    let RunsOn { runtime, postgres } = runs_on();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("TMPDIR", place.temporary());
    command.env("KONG_PG_TLS_RUNTIME", runtime).env("KONG_PG_TLS_POSTGRES", postgres);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether cargo or nextest has set a variable for this test. Some crates are built again where one of cargo's differs.
fn is_of_this_test(variable: &str) -> bool {
    ["NEXTEST", "CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// The lines that nextest prints while it runs.
fn lines(program: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(program.stderr.take().expect("a pipe")).lines().map_while(Result::ok)
}

/// What is left, once there has been time to remove it.
fn left(place: &Place) -> Vec<String> {
    let start = Instant::now();
    loop {
        let left: Vec<_> = place.left().into_iter().chain(place.running("conformance")).collect();
        if left.is_empty() || start.elapsed() > LIMIT {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs cargo-nextest"]
fn cells_pass_on_servers_that_they_share_and_nothing_is_left() {
    let place = Place::new();
    let mut program = nextest(&place, CELLS).spawn().expect("cargo starts");
    let (mut text, mut servers) = (String::new(), BTreeSet::new());
    for line in lines(&mut program) {
        text.push_str(&line);
        text.push('\n');
        let running = place.running("postgres -D");
        servers.extend(running.iter().filter_map(|command| command.split(' ').nth(2)).map(str::to_owned));
    }
    let status = program.wait().expect("an end");
    assert!(status.success() && text.contains("24 tests run: 24 passed"), "{text}");
    let processors = std::thread::available_parallelism().expect("a number").get();
    let most = if runs_on().runtime == "local" { 1..=processors } else { 0..=0 };
    assert!(most.contains(&servers.len()), "{servers:#?}");
    assert_eq!(left(&place), [""; 0]);
}

#[test]
#[ignore = "needs cargo-nextest"]
fn nothing_is_left_of_a_nextest_that_is_killed() {
    let place = Place::new();
    let mut program = nextest(&place, CELLS).spawn().expect("cargo starts");
    let mut lines = lines(&mut program);
    assert_eq!(lines.by_ref().filter(|line| line.contains(" PASS ")).take(2).count(), 2);
    kill(&program, "KILL");
    program.wait().expect("an end");
    drop(lines);
    assert_eq!(left(&place), [""; 0]);
}

#[test]
#[ignore = "needs cargo-nextest"]
fn a_cell_that_fails_says_why() {
    let place = Place::new();
    let bin = place.crippled_postgres("echo '[1] FATAL:  out of luck' >&2; exit 1");
    let mut command = nextest(&place, "test(/^tls.on-and-off::kong-connects.ssl-on.*required.verifying/)");
    command.env("PGBIN", &bin).env("KONG_PG_TLS_RUNTIME", "local").env("KONG_PG_TLS_POSTGRES", "98");
    let output = ProgramOutput::new(command.output().expect("cargo starts"));
    assert_eq!(output.status, Some(100), "{output:#?}");
    for part in [" FAIL ", "environment-error", "FATAL:  out of luck"] {
        assert!(output.stderr.contains(part), "{part}: {output:#?}");
    }
    assert_eq!(left(&place), [""; 0]);
}
