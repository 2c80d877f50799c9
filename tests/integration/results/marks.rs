//! Cells that are slow, and cells and runs that leave something behind: where it is shown.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kong_pg_tls::leaks::Leak;
use kong_pg_tls::record::{DURATIONS, LATEST, Results};
use rstest::rstest;

use crate::place::{Place, ProgramOutput, write_script};

const REFUSED: &str = "refused: { stage: handshake, kong: no, postgres: [] }";

/// Runs a cell with a client that does something, and then reports that it is refused, as the cell expects.
fn run(place: &Place, does: &str) -> ProgramOutput {
    let scenarios = place.path().join("scenarios");
    std::fs::create_dir_all(&scenarios).expect("a folder");
    let scenario = super::SCENARIO.replace("connects: { tls: TLSv1.3 }", REFUSED);
    let scenario = scenario.replace("pg_ssl: on,", "pg_ssl: on, pg_timeout: 30000,");
    std::fs::write(scenarios.join("a.yaml"), scenario).expect("a file");
    let client = place.path().join("client");
    let script = format!(
        "while read -r line; do
    case $line in
        *'\"kind\":\"connect\"'*)
            {does}
            echo '{{\"outcome\": \"refused\", \"error\": \"no\"}}' ;;
        *) echo '{{\"outcome\": \"unsupported\", \"reason\": \"unknown\"}}' ;;
    esac
done
"
    );
    write_script(&client, &script);
    let client = client.to_string_lossy();
    let output = place.run(&["run", "--scenarios", "scenarios", "--stack", "cosocket", "--client-command", &client]);
    assert_eq!(output.status, Some(0), "it is no failure: {output:#?}");
    output
}

fn results(place: &Place, file: &str) -> Results {
    Results::read(&place.path().join(LATEST).join(file)).expect("results")
}

/// Every report of the last run has a text.
fn every_report_has(place: &Place, text: &str) {
    for format in ["--junit", "--markdown", "--github", "--tap"] {
        let report = place.run(&["report", format, "-"]).stdout.replace('\\', "");
        assert!(report.contains(text), "{text} in {format}: {report}");
    }
}

#[rstest]
#[case::a_child("sleep 611 &", "sleep 611")]
#[case::one_that_forgets_its_environment("env -i sleep 612 &", "sleep 612")]
#[case::a_daemon("setsid sleep 613 </dev/null >/dev/null 2>&1 &", "sleep 613")]
fn a_process_that_outlives_its_cell_is_a_leak_and_ends_with_the_run(#[case] does: &str, #[case] left: &str) {
    let place = Place::new();
    let output = run(&place, does);
    for file in ["results.json", "events.jsonl"] {
        let run = results(&place, file);
        let [Leak::Process { command, .. }] = &run.cells[0].leaks[..] else { panic!("one process: {run:#?}") };
        assert_eq!((&**command, &run.leaks[..]), (left, &[][..]), "{file}");
    }
    let text = format!("({left})");
    assert!(output.stderr.lines().any(|line| line.contains("LEAK [") && line.contains(&text)), "{output:#?}");
    assert!(output.stdout.contains(" leaky) in "), "{output:#?}");
    assert!(output.stdout.contains("\nleak a::a-private-ca@"), "{output:#?}");
    every_report_has(&place, &text);
    assert!(!is_running(left), "it is ended with the run");
}

/// A folder with a script of a program's name, which leaves a process behind where its arguments say so, and goes on as
/// the program.
fn leaky(place: &Place, program: &str, when: &str, left: &str) -> PathBuf {
    let folder = place.path().join("bin");
    std::fs::create_dir(&folder).expect("a folder");
    // The newest psql is used.
    let newest = "[ \"$1\" = --version ] && echo 'psql (PostgreSQL) 99.1' && exit";
    let first = if program == "psql" { newest } else { "" };
    let text = format!(
        "{first}
case \"$*\" in {when}) {left} </dev/null >/dev/null 2>&1 & ;; esac
PATH=/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin exec {program} \"$@\"
"
    );
    write_script(&folder.join(program), &text);
    // PgBouncer is started by the database user.
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("a mode");
    folder
}

/// Programs that a cell starts, other than a client of the user's.
#[rstest]
#[case::libpq("psql", "*", "sleep 615", &["--client", "libpq", "tls/on-and-off::*"])]
#[case::luasec("nginx", "*luasec.conf*", "sleep 616", &["--client", "openresty", "--stack", "luasec", "tls/on-and-off::*"])]
#[case::between("pgbouncer", "*", "sleep 617", &["--stack", "cosocket", "between/pgbouncer::scram*"])]
fn a_process_that_a_program_leaves_behind_is_a_leak_of_the_cell(
    #[case] program: &str,
    #[case] when: &str,
    #[case] left: &str,
    #[case] cells: &[&str],
) {
    let place = Place::new();
    let first = leaky(&place, program, when, left);
    let path = std::env::join_paths([first, "/usr/bin".into(), "/bin".into(), "/usr/sbin".into()]).expect("a PATH");
    let mut command =
        place.program(&[&["run", "--jobs", "1", "--runtime", "local", "--postgres", "all"], cells].concat());
    let output = ProgramOutput::new(command.env("PATH", path).output().expect("the program starts"));
    assert_eq!(output.status, Some(0), "{output:#?}");
    let run = results(&place, "results.json");
    let is_it = |leak: &Leak| matches!(leak, Leak::Process { command, .. } if command == left);
    assert!(run.cells.iter().any(|cell| !cell.leaks.is_empty()), "{output:#?}");
    assert!(run.cells.iter().flat_map(|cell| &cell.leaks).all(is_it), "{output:#?}");
    assert_eq!(run.leaks[..], [], "each is of its cell");
    assert!(!is_running(left), "it is ended with the run");
}

/// Nothing connects it with its cell, but this program has adopted it.
#[test]
fn a_process_that_only_the_run_can_be_blamed_for_is_a_leak_of_the_run() {
    let place = Place::new();
    let output = run(&place, "env -i setsid sleep 614 </dev/null >/dev/null 2>&1 &");
    for file in ["results.json", "events.jsonl"] {
        let run = results(&place, file);
        let [Leak::Process { command, .. }] = &run.leaks[..] else { panic!("one process: {run:#?}") };
        assert_eq!((&**command, &run.cells[0].leaks[..]), ("sleep 614", &[][..]), "{file}");
    }
    assert!(output.stderr.contains("LEAK process "), "{output:#?}");
    assert!(output.stdout.contains("leak of the run\n  process "), "{output:#?}");
    every_report_has(&place, "(sleep 614)");
    assert!(!is_running("sleep 614"), "it is ended with the run");
}

#[test]
fn a_file_that_outlives_its_cell_is_a_leak_and_goes_with_the_run() {
    let place = Place::new();
    let output = run(&place, "touch \"$TMPDIR/left-here\"");
    let leaks = &results(&place, "results.json").cells[0].leaks;
    assert_eq!(leaks[..], [Leak::File { path: "left-here".into() }], "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn what_ends_soon_after_its_cell_is_no_leak() {
    let place = Place::new();
    let output = run(&place, "sleep 0.05 &");
    let run = results(&place, "results.json");
    assert_eq!((&run.cells[0].leaks[..], &run.leaks[..]), (&[][..], &[][..]), "{output:#?}");
}

#[test]
fn a_cell_that_takes_much_longer_than_before_is_slow() {
    let place = Place::new();
    run(&place, ":");
    // As on a machine that does nothing else.
    let file = place.path().join(LATEST).join(DURATIONS);
    let recorded = std::fs::read_to_string(&file).expect("durations");
    let idle = regex::Regex::new(r"(kong-latest[^:]*:)\d+").expect("a pattern").replace(&recorded, "${1}100");
    assert_ne!(recorded, idle);
    std::fs::write(&file, &*idle).expect("durations");
    let output = run(&place, "sleep 6");
    for file in ["results.json", "events.jsonl"] {
        let run = results(&place, file);
        let slow = run.cells[0].slow.unwrap_or_else(|| panic!("slow: {run:#?}"));
        assert!(slow.took_ms > 6_000 && slow.limit_ms == 5_100 && slow.usual_ms == Some(100), "{slow:?}");
    }
    assert!(output.stderr.contains("SLOW [>5100 ms] a::a-private-ca@"), "while it runs: {output:#?}");
    assert!(output.stdout.contains("(1 slow) in ") && output.stdout.contains("\nslow a::"), "{output:#?}");
    every_report_has(&place, " ms, usually 100 ms");
}

fn is_running(command: &str) -> bool {
    let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let commands = entries.filter_map(|entry| std::fs::read(Path::new(&entry.path()).join("cmdline")).ok());
    commands.map(|words| String::from_utf8_lossy(&words).replace('\0', " ")).any(|words| words.trim() == command)
}
