//! From cells to results: each cell on a leased, configured server, several at once.

mod cell;
mod error;
mod event;
mod expand;
pub mod materials;
mod options;
mod rerun;
mod result;
mod runner;
mod step;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc::UnboundedSender;

pub use error::CellError;
pub use event::{Event, RunInfo};
pub use expand::{ExpandError, Words};
pub use materials::{ConfigFiles, kong_conf_of};
pub use options::{CellRequest, ClientRequest, Limits, Options, RuntimeChoice, RuntimeRequest};
pub use result::{CellResult, EarlierAttempt};
pub use runner::Runner;

use cell::JudgedCell;

use crate::judge::Verdict;
use crate::plan::Cell;
use crate::suite::ServerSide;
use certificate_trees::Tree;

impl Runner {
    /// Runs one cell. There is a result whatever happens in it.
    pub async fn run_cell(self: &Arc<Self>, cell: Cell) -> CellResult {
        let (started, clock) = (SystemTime::now(), Instant::now());
        let runner = self.clone();
        let running = cell.clone();
        // A task of its own, so that a panic in it becomes a verdict; it is aborted when this future is dropped.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { runner.cell(&running).await });
        let judged = match tokio::time::timeout(self.limit, task.join_next()).await {
            Ok(Some(Ok(judged))) => judged,
            Ok(Some(Err(error))) => {
                let error = CellError::from(error);
                JudgedCell::without_evidence(error.verdict(), error.to_string())
            }
            Ok(None) | Err(_) => {
                let reason = format!("gave up after {} s; --timeout sets the limit", self.limit.as_secs());
                JudgedCell::without_evidence(Verdict::Timeout, reason)
            }
        };
        let JudgedCell { judgement, server, evidence, difference, remarks, files } = judged;
        let (runtime, duration) = (self.pool.runtime().kind(), clock.elapsed());
        let earlier = Vec::new();
        CellResult {
            cell,
            judgement,
            runtime,
            server,
            evidence,
            difference,
            remarks,
            files,
            started,
            duration,
            earlier,
        }
    }

    /// Runs a cell as often as the limits say. The result is that of the last attempt, or of the first that failed
    /// where every attempt counts.
    async fn attempts(self: &Arc<Self>, cell: Cell, limits: &Limits) -> CellResult {
        let mut result = self.run_cell(cell.clone()).await;
        let (mut repeated, mut retried) = (1, 0);
        loop {
            let failed = result.verdict().is_failure();
            let retry = failed && retried < limits.retries;
            if !retry && repeated >= limits.repeat {
                return result;
            }
            let mut earlier = std::mem::take(&mut result.earlier);
            let again = self.run_cell(cell.clone()).await;
            (repeated, retried) = (repeated + 1, retried + u32::from(retry));
            let (result_is, other) = if failed && !retry { (result, again) } else { (again, result) };
            earlier.push(EarlierAttempt::from(&other));
            result = CellResult { earlier, ..result_is };
        }
    }

    /// Runs cells, several at once, and sends what happens. Cells that share a server's configuration go to the same
    /// worker, one after the other.
    pub async fn run(self: &Arc<Self>, cells: Vec<Cell>, limits: &Limits, events: UnboundedSender<Event>) {
        let send = |event| {
            // An error means that the receiver is gone.
            let _ = events.send(event);
        };
        let queue = Arc::new(Mutex::new(groups(cells)));
        let work = (0..limits.jobs()).map(|_| async {
            loop {
                let group = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(group) = group else { return };
                for cell in group {
                    send(Event::CellStarted { id: cell.id.clone() });
                    send(Event::CellFinished(Box::new(self.attempts(cell, limits).await)));
                }
            }
        });
        futures_util::future::join_all(work).await;
    }
}

/// The server's configuration that a cell begins with.
fn server_side(cell: &Cell) -> Option<(&ServerSide, &Tree)> {
    cell.case.steps.first().map(|step| (&step.situation.server, &*step.situation.tree))
}

/// Neighbours that share a major and a server's configuration.
fn groups(cells: Vec<Cell>) -> VecDeque<Vec<Cell>> {
    let mut groups = VecDeque::<Vec<Cell>>::new();
    for cell in cells {
        let shares = |other: &Cell| cell.major == other.major && server_side(&cell) == server_side(other);
        match groups.back_mut() {
            Some(group) if group.last().is_some_and(shares) => group.push(cell),
            _ => groups.push_back(vec![cell]),
        }
    }
    groups
}
