//! Reports of a run: on the terminal while it is running and when it ends, and in files for other programs. Reporters take
//! events and results, and judge nothing. A new format is a file of its own and a line in [`Format`].

mod agreement;
mod cell;
mod claims;
mod compared;
mod compatibility;
mod deviations;
mod durations;
mod explain;
mod format;
mod github;
mod html;
mod junit;
mod last_green;
mod log;
mod markdown;
mod matrix;
mod paragraph;
mod progress;
mod remarks;
mod reporter;
mod screen;
mod seen;
mod summary;
pub(crate) mod table;
mod tap;
mod vacuity;

use std::io;
use std::panic::resume_unwind;
use std::path::Path;

use crate::leaks::Leak;
use crate::record::{DURATIONS, Entry, Results, RunEvent};

pub use cell::write_cell;
pub use claims::{Recorded, write_claims, write_comparison};
pub use compatibility::{Compatibility, cases as compatibility_cases};
pub use deviations::write_deviations;
pub use explain::{outcome, write_cell_explanation, write_explanation};
pub use format::Format;
pub use html::write_two_runs;
pub(crate) use paragraph::indent;
pub use reporter::{Content, Reporter, Write, replace_file, write_file};
pub use screen::{Detail, Display, Screen};
pub use seen::Seen;
pub use vacuity::{write_score, write_text_score};

/// The formats that every run writes.
const ALWAYS: [Format; 3] = [Format::Json, Format::Junit, Format::Html];

/// All forms in which the program reports a run. Files are written to the folder; those of an earlier run are removed.
///
/// # Errors
/// If the folder cannot be written.
pub fn reporters(folder: &Path, display: Display, seen: Seen) -> io::Result<Vec<Box<dyn Reporter>>> {
    let others = [compatibility::PAGE, compatibility::MATRIX, DURATIONS];
    for name in ALWAYS.map(Format::file_name).into_iter().chain(others) {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut reporters: Vec<Box<dyn Reporter>> =
        vec![Box::new(progress::Progress::new(display.detail)), Box::new(log::EventLog::create(folder)?)];
    for format in ALWAYS {
        reporters.push(Box::new(format::FileReport { format, path: folder.join(format.file_name()) }));
    }
    reporters.push(Box::new(durations::DurationsReport { folder: folder.to_owned() }));
    reporters.push(Box::new(compatibility::CompatibilityReport { page: folder.join(compatibility::PAGE) }));
    let (results, screen) = (folder.join(Format::Json.file_name()), Screen::of_output());
    reporters.push(Box::new(summary::Summary { results, display, screen, seen }));
    Ok(reporters)
}

/// Reports what was left when a run had ended, but for what is known from its cells.
pub fn report_leaks(reporters: &mut [Box<dyn Reporter>], run: Results, left: Vec<Leak>) -> Results {
    let leaks = run.beyond_cells(left);
    if !leaks.is_empty() {
        let entry = Entry { elapsed_ms: run.duration_ms, event: RunEvent::LeaksFound { leaks: leaks.clone() } };
        for reporter in reporters {
            reporter.event(&entry);
        }
    }
    Results { leaks, ..run }
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {what}: {source}")]
pub struct ReportError {
    what: String,
    source: io::Error,
}

/// Finishes all reports, also when one of them fails: those in files side by side, then those on the terminal. A closed
/// pipe is no failure: the reader has seen enough.
///
/// # Errors
/// The first report that could not be written.
pub fn finish(reporters: &mut [Box<dyn Reporter>], run: &Results) -> Result<(), ReportError> {
    let (files, others): (Vec<_>, Vec<_>) = reporters.iter_mut().partition(|reporter| reporter.file().is_some());
    let written: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            files.into_iter().map(|reporter| scope.spawn(|| finish_one(reporter.as_mut(), run))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let shown: Vec<_> = others.into_iter().map(|reporter| finish_one(reporter.as_mut(), run)).collect();
    written.into_iter().chain(shown).collect()
}

fn finish_one(reporter: &mut dyn Reporter, run: &Results) -> Result<(), ReportError> {
    match reporter.finish(run) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            let what = reporter.file().map_or_else(|| "the report".into(), |file| file.display().to_string());
            Err(ReportError { what, source })
        }
        _ => Ok(()),
    }
}

/// Reports a run that was put together from others.
///
/// # Errors
/// The first report that could not be written.
pub fn report_again(reporters: &mut [Box<dyn Reporter>], run: &Results) -> Result<(), ReportError> {
    let kept = run.cells.iter().map(|cell| RunEvent::CellKept(Box::new(cell.clone())));
    let started = RunEvent::RunStarted(Box::new(run.run.clone()));
    let leaks = (!run.leaks.is_empty()).then(|| RunEvent::LeaksFound { leaks: run.leaks.clone() });
    let events = std::iter::once(started).chain(kept).chain([RunEvent::RunEnded { end: run.end }]).chain(leaks);
    for event in events {
        let entry = Entry { elapsed_ms: run.duration_ms, event };
        for reporter in reporters.iter_mut() {
            reporter.event(&entry);
        }
    }
    finish(reporters, run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    struct Closed(io::ErrorKind);

    impl Reporter for Closed {
        fn finish(&mut self, _: &Results) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        let run = sample::results("", 0);
        let finished = |kinds: &[io::ErrorKind]| {
            let mut reporters: Vec<Box<dyn Reporter>> =
                kinds.iter().map(|kind| Box::new(Closed(*kind)) as Box<dyn Reporter>).collect();
            finish(&mut reporters, &run)
        };
        assert!(finished(&[io::ErrorKind::BrokenPipe]).is_ok());
        assert!(finished(&[io::ErrorKind::BrokenPipe, io::ErrorKind::StorageFull]).is_err());
    }
}
