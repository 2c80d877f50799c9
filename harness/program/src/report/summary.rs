//! The summary at the end of a run, on the standard output.

use std::io::{self, Write};
use std::path::PathBuf;

use super::agreement::write_agreement;
use super::cell::write_cell;
use super::deviations::write_known_deviations;
use super::matrix::write_matrix;
use super::remarks::write_remarks;
use super::reporter::{Report, Reporter};

/// The summary of a run.
pub(super) struct Summary {
    /// The file that has everything.
    results: PathBuf,
}

impl Summary {
    pub(super) fn new(results: PathBuf) -> Self {
        Self { results }
    }
}

impl Reporter for Summary {
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let mut out = anstream::stdout();
        write_summary(&mut out, report)?;
        let (tally, seconds) = (report.tally(), report.duration.as_secs_f64());
        let partial = report.partial().map(|partial| format!("; {partial}")).unwrap_or_default();
        writeln!(out, "{tally} in {seconds:.1} s{partial}: {}", self.results.display())
    }
}

fn write_summary(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    write_matrix(out, report)?;
    write_known_deviations(out, report)?;
    write_agreement(out, report)?;
    write_remarks(out, report)?;
    let problems: Vec<_> = report.results.iter().filter(|result| result.verdict().is_problem()).collect();
    problems.iter().take(SHOWN).try_for_each(|result| write_cell(out, result, &report.info.rerun))?;
    if problems.len() > SHOWN {
        writeln!(out, "... and {} more; junit.xml and results.json have them all\n", problems.len() - SHOWN)?;
    }
    if !report.results.is_empty() && report.results.iter().all(|result| result.evidence.is_none()) {
        writeln!(out, "No cell was run to its end: this run proves nothing.\n")?;
    }
    Ok(())
}

/// How many cells are shown in full.
const SHOWN: usize = 20;
