//! `junit.xml`, which every CI system displays: a test suite for each scenario, a test case for each cell.

use std::io;
use std::time::Duration;

use chrono::DateTime;
use indexmap::IndexMap;
use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::cell::plain;
use crate::judge::Verdict;
use crate::record::{CellRecord, Results};

/// Writes the report of a run, one suite after the other: all test cases at once take several times the memory of the
/// results.
pub(super) fn write(run: &Results, out: &mut dyn io::Write) -> io::Result<()> {
    let mut frame = Junit::new("kong-pg-tls");
    frame.set_time(Duration::from_millis(run.duration_ms));
    if let Ok(started) = DateTime::parse_from_rfc3339(&run.run.started) {
        frame.set_timestamp(started);
    }
    for suite in suites(run) {
        frame.add_test_suite(suite);
        frame.test_suites.clear();
    }
    let (start, _, end) = parts(&frame)?;
    out.write_all(start.as_bytes())?;
    for suite in suites(run) {
        let mut one = Junit::new("kong-pg-tls");
        one.add_test_suite(suite);
        out.write_all(parts(&one)?.1.as_bytes())?;
    }
    out.write_all(end.as_bytes())
}

/// A report up to its suites, the suites, and what is behind them.
fn parts(junit: &Junit) -> io::Result<(String, String, String)> {
    let mut start = junit.to_string().map_err(io::Error::other)?;
    let tag = start.find("<testsuites").ok_or(io::ErrorKind::InvalidData)?;
    let line = start[tag..].find('\n').ok_or(io::ErrorKind::InvalidData)?;
    let mut suites = start.split_off(tag + line + 1);
    let end = suites.split_off(suites.rfind("</testsuites>").ok_or(io::ErrorKind::InvalidData)?);
    Ok((start, suites, end))
}

/// The suites, each made when it is its turn.
fn suites(run: &Results) -> impl Iterator<Item = TestSuite> {
    let mut scenarios = IndexMap::<&str, Vec<&CellRecord>>::new();
    for cell in &run.cells {
        scenarios.entry(&cell.scenario).or_default().push(cell);
    }
    let scenarios = scenarios.into_iter().map(|(name, cells)| {
        let mut suite = TestSuite::new(name);
        suite.add_test_cases(cells.into_iter().map(test_case));
        suite
    });
    // Without it, the file of a partial run would look like that of a whole one.
    let partial = run.partial().map(|partial| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(partial).set_type("partial");
        suite_of_run(TestCase::new("the run is complete", status))
    });
    let leaks = (!run.leaks.is_empty()).then(|| {
        let mut case = TestCase::new("what is left of the run", TestCaseStatus::success());
        case.set_system_out(run.leaks.iter().map(|leak| format!("leak: {leak}")).collect::<Vec<_>>().join("\n"));
        suite_of_run(case)
    });
    scenarios.chain(partial).chain(leaks)
}

/// The suite of a case about the run as a whole.
fn suite_of_run(case: TestCase) -> TestSuite {
    let mut suite = TestSuite::new("kong-pg-tls");
    suite.add_test_case(case);
    suite
}

fn test_case(cell: &CellRecord) -> TestCase {
    let reason = cell.reason.clone().unwrap_or_default();
    let failed = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(reason.clone()).set_type(cell.verdict.as_str()).set_description(plain(cell));
        status.add_reruns(reruns(cell));
        status
    };
    let status = match cell.verdict {
        Verdict::Pass | Verdict::KnownDeviation => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(reruns(cell));
            status
        }
        Verdict::Unsupported | Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
        Verdict::Fail => failed(NonSuccessKind::Failure),
        Verdict::Blocked | Verdict::Timeout | Verdict::EnvironmentError => failed(NonSuccessKind::Error),
    };
    let mut case = TestCase::new(cell.id.clone(), status);
    case.set_classname(cell.scenario.clone()).set_time(Duration::from_millis(cell.duration_ms));
    if let Ok(started) = DateTime::parse_from_rfc3339(&cell.started) {
        case.set_timestamp(started);
    }
    let (file, line) = cell.file_and_line();
    case.extra.insert("file".into(), file.into());
    case.extra.insert("line".into(), line.to_string().into());
    case.add_properties(properties(cell));
    // What is no failure has no place but the output for what is said about it.
    let deviation = (cell.verdict == Verdict::KnownDeviation).then_some(format!("known-deviation: {reason}"));
    let marks = cell.marks().map(|(word, text)| format!("{word}: {text}"));
    let output: Vec<_> = deviation.into_iter().chain(marks).chain(cell.remarks.iter().cloned()).collect();
    if !output.is_empty() {
        case.set_system_out(output.join("\n"));
    }
    case
}

/// The other attempts that failed.
fn reruns(cell: &CellRecord) -> impl Iterator<Item = TestRerun> {
    cell.earlier.iter().filter(|attempt| attempt.verdict.is_failure()).map(|attempt| {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        rerun.set_message(attempt.reason.clone().unwrap_or_default()).set_type(attempt.verdict.as_str());
        rerun.set_time(Duration::from_millis(attempt.duration_ms));
        rerun
    })
}

fn properties(cell: &CellRecord) -> impl Iterator<Item = (String, String)> {
    let postgres = &cell.postgres;
    let version = postgres.version.clone().unwrap_or_else(|| postgres.major.to_string());
    let claims = cell.claims.join(" ");
    [
        ("verdict", cell.verdict.to_string()),
        ("postgres", version),
        ("openssl", postgres.openssl.clone().unwrap_or_default()),
        ("runtime", cell.runtime.to_string()),
        ("kong", cell.kong.clone()),
        ("client", cell.client.to_string()),
        ("stack", cell.stack.to_string()),
        ("claims", claims),
        ("command", cell.command.clone()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .chain(cell.marks())
    .map(|(name, value)| (name.to_owned(), value))
}
