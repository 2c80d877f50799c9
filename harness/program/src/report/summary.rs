//! The summary at the end of a run, on the standard output.

use std::io::{self, Write};
use std::path::PathBuf;

use super::agreement::write_agreement;
use super::cell::write_cell;
use super::deviations::write_known_deviations;
use super::matrix::write_matrix;
use super::remarks::write_remarks;
use super::reporter::{Reporter, tally};
use crate::record::Results;

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
    fn finish(&mut self, run: &Results) -> io::Result<()> {
        let mut out = anstream::stdout();
        write_summary(&mut out, run)?;
        let (tally, seconds) = (tally(run.verdicts()), std::time::Duration::from_millis(run.duration_ms).as_secs_f64());
        let partial = run.partial().map(|partial| format!("; {partial}")).unwrap_or_default();
        writeln!(out, "{tally} in {seconds:.1} s{partial}: {}", self.results.display())
    }
}

fn write_summary(out: &mut dyn Write, run: &Results) -> io::Result<()> {
    write_matrix(out, run)?;
    write_known_deviations(out, run)?;
    write_agreement(out, run)?;
    write_remarks(out, run)?;
    let problems: Vec<_> = run.problems().collect();
    problems.iter().take(SHOWN).try_for_each(|cell| write_cell(out, cell))?;
    if problems.len() > SHOWN {
        writeln!(out, "... and {} more; junit.xml and results.json have them all\n", problems.len() - SHOWN)?;
    }
    if !run.cells.is_empty() && run.cells.iter().all(|cell| cell.observed.is_none()) {
        writeln!(out, "No cell was run to its end: this run proves nothing.\n")?;
    }
    Ok(())
}

/// How many cells are shown in full.
const SHOWN: usize = 20;
