//! The log of a run, `events.jsonl`: a JSON object in each line, written when it happens. Everything that a report says
//! can be made from it, also when the run was killed.

use std::io::{self, BufRead};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::CellRecord;
use super::run::{FORMAT, Results, RunEnd, RunRecord};
use super::shared::SharedParts;
use crate::leaks::Leak;

/// A line of the log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// How long after the beginning of the run, in milliseconds.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// What happens in a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// The run begins. It is the first line.
    RunStarted(Box<RunRecord>),
    /// A cell begins.
    CellStarted {
        /// Its id.
        id: Arc<str>,
    },
    /// A cell that is running has taken too long.
    CellSlow {
        /// Its id.
        id: Arc<str>,
        /// How long it may take without being slow, in milliseconds.
        limit_ms: u64,
    },
    /// A cell has ended.
    CellFinished(Box<CellRecord>),
    /// The result of a cell was taken over from another run: one that is continued, or a part that is merged.
    CellKept(Box<CellRecord>),
    /// The run has ended. It is the last line, unless the run was killed or left something behind.
    RunEnded {
        /// How.
        end: RunEnd,
    },
    /// When all servers and clients had been stopped, something was left that no cell had left.
    LeaksFound {
        /// What.
        leaks: Vec<Leak>,
    },
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A line is not an entry.
    #[error("line {line} is not an event of this version: {source}")]
    Line {
        /// Its number, counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The first line is not the beginning of a run.
    #[error("it does not begin with the event run-started")]
    NoBeginning,
    /// It is of another version of the format.
    #[error("it has format {0}, and this version reads format {FORMAT}")]
    Format(u32),
}

/// The results in a log, up to where it ends. A last line that is cut off is left out: the run was killed
/// while it was written.
pub(super) fn replay(log: impl BufRead) -> Result<Results, LogError> {
    let mut lines = log.split(b'\n').enumerate().peekable();
    let mut run: Option<RunRecord> = None;
    let (mut cells, mut leaks, mut end, mut duration_ms) = (Vec::new(), Vec::new(), RunEnd::Unknown, 0);
    let mut parts = SharedParts::default();
    while let Some((number, line)) = lines.next() {
        let line = line?;
        let entry: Entry = match serde_json::from_slice(&line) {
            Ok(entry) => entry,
            Err(_) if run.is_some() && lines.peek().is_none() => break,
            Err(source) => return Err(LogError::Line { line: number + 1, source }),
        };
        duration_ms = entry.elapsed_ms;
        match entry.event {
            RunEvent::RunStarted(record) if record.format != FORMAT => return Err(LogError::Format(record.format)),
            RunEvent::RunStarted(record) => run = Some(*record),
            RunEvent::CellStarted { .. } | RunEvent::CellSlow { .. } => {}
            RunEvent::CellFinished(cell) | RunEvent::CellKept(cell) => cells.push(parts.share(*cell)),
            RunEvent::RunEnded { end: how } => end = how,
            RunEvent::LeaksFound { leaks: found } => leaks = found,
        }
    }
    let run = run.ok_or(LogError::NoBeginning)?;
    Ok(Results { leaks, ..Results::new(run, cells, end, duration_ms) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::sample::{cell, run};
    use super::*;

    /// A run of two cells, the second of which ended first.
    fn log() -> Vec<String> {
        let events = [
            RunEvent::RunStarted(Box::new(run(2))),
            RunEvent::CellFinished(Box::new(cell(1, "fail", "no"))),
            RunEvent::CellFinished(Box::new(cell(0, "pass", ""))),
            RunEvent::RunEnded { end: RunEnd::Finished },
        ];
        let entries = events.into_iter().enumerate().map(|(number, event)| Entry { elapsed_ms: number as u64, event });
        entries.map(|entry| serde_json::to_string(&entry).expect("JSON") + "\n").collect()
    }

    #[test]
    fn a_whole_log_has_the_cells_in_the_order_of_the_plan() {
        let run = replay(log().concat().as_bytes()).expect("a log");
        assert_eq!(run.cells.iter().map(|cell| cell.number).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((run.end, run.duration_ms, run.partial()), (RunEnd::Finished, 3, None));
    }

    #[rstest]
    #[case::between_lines(0)]
    #[case::in_a_line(10)]
    fn the_log_of_a_killed_run_is_a_partial_result(#[case] into_the_next: usize) {
        let log = log();
        let text = log[..2].concat() + &log[2][..into_the_next];
        let run = replay(text.as_bytes()).expect("a log");
        let partial = run.partial().expect("a partial run");
        assert_eq!(partial, "1 of 2 cells were run: it was killed, or is still running");
    }

    #[rstest]
    #[case::nothing("", "run-started")]
    #[case::prose("prose\n", "line 1")]
    #[case::another_format("{\"elapsed_ms\": 0, \"event\": \"cell-started\", \"id\": \"a\"}\n", "run-started")]
    fn what_is_no_log_is_an_error(#[case] text: &str, #[case] part: &str) {
        let error = replay(text.as_bytes()).expect_err("an error").to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn a_line_within_the_log_that_is_no_event_is_an_error_with_its_number() {
        let log = log();
        let error = replay([&log[0], "{\n", &log[1]].concat().as_bytes()).expect_err("an error");
        assert!(error.to_string().starts_with("line 2 "), "{error}");
    }
}
