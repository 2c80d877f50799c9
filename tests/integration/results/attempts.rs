//! Cells that are run more often than once.

use kong_pg_tls::record::{LATEST, Results};
use rstest::rstest;

use crate::place::{Place, ProgramOutput, write_script};

const REFUSED: &str = "refused: { stage: handshake, kong: no, postgres: [] }";

/// Runs a cell with a client that does not follow the protocol in one of its attempts, counted from 1.
fn run(place: &Place, bad: u32, options: &[&str]) -> ProgramOutput {
    let scenarios = place.path().join("scenarios");
    std::fs::create_dir(&scenarios).expect("a folder");
    let scenario = super::SCENARIO.replace("connects: { tls: TLSv1.3 }", REFUSED);
    std::fs::write(scenarios.join("a.yaml"), scenario).expect("a file");
    let client = place.path().join("client");
    let count = place.path().join("count");
    let script = format!(
        "while read -r line; do
    case $line in
        *'\"kind\":\"connect\"'*)
            n=$(($(cat '{count}' 2>/dev/null || echo 0) + 1))
            echo $n >'{count}'
            if [ $n = {bad} ]; then echo nonsense; else echo '{{\"outcome\": \"refused\", \"error\": \"no\"}}'; fi ;;
        *'\"kind\":\"close\"'*) echo '{{\"outcome\": \"closed\"}}' ;;
        *) echo '{{\"outcome\": \"unsupported\", \"reason\": \"unknown\"}}' ;;
    esac
done
",
        count = count.display()
    );
    write_script(&client, &script);
    let client = client.to_string_lossy();
    let fixed = ["run", "--scenarios", "scenarios", "--stack", "cosocket", "--client-command", &client];
    place.run(&[&fixed[..], options].concat())
}

/// The verdict of the only cell, those of the other attempts at it, and whether it is flaky.
fn recorded(place: &Place) -> (String, Vec<String>, bool) {
    let run = Results::read(&place.path().join(LATEST)).expect("results");
    let [cell] = &run.cells[..] else { panic!("one cell: {run:#?}") };
    let others = cell.earlier.iter().map(|attempt| attempt.verdict.to_string()).collect();
    (cell.verdict.to_string(), others, cell.is_flaky())
}

#[rstest]
#[case::not_retried(&[], 100, "fail", &[], false)]
#[case::retried(&["--retries", "2"], 0, "pass", &["fail"], true)]
#[case::retried_where_that_is_a_failure(&["--retries", "2", "--no-flaky"], 100, "pass", &["fail"], true)]
#[case::repeated(&["--repeat", "3"], 100, "fail", &["pass", "pass"], true)]
fn a_cell_that_fails_once_is_flaky_if_it_is_run_again(
    #[case] options: &[&str],
    #[case] status: i32,
    #[case] verdict: &str,
    #[case] others: &[&str],
    #[case] flaky: bool,
) {
    let place = Place::new();
    let output = run(&place, 1, options);
    assert_eq!(output.status, Some(status), "{output:#?}");
    let (found, earlier, is_flaky) = recorded(&place);
    assert_eq!((&*found, earlier, is_flaky), (verdict, others.iter().map(ToString::to_string).collect(), flaky));
    assert_eq!(output.stdout.contains("1 flaky"), flaky, "{output:#?}");
    let junit = place.run(&["report", "--junit", "-"]).stdout;
    let suites = junit_parser::from_reader(junit.as_bytes()).expect("JUnit");
    let reruns = suites.suites[0].cases[0].reruns.len();
    assert_eq!(reruns, others.iter().filter(|verdict| **verdict == "fail").count(), "{junit}");
}

#[test]
fn until_failure_repeats_the_run_and_reports_the_last_time() {
    let place = Place::new();
    let output = run(&place, 3, &["--until-failure"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(output.stderr.contains("round 2: no failure"), "{output:#?}");
    assert_eq!(recorded(&place).0, "fail");
    let log = Results::read(&place.path().join(LATEST).join("events.jsonl")).expect("a log");
    assert_eq!(log.cells.len(), 1, "the log is that of the last round");
}
