//! The program as people and CI meet it: what it says, where, and with which exit status; and that nothing is left of
//! it, however it ends.

mod output;
mod terminal;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::place::{GOOD, Place, ProgramOutput, kill, write_script};
use crate::runs_on::{RunsOn, runs_on};
use kong_pg_tls::judge::Verdict;
use kong_pg_tls::record::Results;
use rstest::rstest;

/// A folder with a scenario in it, to be named on the command line.
fn scenarios(place: &Place, name: &str, text: &str) -> String {
    let folder = place.path().join("scenarios");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(name), text).expect("a file");
    folder.to_string_lossy().into_owned()
}

#[test]
fn a_cell_that_is_as_expected_ends_with_success_and_leaves_nothing() {
    let place = Place::new();
    let output = place.run(&["run", "tls/on-and-off::kong-connects.ssl-on.pg_ssl-on.required.verifying*"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(output.stdout.contains("tls/on-and-off"), "{output:#?}");
    assert!(output.stderr.contains(": 2 pass"), "{output:#?}");
    assert!(
        !output.stderr.contains('\u{1b}') && !output.stdout.contains('\u{1b}'),
        "no colours for a pipe: {output:#?}"
    );
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn the_results_are_as_their_schema_says_and_junit_is_beside_them() {
    let place = Place::new();
    let results = place.path().join("results");
    let cells =
        ["mtls/cert::a-certificate.the-users.*", "mtls/cert::a-certificate.of-another-ca.*", "start/hba-lines::*"];
    let output = place.run(&[&["run", "--results", &results.to_string_lossy()], &cells[..]].concat());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let read = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
    };
    let schema = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/schema/results.json"));
    let found = read(&results.join("results.json"));
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<_> = validator.iter_errors(&found).map(|error| error.to_string()).collect();
    assert_eq!(faults, [""; 0]);
    let cell = found["cells"].as_array().expect("cells").iter().find(|cell| cell["observed"]["connected"] == true);
    let tls = &cell.expect("a cell that connects")["observed"]["tls"];
    assert_eq!(tls["client_dn"], "/CN=kong");
    let junit = std::fs::read_to_string(results.join("junit.xml")).expect("a file");
    assert!(junit.contains("<testsuite name=\"mtls/cert\""), "{junit}");
}

fn results(place: &Place) -> Results {
    let text = std::fs::read(place.path().join("target/kong-pg-tls/latest/results.json")).expect("a file");
    serde_json::from_slice(&text).expect("results")
}

const TEXTS: &str = "texts: { greeting: { about: a text, postgres: { 13-99: 'FATAL: no' } } }";

#[test]
fn a_cell_whose_text_is_missing_for_its_postgresql_fails_and_shows_what_was_observed() {
    let place = Place::new();
    let refused = "refused: { stage: auth, kong: '{greeting}', postgres: [] }";
    let text = GOOD.replace("ssl: on }", "ssl: off }").replace("connects: { tls: TLSv1.3 }", refused);
    let folder = scenarios(&place, "a.yaml", &text);
    scenarios(&place, "texts.yaml", &TEXTS.replace("13-99", "9"));
    let output = place.run(&["run", "--scenarios", &folder]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    for part in ["`greeting` is on PostgreSQL", "the server does not support SSL connections", "PostgreSQL's log"] {
        assert!(output.stdout.contains(part), "{part} is not shown: {output:#?}");
    }
    for cell in results(&place).cells {
        assert_eq!(cell.verdict, Verdict::Fail);
        assert!(cell.observed.expect("an observation").outcome.error.is_some());
    }
}

#[test]
fn a_server_of_another_major_than_it_claims_to_be_is_an_environment_error() {
    let place = Place::new();
    let local = std::process::Command::new("sh").args(["-c", "ls -d /usr/lib/postgresql/*/bin | tail -1"]).output();
    let real = String::from_utf8(local.expect("a shell").stdout).expect("text");
    let bin = place.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    for program in ["initdb", "postgres"] {
        let claim = "case \"$1\" in --version) echo 'postgres (PostgreSQL) 97.1'; exit;; esac";
        write_script(&bin.join(program), &format!("{claim}\nexec {}/{program} \"$@\"", real.trim()));
    }
    let cell = "tls/on-and-off::kong-connects.ssl-on.pg_ssl-on.required.verifying*";
    let run = ["run", cell, "--runtime", "local", "--postgres", "97"];
    let output = place.program(&run).env("PGBIN", &bin).output();
    let output = ProgramOutput::new(output.expect("the program starts"));
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(output.stdout.contains("PostgreSQL 97 was asked for, but the server there is "), "{output:#?}");
}

#[test]
fn cells_that_lack_something_are_blocked_and_no_success() {
    let place = Place::new();
    let run = ["run", "guide/recipes::*.mutual-tls-cert", "--runtime", "local", "--postgres", "all"];
    let output = place.program(&run).env("PATH", "/nonexistent").output();
    let output = ProgramOutput::new(output.expect("the program starts"));
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(
        output.stdout.contains("needs the program sh, which this machine does not have")
            && output.stdout.contains(" blocked in "),
        "{output:#?}"
    );
}

#[test]
fn a_run_in_which_no_case_has_a_meaning_is_no_success() {
    let place = Place::new();
    let only = "name: a case\n    applies_to: { postgres: 99+, because: it is new }";
    let folder = scenarios(&place, "a.yaml", &GOOD.replace("name: a case", only));
    let output = place.run(&["run", "--scenarios", &folder]);
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(output.stdout.contains("2 unsupported: it is new"), "{output:#?}");
    assert!(output.stdout.contains("this run proves nothing"), "{output:#?}");
}

#[rstest]
#[case::env("env", 0)]
#[case::list("list --postgres 17", 0)]
#[case::claims("claims", 0)]
#[case::a_failing_run("run a::*", 100)]
fn a_closed_pipe_ends_the_program_quietly_with_its_own_exit_status(#[case] command: &str, #[case] status: i32) {
    let place = Place::new();
    let mut arguments: Vec<_> = command.split(' ').collect();
    let folder = scenarios(&place, "a.yaml", &GOOD.replace("tls: TLSv1.3", "tls: TLSv1.2"));
    if arguments[0] == "run" {
        arguments.extend(["--scenarios", &folder]);
    }
    let mut program = place.program(&arguments);
    if arguments[0] == "env" {
        // It would wait for an engine's list of images.
        program.env("DOCKER_HOST", "tcp://127.0.0.1:9");
    }
    let mut program = program.spawn().expect("a start");
    drop(program.stdout.take());
    let output = ProgramOutput::new(program.wait_with_output().expect("an end"));
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert!(!output.stderr.contains("panicked") && !output.stderr.contains("kong-pg-tls: "), "{output:#?}");
}

#[test]
fn the_command_that_runs_a_failing_cell_again_can_be_pasted() {
    let place = Place::new();
    let folder = place.path().join("it's a folder");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.yaml"), GOOD.replace("tls: TLSv1.3", "tls: TLSv1.2")).expect("a file");
    let output = place.run(&["run", "--scenarios", &folder.to_string_lossy(), "--kong", "3.9-oss", "*luasec"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    let command =
        output.stdout.lines().map(str::trim).find(|line| line.starts_with("kong-pg-tls run a::")).expect("one");
    let bin = Path::new(env!("CARGO_BIN_EXE_kong-pg-tls")).parent().expect("a folder").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let output =
        std::process::Command::new("sh").args(["-c", command]).env("PATH", path).current_dir(place.path()).output();
    let again = ProgramOutput::new(output.expect("a shell"));
    assert_eq!(again.status, Some(100), "{again:#?}");
    assert!(again.stdout.contains("\n1 fail in "), "{again:#?}");
}

/// A suite is only worth something if its cases can fail: each of these changes one word.
#[rstest]
#[case::another_version("tls: TLSv1.3", "tls: TLSv1.2", "TLSv1.2")]
#[case::tls_off("ssl: on }", "ssl: off }", "the server does not support SSL connections")]
#[case::another_ca("certificate: root.crt", "certificate: foreign-root.crt", "certificate verify failed")]
#[case::a_certificate_nobody_sends("TLSv1.3 }", "TLSv1.3, client_dn: /CN=kong }", "/CN=kong")]
#[case::refused("connects: { tls: TLSv1.3 }", "refused: { stage: auth, kong: nothing, postgres: [] }", "nothing")]
fn a_cell_that_is_not_as_expected_fails_and_shows_the_difference(
    #[case] word: &str,
    #[case] instead: &str,
    #[case] shown: &str,
) {
    let place = Place::new();
    assert!(GOOD.contains(word), "nothing to change");
    let folder = scenarios(&place, "a.yaml", &GOOD.replacen(word, instead, 1));
    let output = place.run(&["run", "--scenarios", &folder]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    for part in
        ["expected", "observed", shown, "postgresql.conf", "pg_hba.conf", "kong.conf", "kong-pg-tls run a::a-case@"]
    {
        assert!(output.stdout.contains(part), "{part} is not shown: {output:#?}");
    }
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn passwords_are_not_shown() {
    let place = Place::new();
    let text = GOOD.replace("pg_ssl: on,", "pg_ssl: on, pg_password: topsecret,").replace("TLSv1.3 }", "TLSv1.2 }");
    let folder = scenarios(&place, "a.yaml", &text);
    let output = place.run(&["run", "--scenarios", &folder]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(!output.stdout.contains("topsecret") && !output.stderr.contains("topsecret"), "{output:#?}");
}

#[test]
fn all_faults_in_scenarios_are_reported_with_their_places_before_anything_is_started() {
    let place = Place::new();
    scenarios(&place, "a.yaml", &GOOD.replace("pg_ssl: on,", "pg_sll: on,"));
    let folder = scenarios(&place, "b.yaml", &GOOD.replace("tls: TLSv1.3", "tls: TLSv1.3, tls: off"));
    let output = place.run(&["run", "--scenarios", &folder]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains("a.yaml:4:9"), "{output:#?}");
    assert!(output.stderr.contains("b.yaml:7:41"), "{output:#?}");
    assert!(output.stderr.contains("did you mean `pg_ssl`?"), "{output:#?}");
    assert!(output.stderr.contains("2 faults in the scenarios; nothing was run"), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[rstest]
#[case::nothing_matches(&["run", "no/such*"], 4, "no cell matches no/such*")]
#[case::one_of_two_matches_nothing(&["run", "mtls/*", "no/such*"], 4, "no cell matches no/such*")]
#[case::nothing_to_list(&["list", "no/such*"], 4, "no cell matches no/such*")]
#[case::bad_glob(&["run", "mtls/["], 2, "bad glob")]
#[case::bad_shard(&["run", "--shard", "5/4"], 2, "not a shard")]
#[case::bad_major(&["run", "--postgres", "seventeen"], 2, "not a PostgreSQL major version")]
#[case::bad_stack(&["run", "--stack", "openssl"], 2, "possible values: luasec, cosocket")]
#[case::bad_release(&["run", "--kong", "9.9-oss"], 2, "no Kong release is known as `9.9-oss`")]
#[case::bad_client(&["run", "--client", "nobody"], 2, "possible values: kong, openresty, pgmoon, libpq, rustls, command, kong-image")]
#[case::no_folder(&["run", "--scenarios", "/nonexistent"], 2, "/nonexistent: cannot be read")]
#[case::unwritable_results(&["run", "--results", "/dev/null/results"], 3, "cannot write results to /dev/null/results")]
#[case::no_such_major(&["run", "--runtime", "local", "--postgres", "99"], 3, "PostgreSQL 99 is not available here, only ")]
fn what_cannot_be_done_is_reported_in_one_line_and_by_the_exit_status(
    #[case] arguments: &[&str],
    #[case] status: i32,
    #[case] line: &str,
) {
    let place = Place::new();
    let output = place.run(arguments);
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert!(output.stderr.contains(line), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn without_an_engine_docker_is_reported_missing() {
    let place = Place::new();
    let output = place.program(&["run", "--runtime", "docker"]).env("DOCKER_HOST", "tcp://127.0.0.1:9").output();
    let output = ProgramOutput::new(output.expect("the program starts"));
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
    assert!(output.stderr.contains("no Docker engine answers"), "{output:#?}");
}

#[rstest]
#[case::refuses("echo '[1] FATAL:  out of luck' >&2; exit 1", "out of luck")]
#[case::ends_silently("exit 1", "PostgreSQL does not start, and it logs nothing")]
fn a_server_that_does_not_start_is_the_environment_s_fault(#[case] server: &str, #[case] why: &str) {
    let place = Place::new();
    let bin = place.crippled_postgres(server);
    let run = ["run", "tls/on-and-off::kong-connects.ssl-on.*", "--runtime", "local", "--postgres", "98"];
    let output = place.program(&run).env("PGBIN", &bin).output();
    let output = ProgramOutput::new(output.expect("the program starts"));
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(output.stdout.contains("environment-error") && output.stdout.contains(why), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_server_that_hangs_is_a_verdict_in_time() {
    let place = Place::new();
    let bin = place.crippled_postgres("exec sleep 600");
    let run = [
        "run",
        "tls/on-and-off::kong-connects.ssl-on.pg_ssl-off.required.*",
        "--runtime",
        "local",
        "--postgres",
        "98",
        "--timeout",
        "2",
    ];
    let begun = Instant::now();
    let output = place.program(&run).env("PGBIN", &bin).output();
    let output = ProgramOutput::new(output.expect("the program starts"));
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(output.stdout.contains("gave up after 2 s"), "{output:#?}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[rstest]
#[case("INT")]
#[case("TERM")]
fn an_interrupted_run_leaves_nothing_and_is_marked(#[case] signal: &str) {
    let place = Place::new();
    let mut program = place.under_way();
    kill(&program, signal);
    let mut output = String::new();
    std::io::Read::read_to_string(&mut program.stdout.take().expect("a pipe"), &mut output).expect("text");
    assert_eq!(program.wait().expect("an end").code(), Some(130), "{output}");
    assert_eq!(place.left(), [""; 0]);
    let read =
        |name| std::fs::read_to_string(place.path().join("target/kong-pg-tls/latest").join(name)).expect("a file");
    let results: Results = serde_json::from_str(&read("results.json")).expect("results");
    let (done, planned) = (results.cells.len(), results.run.planned);
    assert!(!results.complete && done < planned, "{done} of {planned}");
    let partial = format!("{done} of {planned} cells were run");
    assert!(output.contains(&partial), "{output}");
    assert!(read("junit.xml").contains(&partial), "junit.xml looks like that of a whole run");
}

#[test]
fn clean_removes_what_a_killed_run_has_left() {
    let place = Place::new();
    let mut program = place.under_way();
    kill(&program, "KILL");
    program.wait().expect("an end");
    assert_ne!(place.left(), [""; 0], "a killed run cannot clean up");
    let output = place.run(&["clean"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

/// Kong has no terminal. OpenSSL would ask for the passphrase of a key on ours.
#[test]
fn an_encrypted_key_does_not_make_a_run_wait_at_a_terminal() {
    let place = Place::new();
    let RunsOn { runtime, postgres } = runs_on();
    let cells = "'keys/client::a-key.rsa.encrypted@*'";
    let program = env!("CARGO_BIN_EXE_kong-pg-tls");
    let run = format!(
        "timeout --foreground --kill-after=5 60 {program} run {cells} --runtime {runtime} --postgres {postgres}"
    );
    let mut terminal = std::process::Command::new("script");
    terminal.args(["-qec", &run, "/dev/null"]).current_dir(place.path()).stdin(std::process::Stdio::null());
    let output = ProgramOutput::new(terminal.output().expect("the program script, of Debian's package bsdutils"));
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(!output.stdout.contains("pass phrase"), "{output:#?}");
}

#[test]
fn clean_leaves_a_living_run_alone() {
    let place = Place::new();
    let mut program = place.under_way();
    let output = place.run(&["clean"]);
    let left = place.left();
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(left.iter().any(|name| name.starts_with("kong-pg-tls-")), "{output:#?} {left:#?}");
    kill(&program, "INT");
    assert_eq!(program.wait().expect("an end").code(), Some(130));
}

#[test]
fn list_shows_the_cells_that_run_would_run() {
    let place = Place::new();
    let output = place.run(&["list", "mtls/cert::a-certificate.none.*", "--postgres", "17", "--stack", "cosocket"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let ids: Vec<_> = output.stdout.lines().collect();
    assert_eq!(
        ids,
        [
            "mtls/cert::a-certificate.none.default@pg17+kong-latest+kong-cosocket",
            "mtls/cert::a-certificate.none.both-1-2@pg17+kong-latest+kong-cosocket",
            "mtls/cert::a-certificate.none.both-1-3@pg17+kong-latest+kong-cosocket"
        ]
    );
    let output = place.run(&["list", "mtls/cert::a-certificate.none.*", "--postgres", "17", "--json"]);
    let cells: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(cells.as_array().map(Vec::len), Some(6));
}

#[test]
fn shards_together_are_the_whole() {
    let place = Place::new();
    let list = |arguments: &[&str]| {
        let output = place.run(&[&["list", "tls/*", "--postgres", "17"], arguments].concat());
        output.stdout.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let (first, second) = (list(&["--shard", "1/2"]), list(&["--shard", "2/2"]));
    assert!(first.is_disjoint(&second));
    assert_eq!(&first | &second, list(&[]));
}

#[test]
fn env_shows_what_can_be_used_and_why_not() {
    let place = Place::new();
    let output = place.program(&["env"]).env("DOCKER_HOST", "tcp://127.0.0.1:9").output();
    let output = ProgramOutput::new(output.expect("the program starts"));
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(output.stdout.contains("docker  not usable: no Docker engine answers"), "{output:#?}");
    assert!(output.stdout.contains("OpenSSL 3.5.5"), "Kong's texts are those of this release: {output:#?}");
}

#[test]
fn help_has_examples_and_the_exit_statuses() {
    let output = Place::new().run(&["--help"]);
    assert_eq!(output.status, Some(0));
    for part in ["Examples:", "kong-pg-tls run", "Exit status:", "130  interrupted"] {
        assert!(output.stdout.contains(part), "{part}: {output:#?}");
    }
}

/// The table by which a file with axes is reviewed, as wide as a narrow terminal.
#[test]
fn explain_shows_each_point_with_its_configuration_and_what_is_expected() {
    let explain = |case: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_kong-pg-tls")).args(["explain", case]).output();
        let output = output.expect("the program runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, table) = explain("rotation/server-certificate::signed-by-another-ca-which-kong-does-not-trust-yet");
    assert_eq!(code, Some(0));
    // Without the line of the file it is written at.
    insta::assert_snapshot!(table.split_once('\n').map(|(_, rest)| rest).expect("lines"));
    let (_, mismatch) = explain("versions/mismatch");
    assert_eq!(mismatch.lines().filter(|line| line.starts_with("| server and Kong,")).count(), 40);
    assert!(mismatch.lines().all(|line| line.chars().count() <= 80));
    assert_eq!(explain("mtls/nothing").0, Some(4));
}
