//! `junit.xml`, which every CI system displays.

use std::io;
use std::path::{Path, PathBuf};

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::cell::write_cell;
use super::reporter::{Report, Reporter, write_file};
use crate::judge::Verdict;
use crate::run::{CellResult, RerunOptions};

/// `junit.xml` in a folder: a test suite for each scenario, a test case for each cell.
pub(super) struct JunitFile(PathBuf);

impl JunitFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join("junit.xml"))
    }
}

impl Reporter for JunitFile {
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let text = junit(report).to_string().map_err(io::Error::other)?;
        write_file(&self.0, text.as_bytes())
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.0.clone())
    }
}

fn junit(report: &Report) -> Junit {
    let mut junit = Junit::new("kong-pg-tls");
    junit.set_time(report.duration);
    let mut suites = Vec::<TestSuite>::new();
    for result in &report.results {
        let scenario = &result.cell.case.scenario;
        let known = suites.iter().position(|suite| suite.name.as_str() == scenario);
        let position = known.unwrap_or_else(|| {
            suites.push(TestSuite::new(scenario.clone()));
            suites.len() - 1
        });
        suites[position].add_test_case(test_case(result, &report.info.rerun));
    }
    // Without it, the file of an interrupted run would look like that of a whole one.
    if let Some(partial) = report.partial() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(partial).set_type("partial");
        let mut suite = TestSuite::new("kong-pg-tls");
        suite.add_test_case(TestCase::new("the run is complete", status));
        suites.push(suite);
    }
    junit.add_test_suites(suites);
    junit
}

fn test_case(result: &CellResult, rerun: &RerunOptions) -> TestCase {
    let reason = result.reason().unwrap_or_default().to_owned();
    let verdict = result.verdict();
    let failed = |kind| {
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = write_cell(&mut text, result, rerun);
        let text = anstream::adapter::strip_str(&String::from_utf8_lossy(&text)).to_string();
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(reason.clone()).set_type(verdict.as_str()).set_description(text);
        status
    };
    let status = match verdict {
        Verdict::Pass | Verdict::KnownDeviation => TestCaseStatus::success(),
        Verdict::Unsupported | Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason);
            status
        }
        Verdict::Fail => failed(NonSuccessKind::Failure),
        Verdict::Blocked | Verdict::Timeout | Verdict::EnvironmentError => failed(NonSuccessKind::Error),
    };
    let mut case = TestCase::new(result.cell.id.clone(), status);
    if !result.remarks.is_empty() {
        case.set_system_out(result.remarks.join("\n"));
    }
    case.set_classname(result.cell.case.scenario.clone()).set_time(result.duration);
    case
}
