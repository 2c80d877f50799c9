//! Progress: on a terminal a bar with what is running now, elsewhere a line for each cell.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::judge::Verdict;
use crate::run::{CellResult, Event};

/// The progress of a run, told on the standard error.
pub struct Live {
    bar: Option<ProgressBar>,
    running: BTreeSet<String>,
    done: usize,
    cells: usize,
}

impl Default for Live {
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

/// How a verdict looks.
#[must_use]
pub(super) fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => AnsiColor::Green.on_default(),
        Verdict::KnownDeviation | Verdict::Unsupported | Verdict::Skipped => AnsiColor::Yellow.on_default(),
        Verdict::Fail | Verdict::Timeout | Verdict::EnvironmentError => AnsiColor::Red.on_default().bold(),
    }
}

impl Live {
    /// Something that people should know before the first cell.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// What has happened.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started { cells } => {
                self.cells = *cells;
                if let Some(bar) = &self.bar {
                    bar.set_length(*cells as u64);
                }
            }
            Event::CellStarted { id } => {
                self.running.insert(id.clone());
                self.show_running();
            }
            Event::CellFinished(result) => {
                self.done += 1;
                self.running.remove(&result.cell.id);
                self.finished(result);
            }
        }
    }

    fn finished(&self, result: &CellResult) {
        let verdict = result.verdict;
        let (style, name, ms) = (style(verdict), verdict.as_str(), result.duration.as_millis());
        let reason = result.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let id = &result.cell.id;
        match &self.bar {
            None => {
                let (width, done, cells) = (self.cells.to_string().len(), self.done, self.cells);
                let line = format!("{style}{name:>11}{style:#} [{ms:>5} ms] {done:>width$}/{cells} {id}{reason}");
                // Progress that nobody can see is no reason to stop.
                let _ = writeln!(anstream::stderr(), "{line}");
            }
            Some(bar) => {
                if !matches!(verdict, Verdict::Pass | Verdict::KnownDeviation | Verdict::Unsupported) {
                    let line = format!("{style}{name:>11}{style:#} [{ms:>5} ms] {id}{reason}");
                    bar.println(anstream::adapter::strip_str(&line).to_string());
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

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
