//! Progress on the standard error: on a terminal a bar with the cells that are running, otherwise a line for each scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::Major;

use super::reporter::{Reporter, cells, some, tally};
use super::screen::{Detail, Screen};
use crate::judge::Verdict;
use crate::record::{CellRecord, Entry, Results, RunEnd, RunEvent, RunRecord};

/// The progress of a run.
pub(super) struct Progress {
    detail: Detail,
    bar: Option<ProgressBar>,
    running: BTreeSet<Arc<str>>,
    done: usize,
    planned: usize,
    /// The verdicts of scenarios on majors of which some cells are left, each with how many there are in all.
    scenarios: BTreeMap<String, (Vec<Verdict>, usize)>,
}

impl Progress {
    pub(super) fn new(detail: Detail) -> Self {
        let has_bar = io::stderr().is_terminal() && detail != Detail::Quiet;
        let bar = has_bar.then(|| {
            let template = "{elapsed_precise} {wide_bar} {pos}/{len}, {eta_precise} left\n{msg}";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(0).with_style(style);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { detail, bar, running: BTreeSet::new(), done: 0, planned: 0, scenarios: BTreeMap::new() }
    }
}

/// The style of what is remarkable about a cell, but no failure.
const REMARK: Style = AnsiColor::Yellow.on_default();

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
                self.planned = run.planned;
                self.scenarios = run.scenarios.iter().map(|(name, all)| (name.clone(), (Vec::new(), *all))).collect();
                if self.detail != Detail::Quiet {
                    self.line(&Screen::of_errors().prose("", "  ", &introduction(run)));
                }
                if let Some(bar) = &self.bar {
                    bar.set_length(run.planned as u64);
                }
            }
            RunEvent::CellStarted { id } => {
                self.running.insert(id.clone());
                self.show_running();
            }
            RunEvent::CellSlow { id, limit_ms } if self.detail != Detail::Quiet => {
                self.line(&format!("{REMARK}{:>11}{REMARK:#} [>{limit_ms:>4} ms] {id}", "SLOW"));
            }
            RunEvent::CellFinished(cell) => {
                self.done += 1;
                self.running.remove(&cell.id);
                self.finished(cell);
                self.scenario(cell);
            }
            RunEvent::RunEnded { end: RunEnd::Interrupted } => self.line("interrupted; stopping the servers"),
            RunEvent::CellKept(cell) => {
                self.done += 1;
                self.kept(cell);
            }
            RunEvent::LeaksFound { leaks } if self.detail != Detail::Quiet => {
                for leak in leaks {
                    self.line(&format!("{REMARK}{:>11}{REMARK:#} {leak}", "LEAK"));
                }
            }
            RunEvent::CellSlow { .. } | RunEvent::RunEnded { .. } | RunEvent::LeaksFound { .. } => {}
        }
    }

    fn again(&mut self) {
        *self = Self::new(self.detail);
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
            Some(bar) => {
                let plain = anstream::AutoStream::choice(&io::stderr()) == anstream::ColorChoice::Never;
                let text = if plain { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() };
                bar.println(text);
            }
            None => {
                // A closed standard error is no reason to stop.
                let _ = writeln!(anstream::stderr(), "{text}");
            }
        }
    }

    fn finished(&self, cell: &CellRecord) {
        let verdict = cell.verdict;
        if self.detail == Detail::Cells || verdict.is_problem() && self.detail != Detail::Quiet {
            let (style, ms, id) = (style(verdict), cell.duration_ms, &cell.id);
            let reason = cell.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let (width, done, planned) = (self.planned.to_string().len(), self.done, self.planned);
            let name = verdict.as_str();
            self.line(&format!("{style}{name:>11}{style:#} [{ms:>5} ms] {done:>width$}/{planned} {id}{reason}"));
        }
        for leak in cell.leaks.iter().filter(|_| self.detail != Detail::Quiet) {
            self.line(&format!("{REMARK}{:>11}{REMARK:#} [{:>5} ms] {}: {leak}", "LEAK", cell.duration_ms, cell.id));
        }
        if let Some(bar) = &self.bar {
            bar.inc(1);
            self.show_running();
        }
    }

    fn kept(&mut self, cell: &CellRecord) {
        if let Some((verdicts, _)) = self.scenarios.get_mut(&cell.scenario_and_major()) {
            verdicts.push(cell.verdict);
        }
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Where there is no bar, a line for each scenario that is done.
    fn scenario(&mut self, cell: &CellRecord) {
        let name = cell.scenario_and_major();
        let Some((verdicts, all)) = self.scenarios.get_mut(&name) else { return };
        verdicts.push(cell.verdict);
        if verdicts.len() < *all || self.bar.is_some() || self.detail != Detail::Scenarios {
            return;
        }
        let tally = tally(verdicts.iter().copied());
        let worst = verdicts.iter().max().copied().unwrap_or(Verdict::Pass);
        let (style, width, done, planned) = (style(worst), self.planned.to_string().len(), self.done, self.planned);
        self.line(&format!("{done:>width$}/{planned} {name}: {style}{tally}{style:#}"));
    }

    fn show_running(&self) {
        if let Some(bar) = &self.bar {
            let screen = Screen::of_errors();
            let running: Vec<_> = self.running.iter().map(|id| screen.cut(id)).collect();
            bar.set_message(running.join("\n"));
        }
    }
}

/// What is going to be run, where, and why there.
fn introduction(run: &RunRecord) -> String {
    let RunRecord { planned, runtime, runtimes, why, servers, releases, clients, .. } = run;
    let planned = cells(*planned);
    let server = |(major, source): &(Major, String)| match runtimes.iter().find(|of| of.major == *major) {
        Some(of) if runtime.is_none() => format!("{major} ({}, {source})", of.runtime),
        _ => format!("{major} ({source})"),
    };
    let (servers, releases) = (servers.iter().map(server).collect::<Vec<_>>().join(", "), some(releases));
    let runtime = runtime.map_or_else(|| "docker and local".to_owned(), |runtime| runtime.to_string());
    let others = clients.iter().filter(|(client, _)| **client != ClientKind::Kong);
    let others: String = others.map(|(client, about)| format!("\n{client}: {about}")).collect();
    format!("{planned}; {runtime}, {why}; PostgreSQL {servers}; Kong {releases}{others}")
}
