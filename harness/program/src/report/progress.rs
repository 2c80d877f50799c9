//! Progress on the standard error: on a terminal a bar with the cells that are running, otherwise a line for each cell.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use super::reporter::{Reporter, cells};
use crate::judge::Verdict;
use crate::record::{CellRecord, Entry, Results, RunEnd, RunEvent, RunRecord};
use crate::vocabulary::ClientKind;

/// The progress of a run.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    running: BTreeSet<String>,
    done: usize,
    cells: usize,
}

impl Default for Progress {
    fn default() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len}\n{msg}");
            let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, running: BTreeSet::new(), done: 0, cells: 0 }
    }
}

/// The style of a verdict.
pub(super) fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => AnsiColor::Green.on_default(),
        Verdict::KnownDeviation | Verdict::Unsupported | Verdict::Skipped => AnsiColor::Yellow.on_default(),
        Verdict::Blocked | Verdict::Fail | Verdict::Timeout | Verdict::EnvironmentError => {
            AnsiColor::Red.on_default().bold()
        }
    }
}

impl Reporter for Progress {
    fn event(&mut self, entry: &Entry) {
        match &entry.event {
            RunEvent::RunStarted(run) => {
                self.cells = run.planned;
                self.line(&introduction(run));
                if let Some(bar) = &self.bar {
                    bar.set_length(run.planned as u64);
                }
            }
            RunEvent::CellStarted { id } => {
                self.running.insert(id.clone());
                self.show_running();
            }
            RunEvent::CellFinished(cell) => {
                self.done += 1;
                self.running.remove(&cell.id);
                self.finished(cell);
            }
            RunEvent::RunEnded { end: RunEnd::Interrupted } => self.line("interrupted; stopping the servers"),
            RunEvent::RunEnded { .. } => {}
        }
    }

    fn finish(&mut self, _run: &Results) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        Ok(())
    }
}

impl Progress {
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(anstream::adapter::strip_str(text).to_string()),
            None => {
                // A closed standard error is no reason to stop.
                let _ = writeln!(anstream::stderr(), "{text}");
            }
        }
    }

    fn finished(&self, cell: &CellRecord) {
        let verdict = cell.verdict;
        let (style, ms, id) = (style(verdict), cell.duration_ms, &cell.id);
        let reason = cell.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let name = verdict.as_str();
        match &self.bar {
            None => {
                let (width, done, cells) = (self.cells.to_string().len(), self.done, self.cells);
                self.line(&format!("{style}{name:>11}{style:#} [{ms:>5} ms] {done:>width$}/{cells} {id}{reason}"));
            }
            Some(bar) => {
                if verdict.is_problem() {
                    self.line(&format!("{name:>11} [{ms:>5} ms] {id}{reason}"));
                }
                bar.inc(1);
                self.show_running();
            }
        }
    }

    fn show_running(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.running.iter().cloned().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// What is going to be run, where, and why there.
fn introduction(run: &RunRecord) -> String {
    let RunRecord { planned, runtime, why, servers, releases, clients, .. } = run;
    let planned = cells(*planned);
    let (servers, releases) = (servers.join(", "), releases.join(", "));
    let others = clients.iter().filter(|(client, _)| **client != ClientKind::Kong);
    let others: String = others.map(|(client, about)| format!("\n{client}: {about}")).collect();
    format!("{planned}; {runtime}, {why}; PostgreSQL {servers}; Kong {releases}{others}")
}
