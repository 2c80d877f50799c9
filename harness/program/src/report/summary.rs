//! The summary at the end of a run, on the standard output: what is bad, with its cause and the next step, and what is
//! new since the last run.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::agreement::write_agreement;
use super::cell::write_cell;
use super::compared::write_comparisons;
use super::compatibility::{Compatibility, PAGE};
use super::deviations::write_known_deviations;
use super::matrix::write_matrix;
use super::remarks::write_remarks;
use super::reporter::{Reporter, tally};
use super::screen::{Detail, Display, Screen};
use super::seen::Seen;
use crate::compare::{Axis, Run};
use crate::record::Results;

/// The summary of a run.
pub(super) struct Summary {
    /// The file that has everything.
    pub(super) results: PathBuf,
    pub(super) display: Display,
    pub(super) screen: Screen,
    /// What the run before has reported.
    pub(super) seen: Seen,
}

impl Reporter for Summary {
    fn finish(&mut self, run: &Results) -> io::Result<()> {
        let mut out = anstream::stdout();
        self.write(&mut out, run)?;
        if Compatibility::of_run(run).is_some() {
            writeln!(
                out,
                "which Kong connects to which PostgreSQL: {}\n",
                self.results.with_file_name(PAGE).display()
            )?;
        }
        let (tally, seconds) = (tally(run.verdicts()), Duration::from_millis(run.duration_ms).as_secs_f64());
        let partial = run.partial().map(|partial| format!("; {partial}")).unwrap_or_default();
        let counts = [(run.flaky().count(), "flaky"), (run.slow().count(), "slow"), (run.leaky().count(), "leaky")];
        let counts: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let of_them = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        let (last, path) =
            (format!("{tally}{of_them} in {seconds:.1} s{partial}:"), self.results.display().to_string());
        let separator = if self.screen.fits(last.len() + 1 + path.len()) { ' ' } else { '\n' };
        writeln!(out, "{last}{separator}{path}")
    }
}

impl Summary {
    /// How many of so many are shown. A log is searched, a terminal is read.
    fn shown(&self, all: usize) -> usize {
        if self.screen.is_terminal() { all.min(SHOWN) } else { all }
    }

    fn write(&self, out: &mut dyn Write, run: &Results) -> io::Result<()> {
        let Self { screen, display, seen, .. } = self;
        if display.detail != Detail::Quiet {
            let compared = Run::from(run);
            let comparisons = compared.comparisons();
            write_matrix(out, *screen, run, &compared.columns(Axis::Kong), &comparisons)?;
            write_comparisons(out, *screen, &comparisons, self.results.parent().unwrap_or(&self.results))?;
            write_known_deviations(out, *screen, run, seen)?;
            write_agreement(out, *screen, run)?;
            if !display.no_remarks {
                write_remarks(out, *screen, run, seen)?;
            }
        }
        for cell in run.flaky() {
            let first = cell.earlier.iter().find(|attempt| attempt.verdict.is_failure() != cell.verdict.is_failure());
            let Some(other) = first else { continue };
            let reason = other.reason.as_deref().unwrap_or("as expected");
            let attempts = cell.earlier.len() + 1;
            writeln!(out, "flaky {}", cell.id)?;
            let text =
                format!("{} in one of {attempts} attempts, {} in another: {reason}", cell.verdict, other.verdict);
            writeln!(out, "{}\n", screen.prose("  ", "  ", &text))?;
        }
        let marks: Vec<_> = run.marks().collect();
        for (cell, word, text) in marks.iter().take(self.shown(marks.len())) {
            writeln!(out, "{word} {}\n{}\n", cell.id, screen.prose("  ", "  ", text))?;
        }
        if let Some(more) = marks.len().checked_sub(self.shown(marks.len())).filter(|more| *more > 0) {
            writeln!(out, "... and {more} more slow or leaky cells; report.html has them all\n")?;
        }
        for leak in &run.leaks {
            writeln!(out, "leak of the run\n{}\n", screen.prose("  ", "  ", &leak.to_string()))?;
        }
        let problems: Vec<_> = run.problems().collect();
        let shown = self.shown(problems.len());
        problems.iter().take(shown).try_for_each(|cell| write_cell(out, *screen, cell))?;
        if problems.len() > shown {
            let more = format!("... and {} more; report.html and results.json have them all", problems.len() - shown);
            writeln!(out, "{}\n", screen.prose("", "", &more))?;
        }
        if !run.cells.is_empty() && run.cells.iter().all(|cell| cell.observed.is_none()) {
            writeln!(out, "No cell was run to its end: this run proves nothing.\n")?;
        }
        Ok(())
    }
}

/// How many cells are shown in full on a terminal.
const SHOWN: usize = 20;
