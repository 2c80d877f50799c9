//! What a run shows while it is running and at its end, and how much of it.

use std::process::{Command, Stdio};

use rstest::rstest;

use crate::place::{GOOD, Place, ProgramOutput};
use crate::runs_on::newest_local;

/// Two scenarios, each with a cell for each stack; those of the second fail.
fn scenarios(place: &Place) {
    let folder = place.path().join("scenarios");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.yaml"), GOOD).expect("a file");
    std::fs::write(folder.join("b.yaml"), GOOD.replace("tls: TLSv1.3", "tls: TLSv1.2")).expect("a file");
}

fn run(options: &[&str]) -> ProgramOutput {
    let place = Place::new();
    scenarios(&place);
    let output = place.run(&[&["run", "--scenarios", "scenarios"], options].concat());
    assert_eq!(output.status, Some(100), "{output:#?}");
    output
}

/// A line of the log: how many of them have each of these parts.
fn count(output: &ProgramOutput, parts: &[&str]) -> usize {
    output.stderr.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

#[test]
fn a_log_has_a_line_for_each_scenario_and_each_bad_cell_in_full() {
    let output = run(&[]);
    assert_eq!((count(&output, &["a@pg", ": 2 pass"]), count(&output, &["b@pg", ": 2 fail"])), (1, 1), "{output:#?}");
    assert_eq!((count(&output, &["a::a-case@"]), count(&output, &["b::a-case@"])), (0, 2), "{output:#?}");
    assert_eq!(output.stdout.matches("To run only this cell").count(), 2, "{output:#?}");
}

#[test]
fn verbose_shows_a_line_for_each_cell() {
    let output = run(&["--verbose"]);
    assert_eq!(
        (count(&output, &["pass", "a::a-case@"]), count(&output, &["fail", "b::a-case@"])),
        (2, 2),
        "{output:#?}"
    );
}

#[test]
fn quiet_shows_only_what_is_bad_and_the_last_line() {
    let output = run(&["--quiet"]);
    assert_eq!(output.stderr, "", "{output:#?}");
    assert!(output.stdout.starts_with("fail b::a-case@"), "{output:#?}");
    assert!(output.stdout.lines().last().is_some_and(|line| line.starts_with("2 pass, 2 fail in ")), "{output:#?}");
}

#[test]
fn fail_fast_ends_the_run_at_the_first_failure() {
    let output = run(&["--fail-fast", "--jobs", "1", "b::*"]);
    assert!(output.stdout.contains("1 of 2 cells were run: it was to end at the first failure"), "{output:#?}");
}

/// OpenSSL asks for the passphrase of a private key on the terminal of the server's session, if that has one.
#[test]
fn a_server_has_no_terminal() {
    let place = Place::new();
    let run = place.program(&["run", "--runtime", "local", "keys/server::a-key.rsa.encrypted"]);
    let words = [run.get_program()].into_iter().chain(run.get_args()).map(|word| word.to_string_lossy().into_owned());
    let words: Vec<_> = words.collect();
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]).stdin(Stdio::null());
    command.current_dir(place.path()).envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("KONG_PG_TLS_POSTGRES", newest_local());
    let output = ProgramOutput::new(command.output().expect("the program script, of util-linux"));
    assert_eq!(output.status, Some(0), "{output:#?}");
}

#[rstest]
#[case("always", true)]
#[case("never", false)]
#[case("auto", false)]
fn colours_are_used_when_they_are_asked_for(#[case] when: &str, #[case] expected: bool) {
    let output = run(&["--color", when]);
    assert_eq!(
        (output.stdout.contains('\u{1b}'), output.stderr.contains('\u{1b}')),
        (expected, expected),
        "{output:#?}"
    );
}

#[rstest]
#[case("bash")]
#[case("zsh")]
#[case("fish")]
fn completions_know_the_commands_and_their_options(#[case] shell: &str) {
    let output = Place::new().run(&["completions", shell]);
    assert_eq!((output.status, &*output.stderr), (Some(0), ""), "{output:#?}");
    for word in ["merge", "until-failure", "luasec"] {
        assert!(output.stdout.contains(word), "{word}: {output:#?}");
    }
}

#[test]
fn the_completions_for_bash_are_a_script_of_bash() {
    let place = Place::new();
    let script = place.path().join("completions");
    std::fs::write(&script, place.run(&["completions", "bash"]).stdout).expect("a file");
    let checked = Command::new("bash").arg("-n").arg(&script).output().expect("the program bash");
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    let page = place.run(&["man"]);
    assert_eq!(page.status, Some(0), "{page:#?}");
    assert!(page.stdout.contains(".TH kong-pg-tls 1"), "{page:#?}");
    let written = place.run(&["man", "--dir", "pages"]);
    assert_eq!(written.status, Some(0), "{written:#?}");
    let run = std::fs::read_to_string(place.path().join("pages/kong-pg-tls-run.1")).expect("a page");
    for part in ["until\\-failure", "Examples:"] {
        assert!(run.contains(part), "{part}: {run}");
    }
}

#[test]
fn deviations_and_remarks_that_the_last_run_had_are_only_counted() {
    let place = Place::new();
    let run = |options: &[&str]| {
        let cells = ["run", "tls/how-it-was-built::*", "--stack", "cosocket"];
        place.run(&[&cells[..], options].concat()).stdout
    };
    let (first, second, asked) = (run(&[]), run(&[]), run(&["--verbose"]));
    let (said, counted) = ("they say: ", ", as in the last run; --verbose lists ");
    assert!(first.contains(said) && !first.contains(counted), "{first}");
    assert!(!second.contains(said) && second.contains(counted), "{second}");
    assert!(asked.contains(said) && !asked.contains(counted), "{asked}");
    let without = run(&["--no-remarks", "--verbose"]);
    assert!(!without.contains("misreads without a message"), "{without}");
}
