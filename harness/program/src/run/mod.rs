//! Cells to results: each on a leased, configured server, several at once.

mod cell;
mod expand;
mod materials;
mod step;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

pub use materials::ConfigFiles;

use crate::client::Clients;
use crate::judge::{Expectation, Mismatch, Observation, Verdict};
use crate::plan::Cell;
use crate::suite::{Difference, ServerSide, Suite, Texts};
use certificate_trees::{Authority, Tree};
use postgres_tls_server::{Pool, RuntimeKind, ServerFacts};

/// What came of a cell.
#[derive(Debug, Clone)]
pub struct CellResult {
    /// The cell.
    pub cell: Cell,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless it is `pass`.
    pub reason: Option<String>,
    /// Where it ran.
    pub runtime: RuntimeKind,
    /// The server it ran on.
    pub server: Option<ServerFacts>,
    /// What had to happen, in the step that decided.
    pub expected: Option<Expectation>,
    /// What happened in that step.
    pub observed: Option<Observation>,
    /// Where the two differ.
    pub mismatches: Vec<Mismatch>,
    /// What there is to say of Kong's configuration in that step: what means something else than it looks like.
    pub remarks: Vec<String>,
    /// Where it is written that this client differs here.
    pub difference: Option<Arc<Difference>>,
    /// The configuration files of that step.
    pub files: Option<ConfigFiles>,
    /// How long it took.
    pub duration: Duration,
}

/// What happens in a run, for those who report it.
#[derive(Debug)]
pub enum Event {
    /// The run begins, with so many cells.
    Started {
        /// How many.
        cells: usize,
    },
    /// A cell begins.
    CellStarted {
        /// Its id.
        id: String,
    },
    /// A cell has ended.
    CellFinished(Box<CellResult>),
}

/// Runs cells.
pub struct Runner {
    pool: Arc<Pool>,
    authority: Arc<Authority>,
    texts: Arc<Texts>,
    clients: Clients,
    differences: Vec<Arc<Difference>>,
    folder: PathBuf,
    limit: Duration,
}

impl Runner {
    /// A runner that keeps Kong's files below a private folder, and gives up on a cell after the limit.
    #[must_use]
    pub fn new(pool: Arc<Pool>, suite: &Suite, clients: Clients, folder: PathBuf, limit: Duration) -> Arc<Self> {
        let authority = Arc::new(Authority::new(folder.join("guide")));
        let (texts, differences) = (suite.texts.clone(), suite.differences.clone());
        Arc::new(Self { pool, authority, texts, clients, differences, folder, limit })
    }

    /// Who connects.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The servers.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Runs one cell. Whatever happens in it, there is a result.
    pub async fn run_cell(self: &Arc<Self>, cell: Cell) -> CellResult {
        let begun = Instant::now();
        let runner = self.clone();
        let running = cell.clone();
        // A task of its own, so that a panic in it is a verdict; it ends with this future.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { runner.cell(&running).await });
        let ended = match tokio::time::timeout(self.limit, task.join_next()).await {
            Ok(Some(Ok(ended))) => ended,
            Ok(Some(Err(error))) => cell::Ended::environment(format!("the harness failed: {error}")),
            Ok(None) | Err(_) => {
                let limit = self.limit.as_secs();
                cell::Ended::of(Verdict::Timeout, format!("gave up after {limit} s; --timeout sets the limit"))
            }
        };
        CellResult {
            cell,
            verdict: ended.verdict,
            reason: ended.reason,
            runtime: self.pool.runtime().kind(),
            server: ended.server,
            expected: ended.expected,
            observed: ended.observed,
            mismatches: ended.mismatches,
            remarks: ended.remarks,
            difference: ended.difference,
            files: ended.files,
            duration: begun.elapsed(),
        }
    }

    /// Runs cells, several at once, and tells what happens. Cells that share a server's configuration go to the same
    /// worker, one after the other.
    pub async fn run(self: &Arc<Self>, cells: Vec<Cell>, jobs: u32, events: UnboundedSender<Event>) {
        let tell = |event| {
            // Whoever has stopped listening does not want to know.
            let _ = events.send(event);
        };
        tell(Event::Started { cells: cells.len() });
        let queue = Arc::new(Mutex::new(groups(cells)));
        let work = (0..jobs).map(|_| async {
            loop {
                let group = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(group) = group else { return };
                for cell in group {
                    tell(Event::CellStarted { id: cell.id.clone() });
                    tell(Event::CellFinished(Box::new(self.run_cell(cell).await)));
                }
            }
        });
        futures_util::future::join_all(work).await;
    }
}

/// What a cell wants of its server.
fn server_of(cell: &Cell) -> Option<(&ServerSide, &Tree)> {
    cell.case.steps.first().map(|step| (&step.situation.server, &*step.situation.tree))
}

/// Neighbours that share a major and a server's configuration.
fn groups(cells: Vec<Cell>) -> VecDeque<Vec<Cell>> {
    let mut groups = VecDeque::<Vec<Cell>>::new();
    for cell in cells {
        let shares = |other: &Cell| cell.major == other.major && server_of(&cell) == server_of(other);
        match groups.back_mut() {
            Some(group) if group.last().is_some_and(shares) => group.push(cell),
            _ => groups.push_back(vec![cell]),
        }
    }
    groups
}
