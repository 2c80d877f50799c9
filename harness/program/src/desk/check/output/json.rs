//! `--json`.

use std::io::{self, Write};

use serde::Serialize;

use super::super::Report;
use super::super::catalog::{Code, entry};
use super::super::fault::Severity;
use super::super::live::LiveJson;

#[derive(Serialize)]
struct Document<'a> {
    release: &'a str,
    faults: Vec<Finding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveJson<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    file: &'a str,
    line: Option<usize>,
    severity: Severity,
    code: Code,
    what: &'a str,
    fix: &'a str,
    cells: Vec<&'a str>,
}

/// Writes a report as JSON, including notes, and the result of connecting if that was requested.
///
/// # Errors
/// It cannot be written.
pub fn write_json(out: &mut dyn Write, report: &Report, live: Option<LiveJson<'_>>) -> io::Result<()> {
    let finding = |fault: &'_ super::super::fault::Fault| -> Vec<&'static str> {
        entry(fault.code).cells.iter().map(|proof| proof.case.as_str()).collect()
    };
    let faults = report.faults.iter().map(|fault| Finding {
        file: &fault.place.file,
        line: fault.place.line,
        severity: fault.severity,
        code: fault.code,
        what: &fault.what,
        fix: &fault.fix,
        cells: finding(fault),
    });
    let document = Document { release: &report.release, faults: faults.collect(), live };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
