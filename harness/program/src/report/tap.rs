//! Test Anything Protocol, version 14 (<https://testanything.org/tap-version-14-specification.html>).

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use crate::judge::{Mismatch, Verdict};
use crate::leaks::Leak;
use crate::record::{CellRecord, Results};

/// The report of a run.
pub(super) fn render(run: &Results) -> io::Result<String> {
    let mut text = format!("TAP version 14\n1..{}\n", run.run.planned);
    for (index, cell) in run.cells.iter().enumerate() {
        let is_ok = !cell.verdict.is_problem();
        let reason = cell.reason.as_deref().unwrap_or_default();
        let directive = match cell.verdict {
            Verdict::Unsupported | Verdict::Skipped => format!(" # SKIP {}", one_line(reason)),
            _ => String::new(),
        };
        let result = if is_ok { "ok" } else { "not ok" };
        let _ = writeln!(text, "{result} {} - {}{directive}", index + 1, escaped(&cell.id));
        let is_as_usual = matches!(cell.verdict, Verdict::Pass | Verdict::Unsupported | Verdict::Skipped);
        if !is_as_usual || cell.marks().next().is_some() {
            text += &diagnostic(cell)?;
        }
    }
    for leak in &run.leaks {
        let _ = writeln!(text, "# leak of the run: {}", one_line(&leak.to_string()));
    }
    if let Some(partial) = run.partial() {
        let _ = writeln!(text, "Bail out! {partial}");
    }
    Ok(text)
}

/// What is said about a cell that is not just as expected.
#[derive(Serialize)]
struct Diagnostic<'a> {
    verdict: Verdict,
    message: Option<&'a str>,
    at: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mismatches: &'a [Mismatch],
    #[serde(skip_serializing_if = "Option::is_none")]
    slow: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leaks: Vec<String>,
    command: &'a str,
    duration_ms: u64,
}

fn diagnostic(cell: &CellRecord) -> io::Result<String> {
    let diagnostic = Diagnostic {
        verdict: cell.verdict,
        message: cell.reason.as_deref(),
        at: &cell.place,
        mismatches: &cell.mismatches,
        slow: cell.slow.map(|slow| slow.to_string()),
        leaks: cell.leaks.iter().map(Leak::to_string).collect(),
        command: &cell.command,
        duration_ms: cell.duration_ms,
    };
    let yaml = serde_yaml::to_string(&diagnostic).map_err(io::Error::other)?;
    let yaml: String = yaml.lines().map(|line| format!("  {line}\n")).collect();
    Ok(format!("  ---\n{yaml}  ...\n"))
}

/// A `#` would begin a directive.
fn escaped(text: &str) -> String {
    one_line(&text.replace('\\', "\\\\").replace('#', "\\#"))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
