//! `junit.xml`, which every CI system displays: a test suite for each scenario, a test case for each cell.

use std::io;
use std::time::Duration;

use chrono::DateTime;
use indexmap::IndexMap;
use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::cell::plain;
use crate::judge::Verdict;
use crate::leaks::Leak;
use crate::record::{CellRecord, Results};

/// Writes the report of a run, one test case after the other: all at once take several times the memory of the results.
pub(super) fn write(run: &Results, out: &mut dyn io::Write) -> io::Result<()> {
    let mut report = Junit::new("kong-pg-tls");
    report.set_time(Duration::from_millis(run.duration_ms));
    if let Ok(started) = DateTime::parse_from_rfc3339(&run.run.started) {
        report.set_timestamp(started);
    }
    let suites = suites(run);
    for (name, cases) in &suites {
        report.add_test_suite(counted(name, cases));
    }
    let frame = report.to_string().map_err(io::Error::other)?;
    let [start, _, end] = parts(&frame, "testsuites")?;
    out.write_all(start.as_bytes())?;
    for (suite, cases) in report.test_suites.into_iter().zip(suites.values()) {
        let frame = element(suite)?;
        let [start, _, end] = parts(&frame, "testsuite")?;
        out.write_all(start.as_bytes())?;
        for case in cases {
            let only = element(counted("", std::slice::from_ref(case)))?;
            let [_, case, _] = parts(&only, "testsuite")?;
            out.write_all(case.as_bytes())?;
        }
        out.write_all(end.as_bytes())?;
    }
    out.write_all(end.as_bytes())
}

/// What a test case is about.
enum Case<'r> {
    Cell(&'r CellRecord),
    /// Not all of the run: without this case, the file of a partial run would look like that of a whole one.
    Partial(String),
    Leaks(&'r [Leak]),
}

/// The suites and their cases.
fn suites(run: &Results) -> IndexMap<&str, Vec<Case<'_>>> {
    let cells = run.cells.iter().map(|cell| (&*cell.scenario, Case::Cell(cell)));
    let partial = run.partial().map(Case::Partial);
    let leaks = (!run.leaks.is_empty()).then_some(Case::Leaks(&run.leaks));
    let of_run = partial.into_iter().chain(leaks).map(|case| ("kong-pg-tls", case));
    let mut suites = IndexMap::<_, Vec<_>>::new();
    for (name, case) in cells.chain(of_run) {
        suites.entry(name).or_default().push(case);
    }
    suites
}

/// A suite with the counts of its cases and the first of them: without any, it would be an empty element.
fn counted(name: &str, cases: &[Case<'_>]) -> TestSuite {
    let mut suite = TestSuite::new(name);
    for case in cases {
        suite.add_test_case(test_case(case));
        suite.test_cases.truncate(1);
    }
    suite
}

/// The element of a suite.
fn element(suite: TestSuite) -> io::Result<String> {
    let mut report = Junit::new("");
    report.add_test_suite(suite);
    let report = report.to_string().map_err(io::Error::other)?;
    Ok(parts(&report, "testsuites")?[1].to_owned())
}

/// What is before the lines in the first element with this name, these lines, and what is behind them.
fn parts<'t>(text: &'t str, element: &str) -> io::Result<[&'t str; 3]> {
    let split = || {
        let start = text.find(&format!("<{element} "))?;
        let start = start + text[start..].find('\n')? + 1;
        let end = start + text[start..].find(&format!("</{element}>"))?;
        let end = text[..end].rfind('\n')? + 1;
        Some([&text[..start], &text[start..end], &text[end..]])
    };
    split().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn test_case(case: &Case<'_>) -> TestCase {
    match case {
        Case::Cell(cell) => test_case_of(cell),
        Case::Partial(partial) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(partial.clone()).set_type("partial");
            TestCase::new("the run is complete", status)
        }
        Case::Leaks(leaks) => {
            let mut case = TestCase::new("what is left of the run", TestCaseStatus::success());
            case.set_system_out(leaks.iter().map(|leak| format!("leak: {leak}")).collect::<Vec<_>>().join("\n"));
            case
        }
    }
}

fn test_case_of(cell: &CellRecord) -> TestCase {
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
