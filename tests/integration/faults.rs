//! Something breaks while the suite runs: no cell fails for it that is no finding, the results are kept, and nothing is left
//! behind. tests/integration/faults/table.yaml lists what was tried.
//!
//! `cargo test --test integration faults:: -- --ignored` kills at 20 moments each, and needs root, a Docker engine with dockerd, and
//! faketime.

mod engine;
mod table;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, ProgramOutput, kill};
use crate::runs_on::{RunsOn, newest_local, runs_on};
use engine::Engine;
use kong_pg_tls::judge::Verdict;
use kong_pg_tls::record::Results;
use rstest::rstest;

/// 32 cells, on two servers at a time.
const CELLS: &str = "tls/on-and-off::*";
/// 16 of them.
const SOME_CELLS: &str = "tls/on-and-off::kong-connects.ssl-on.*";
const LATEST: &str = "target/kong-pg-tls/latest";
/// How long a run may take to end, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(240);

/// A run on local servers, whatever other tests run on.
fn local(place: &Place, arguments: &[&str]) -> Command {
    let mut program = place.program(&[&["run", "--verbose", "--runtime", "local"], arguments].concat());
    program.env("KONG_PG_TLS_POSTGRES", newest_local());
    program
}

/// A run that is under way: some cells have been judged.
fn under_way(program: &mut Command) -> Child {
    let mut program = program.stdout(Stdio::null()).spawn().expect("a start");
    let stderr = program.stderr.take().expect("a pipe");
    let (sender, lines) = std::sync::mpsc::channel();
    // It is read to its end, so that the program never waits for us.
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    while !lines.recv_timeout(LIMIT).expect("progress").contains(" pass ") {}
    program
}

/// Its exit status, in time.
fn end(program: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = program.try_wait().expect("a program") {
            return status.code();
        }
        if begun.elapsed() > LIMIT {
            program.kill().expect("a program");
            panic!("the run has not ended in {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The child processes of a process, by the name of their program.
fn children(of: u32, name: &str) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-x", name, "-P", &of.to_string()]).output().expect("the program pgrep");
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect()
}

fn signal(process: u32, name: &str) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status();
}

/// Waits for a moment within the run, another one for each seed.
fn wait_for_moment(seed: u64) {
    let moment = fastrand::Rng::with_seed(seed).u64(0..1500);
    std::thread::sleep(Duration::from_millis(moment));
}

/// All cells have been judged, and those that the fault has disturbed say so. Returns how many these are.
fn disturbed(place: &Place, verdict: Verdict) -> usize {
    let results = Results::read(&place.path().join(LATEST)).expect("results");
    assert!(results.complete && results.cells.len() == results.run.planned, "not all cells were judged");
    let others = results
        .cells
        .iter()
        .filter(|cell| !matches!(cell.verdict, Verdict::Pass | Verdict::KnownDeviation | Verdict::Unsupported));
    let others: Vec<_> = others.collect();
    let unexpected: Vec<_> = others.iter().filter(|cell| cell.verdict != verdict).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    others.len()
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Server,
    ProcessOfServer,
    Nginx,
}

/// Kills at a moment of a run.
fn kill_at(victim: Victim, seed: u64) {
    let place = Place::new();
    let client = if matches!(victim, Victim::Nginx) { "openresty" } else { "kong" };
    let mut program = under_way(&mut local(&place, &["--client", client, CELLS]));
    wait_for_moment(seed);
    match victim {
        Victim::Server => children(program.id(), "postgres").first().into_iter().for_each(|it| signal(*it, "KILL")),
        Victim::Nginx => children(program.id(), "nginx").first().into_iter().for_each(|it| signal(*it, "KILL")),
        Victim::ProcessOfServer => {
            let servers = children(program.id(), "postgres");
            servers
                .first()
                .and_then(|server| children(*server, "postgres").pop())
                .into_iter()
                .for_each(|it| signal(it, "KILL"));
        }
    }
    let status = end(&mut program);
    let disturbed = disturbed(&place, Verdict::EnvironmentError);
    assert_eq!(status, Some(if disturbed == 0 { 0 } else { 3 }), "{victim:?}, moment {seed}");
    assert_eq!(place.left(), [""; 0], "{victim:?}, moment {seed}");
}

#[rstest]
#[case(Victim::Server)]
#[case(Victim::ProcessOfServer)]
#[case(Victim::Nginx)]
fn a_killed_process_is_no_finding(#[case] victim: Victim) {
    for seed in 0..2 {
        kill_at(victim, seed);
    }
}

#[rstest]
#[case(Victim::Server)]
#[case(Victim::ProcessOfServer)]
#[case(Victim::Nginx)]
#[ignore = "takes ten minutes"]
fn a_process_killed_at_any_moment_is_no_finding(#[case] victim: Victim) {
    for seed in 2..22 {
        kill_at(victim, seed);
    }
}

#[test]
#[ignore = "needs a Docker engine with an image"]
fn a_killed_container_is_no_finding() {
    for seed in 0..20 {
        let place = Place::new();
        let mut program = under_way(&mut place.program(&["run", "--verbose", "--runtime", "docker", CELLS]));
        wait_for_moment(seed);
        let kill = "docker ps -q --no-trunc --filter label=kong-pg-tls.run --format '{{.ID}} {{.Label \"kong-pg-tls.run\"}}' \
                    | grep \"$0\" | head -1 | cut -d' ' -f1 | xargs -r docker kill";
        let killed = Command::new("sh").args(["-c", kill]).arg(place.path()).stdout(Stdio::null()).status();
        assert!(killed.is_ok_and(|status| status.success()), "a container is killed");
        let status = end(&mut program);
        let disturbed = disturbed(&place, Verdict::EnvironmentError);
        assert_eq!(status, Some(if disturbed == 0 { 0 } else { 3 }), "moment {seed}");
        assert_eq!(place.left(), [""; 0], "moment {seed}");
    }
}

#[test]
#[ignore = "needs root, a Docker engine with an image, and dockerd"]
fn a_killed_engine_is_no_finding_and_clean_removes_the_containers() {
    let (mut times, own) = (0, Place::new());
    let RunsOn { postgres: major, .. } = runs_on();
    let engine = Engine::start(&own.path().join("engine"), &format!("kong-pg-tls/postgres:{major}"));
    for seed in 0..20 {
        let place = Place::new();
        let run = place.program(&["run", "--verbose", "--runtime", "docker", CELLS]);
        let mut program = under_way(&mut engine.within(&run));
        wait_for_moment(seed);
        engine.kill();
        let status = end(&mut program);
        let disturbed = disturbed(&place, Verdict::EnvironmentError);
        assert_eq!(status, Some(if disturbed == 0 { 0 } else { 3 }), "moment {seed}");
        times += usize::from(disturbed > 0);
        engine.run();
        let cleaned = ProgramOutput::new(engine.within(&place.program(&["clean"])).output().expect("a program"));
        assert_eq!(cleaned.status, Some(0), "{cleaned:#?}");
        assert_eq!((place.left(), engine.containers().as_str()), (Vec::new(), ""), "moment {seed}");
    }
    assert!(times > 0, "each run ended before its engine was killed");
}

/// What notices first is the limit of a cell in one case, and that of a wait for the server in the other.
#[rstest]
#[case::cell(&["--timeout", "25"])]
#[case::wait(&[])]
fn a_stopped_server_is_a_timeout_of_one_cell(#[case] limit: &[&str]) {
    let place = Place::new();
    let mut program = under_way(&mut local(&place, &[limit, &[CELLS]].concat()));
    children(program.id(), "postgres").first().into_iter().for_each(|it| signal(*it, "STOP"));
    let status = end(&mut program);
    assert_eq!((disturbed(&place, Verdict::Timeout), status), (1, Some(100)));
    assert_eq!(place.left(), [""; 0]);
}

fn kill_run_at(seed: u64) {
    let place = Place::new();
    let mut program = under_way(&mut local(&place, &[CELLS]));
    wait_for_moment(seed);
    kill(&program, "KILL");
    program.wait().expect("an end");
    let log = Results::read(&place.path().join(LATEST).join("events.jsonl")).expect("a log");
    assert!(!log.cells.is_empty(), "cells had been judged");
    let report = place.run(&["report", "--tap", "-"]);
    assert_eq!(report.status, Some(0), "{report:#?}");
    let cleaned = place.run(&["clean"]);
    assert_eq!(cleaned.status, Some(0), "{cleaned:#?}");
    assert_eq!(place.left(), [""; 0], "moment {seed}");
}

#[test]
fn a_killed_run_keeps_its_log_and_clean_removes_the_rest() {
    (0..2).for_each(kill_run_at);
}

#[test]
#[ignore = "takes two minutes"]
fn a_run_killed_at_any_moment_keeps_its_log_and_clean_removes_the_rest() {
    (2..22).for_each(kill_run_at);
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// The program after a shell has taken something away from it, in name spaces of its own. The temporary folder is listed before
/// that ends.
fn without(place: &Place, take_away: &str, arguments: &[&str]) -> ProgramOutput {
    let run = local(place, arguments);
    let mut command = Command::new("unshare");
    let script =
        format!("ip link set lo up\n{take_away}\n\"$0\" \"$@\"; status=$?; ls -A \"$TMPDIR\" >left; exit $status");
    command.args(["--mount", "--net", "sh", "-c", &script]).arg(run.get_program()).args(run.get_args());
    command.current_dir(place.path()).envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // A data directory from elsewhere would need less of what is lacking.
    command.env_remove("KONG_PG_TLS_CACHE");
    let output = ProgramOutput::new(command.output().expect("the program unshare"));
    let left = std::fs::read_to_string(place.path().join("left")).expect("a list");
    assert_eq!((&*left, place.left()), ("", Vec::new()), "{output:#?}");
    output
}

#[rstest]
#[case::disk("mount -t tmpfs -o size=30m,mode=711 none $TMPDIR", 3, "No space left on device")]
#[case::results("mkdir target; mount -t tmpfs -o size=20k none target", 3, "events.jsonl: No space left on device")]
#[case::read_only(
    "mkdir target; mount -t tmpfs -o ro none target",
    3,
    "Read-only file system (os error 30); name another folder with --results"
)]
#[case::descriptors("ulimit -n 30", 3, "insufficient file descriptors")]
#[case::no_loopback("ip addr del 127.0.0.1/8 dev lo", 3, "Cannot assign requested address")]
#[case::noexec("mount -t tmpfs -o noexec,mode=711 none $TMPDIR", 0, "12 pass, 4 known-deviation")]
fn a_machine_that_lacks_something_is_reported(#[case] take_away: &str, #[case] status: i32, #[case] said: &str) {
    if !is_root() {
        println!("not run: only root can mount");
        return;
    }
    let place = Place::new();
    let output = without(&place, take_away, &[SOME_CELLS]);
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert!(output.stdout.contains(said) || output.stderr.contains(said), "{output:#?}");
    assert!(!output.stdout.contains(" fail "), "{output:#?}");
}

#[test]
#[ignore = "needs Debian's package faketime"]
fn a_clock_that_jumps_changes_no_verdict() {
    let place = Place::new();
    let clock = place.path().join("clock");
    std::fs::write(&clock, "+0").expect("a file");
    let mut program = local(&place, &[CELLS, "mtls/cert::a-certificate*default*"]);
    program.env("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1").env("FAKETIME_NO_CACHE", "1");
    program.env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let running = program.spawn().expect("a start");
    let log = place.path().join(LATEST).join("events.jsonl");
    let begun = Instant::now();
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("\"pass\"")) {
        assert!(begun.elapsed() < LIMIT, "no cell passes");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::write(&clock, "+1d").expect("a file");
    let output = ProgramOutput::new(running.wait_with_output().expect("an end"));
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert_eq!(disturbed(&place, Verdict::Pass), 0);
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn two_runs_at_once_do_not_meet() {
    let place = Place::new();
    let start = || local(&place, &[SOME_CELLS]).spawn().expect("a start");
    for program in [start(), start()] {
        let output = ProgramOutput::new(program.wait_with_output().expect("an end"));
        assert_eq!(output.status, Some(0), "{output:#?}");
    }
    let runs = std::fs::read_dir(place.path().join("target/kong-pg-tls/runs")).expect("a folder");
    let cells = runs.map(|run| Results::read(&run.expect("an entry").path()).expect("results").cells.len());
    assert_eq!(cells.collect::<Vec<_>>(), [16, 16]);
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn the_locale_changes_no_verdict() {
    let place = Place::new();
    let mut program = local(&place, &["--client", "kong,libpq", SOME_CELLS]);
    program.env("LC_ALL", "tr_TR.UTF-8").env("LANGUAGE", "de").env("TZ", "Asia/Kathmandu").env("PGTZ", "UTC+9");
    let output = ProgramOutput::new(program.output().expect("a start"));
    assert_eq!(output.status, Some(0), "{output:#?}");
}

#[test]
fn an_ordinary_user_runs_what_needs_no_root() {
    if !is_root() {
        println!("not run: only root can become another user; as another user, every test is this one");
        return;
    }
    let place = Place::new();
    let program = place.path().join("program");
    std::fs::copy(env!("CARGO_BIN_EXE_kong-pg-tls"), &program).expect("a copy that others can run");
    let chown = Command::new("chown").args(["-R", "65534:65534"]).arg(place.path()).status();
    assert!(chown.is_ok_and(|status| status.success()));
    let as_it_is = local(&place, &[SOME_CELLS, "start/keys::at-the-start-a-key.of-root-*"]);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(as_it_is.get_args());
    command.current_dir(place.path()).envs(as_it_is.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = ProgramOutput::new(command.output().expect("the program setpriv"));
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(disturbed(&place, Verdict::Blocked) > 0, "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}
