//! JUnit, which every CI shows.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite};

use super::{Report, details};
use crate::judge::Verdict;
use crate::run::CellResult;

/// Writes `junit.xml` into a folder: a test suite for each scenario, a test case for each cell.
pub fn write_junit(folder: &Path, report: &Report) -> std::io::Result<()> {
    let mut junit = JunitReport::new("kong-pg-tls");
    junit.set_time(report.duration);
    let mut suites = Vec::<TestSuite>::new();
    for result in &report.results {
        let scenario = &result.cell.case.scenario;
        let known = suites.iter().position(|suite| suite.name.as_str() == scenario);
        let position = known.unwrap_or_else(|| {
            suites.push(TestSuite::new(scenario.clone()));
            suites.len() - 1
        });
        suites[position].add_test_case(case(result));
    }
    junit.add_test_suites(suites);
    let text = junit.to_string().map_err(std::io::Error::other)?;
    std::fs::write(folder.join("junit.xml"), text)
}

fn case(result: &CellResult) -> TestCase {
    let reason = result.reason.clone().unwrap_or_default();
    let failed = |kind| {
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = details::write_details(&mut text, result);
        let text = anstream::adapter::strip_str(&String::from_utf8_lossy(&text)).to_string();
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(reason.clone()).set_type(result.verdict.as_str()).set_description(text);
        status
    };
    let status = match result.verdict {
        Verdict::Pass | Verdict::KnownDeviation => TestCaseStatus::success(),
        Verdict::Unsupported | Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
        Verdict::Fail => failed(NonSuccessKind::Failure),
        Verdict::Timeout | Verdict::EnvironmentError => failed(NonSuccessKind::Error),
    };
    let mut case = TestCase::new(result.cell.id.clone(), status);
    if !result.remarks.is_empty() {
        case.set_system_out(result.remarks.join("\n"));
    }
    case.set_classname(result.cell.case.scenario.clone()).set_time(result.duration);
    case
}
