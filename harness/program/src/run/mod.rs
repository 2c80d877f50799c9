//! From cells to results: each cell on a leased, configured server, several at once.

mod agreement;
mod cell;
mod error;
mod expand;
mod materials;
mod rerun;
mod step;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::UnboundedSender;

pub use agreement::{Agreement, DifferingCells, SideBySide, agreements};
pub use error::CellError;
pub use materials::ConfigFiles;
pub use rerun::RerunOptions;

use cell::JudgedCell;

use crate::client::Clients;
use crate::judge::{Evidence, Expectation, Judgement, KnownDifference, Observation, Verdict};
use crate::plan::Cell;
use crate::suite::{Difference, ServerSide, Suite, Texts};
use crate::vocabulary::ClientKind;
use certificate_trees::{Authority, Tree};
use postgres_tls_server::{Pool, RuntimeKind, ServerFacts};

/// A cell that has been run, or could not be.
#[derive(Debug, Clone)]
pub struct CellResult {
    /// The cell.
    pub cell: Cell,
    /// The verdict, and what led to it.
    pub judgement: Judgement,
    /// Where the server ran.
    pub runtime: RuntimeKind,
    /// The server, if the cell came that far.
    pub server: Option<ServerFacts>,
    /// What the verdict was derived from; nothing if the cell ended before anything was observed.
    pub evidence: Option<Evidence>,
    /// The entry of differences.yaml that the cell confirms.
    pub difference: Option<KnownDifference>,
    /// Settings of Kong that are ignored or misread.
    pub remarks: Vec<String>,
    /// The configuration files of the step that was judged.
    pub files: Option<ConfigFiles>,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub duration: Duration,
}

impl CellResult {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.judgement.verdict
    }

    /// Why, unless it is `pass`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.judgement.reason.as_deref()
    }

    /// What was observed, if the cell came that far.
    #[must_use]
    pub fn observed(&self) -> Option<&Observation> {
        self.evidence.as_ref().map(|evidence| &evidence.observed)
    }

    /// What was expected, if the cell came that far and the suite knows.
    #[must_use]
    pub fn expected(&self) -> Option<&Expectation> {
        self.evidence.as_ref().and_then(|evidence| evidence.expected.known())
    }
}

/// What a run is about to do, and where.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// How many cells are planned.
    pub planned: usize,
    /// Where servers run.
    pub runtime: RuntimeKind,
    /// Why there.
    pub why: String,
    /// The servers, each with its image or folder: `17 (postgres:17)`.
    pub servers: Vec<String>,
    /// The Kong releases: `3.15-enterprise`.
    pub releases: Vec<String>,
    /// The clients, with their versions.
    pub clients: BTreeMap<ClientKind, String>,
    /// What is needed to run one of the cells again.
    pub rerun: RerunOptions,
    /// When it began.
    pub started: SystemTime,
}

/// What happens in a run, for reporters.
#[derive(Debug)]
pub enum Event {
    /// The run begins.
    Started(Box<RunInfo>),
    /// A cell begins.
    CellStarted {
        /// Its id.
        id: String,
    },
    /// A cell has ended.
    CellFinished(Box<CellResult>),
    /// The run ends before all cells have: it was interrupted.
    Interrupted,
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

    /// The clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The servers.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

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
        CellResult { cell, judgement, runtime, server, evidence, difference, remarks, files, started, duration }
    }

    /// Runs cells, `jobs` at once, and sends what happens. Cells that share a server's configuration go to the same
    /// worker, one after the other.
    pub async fn run(self: &Arc<Self>, cells: Vec<Cell>, jobs: u32, events: UnboundedSender<Event>) {
        let send = |event| {
            // An error means that nobody listens any more.
            let _ = events.send(event);
        };
        let queue = Arc::new(Mutex::new(groups(cells)));
        let work = (0..jobs).map(|_| async {
            loop {
                let group = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(group) = group else { return };
                for cell in group {
                    send(Event::CellStarted { id: cell.id.clone() });
                    send(Event::CellFinished(Box::new(self.run_cell(cell).await)));
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
