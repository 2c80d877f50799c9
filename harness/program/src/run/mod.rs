//! From cells to results: each cell on a leased, configured server, several at once.

mod cell;
mod error;
mod event;
mod expand;
pub mod materials;
mod notes;
mod options;
mod pace;
mod rerun;
mod result;
mod runner;
mod step;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use certificate_trees::Tree;
use indexmap::IndexMap;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{Case, ServerSide, Step};
use postgres_tls_server::ApplyMode;
use tokio::sync::mpsc::UnboundedSender;

pub use error::CellError;
pub use event::{Event, RunInfo};
pub use expand::{ExpandError, Words, unresolved};
pub use materials::{ConfigFiles, MadeFile, kong_conf_of, written_conf};
pub use notes::{MadeFiles, Notes, Passed, Recording};
pub use options::{
    CellRequest, ClientRequest, EvidenceOf, EvidenceRequest, Limits, Options, RuntimeChoice, RuntimeRequest,
};
pub use pace::{Allowed, Pace};
pub use result::CellResult;
pub use runner::Runner;

pub use cell::Prepared;

use cell::JudgedCell;
use notes::Notebook;

use crate::judge::Verdict;

impl Runner {
    /// Runs one cell. There is a result whatever happens in it.
    #[expect(clippy::missing_panics_doc, reason = "a session plans the majors that its pool has")]
    pub async fn run_cell(self: &Arc<Self>, cell: Cell) -> CellResult {
        let (started, clock) = (SystemTime::now(), Instant::now());
        let runner = self.clone();
        let running = cell.clone();
        let notebook = Notebook::new(self.records);
        let taken = notebook.clone();
        // A task of its own, so that a panic in it becomes a verdict; it is aborted when this future is dropped.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { runner.cell(&running, &taken).await });
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
        let JudgedCell { judgement, evidence, difference } = judged;
        let runtime = self.pool.runtime_of(cell.major).expect("only majors that there are are planned");
        let duration = clock.elapsed();
        let (notes, slow, leaks, earlier) = (notebook.notes(), None, Vec::new(), Vec::new());
        CellResult { cell, judgement, runtime, evidence, difference, notes, started, duration, slow, leaks, earlier }
    }

    /// Runs one cell, says so when it takes too long, and looks for what it leaves behind.
    async fn watched(self: &Arc<Self>, cell: Cell, pace: &Pace, send: &impl Fn(Event)) -> CellResult {
        let id = cell.id.clone();
        let allowed = self.pool.runtime_of(cell.major).map(|runtime| pace.allowed(runtime, &id, self.limit));
        let say_so = async {
            if let Some(allowed) = allowed {
                tokio::time::sleep(allowed.limit).await;
                send(Event::CellSlow { id: id.clone(), allowed });
            }
            std::future::pending().await
        };
        let result = tokio::select! {
            result = self.run_cell(cell) => result,
            never = say_so => never,
        };
        let slow = allowed.filter(|allowed| result.duration > allowed.limit);
        CellResult { slow, leaks: self.clients.traces().left(&id).await, ..result }
    }

    /// Runs a cell as often as the limits say. The result is that of the last attempt, or of the first that failed
    /// where every attempt counts.
    async fn attempts(self: &Arc<Self>, cell: Cell, limits: &Limits, pace: &Pace, send: &impl Fn(Event)) -> CellResult {
        let mut result = self.watched(cell.clone(), pace, send).await;
        let (mut repeated, mut retried) = (1, 0);
        loop {
            let failed = result.verdict().is_failure();
            let retry = failed && retried < limits.retries;
            if !retry && repeated >= limits.repeat {
                return result;
            }
            let mut earlier = std::mem::take(&mut result.earlier);
            let again = self.watched(cell.clone(), pace, send).await;
            (repeated, retried) = (repeated + 1, retried + u32::from(retry));
            let (result_is, other) = if failed && !retry { (result, again) } else { (again, result) };
            earlier.push(other);
            result = CellResult { earlier, ..result_is };
        }
    }

    /// Runs cells, several at once, and sends what happens. Cells that share a server's configuration are run one after
    /// the other, those that wait beside those that do not, and those that start a server by one worker, so the order is
    /// not that of the plan.
    pub async fn run(self: &Arc<Self>, cells: Vec<Cell>, limits: &Limits, pace: &Pace, events: UnboundedSender<Event>) {
        let send = |event| {
            // An error means that the receiver is gone.
            let _ = events.send(event);
        };
        let queue = Mutex::new(Queue::new(groups(cells)));
        let queue = &queue;
        let work = (0..limits.jobs()).map(async |worker| {
            loop {
                let group = queue.lock().unwrap_or_else(PoisonError::into_inner).next(Kind::of_worker(worker));
                let Some(group) = group else { return };
                for cell in group {
                    send(Event::CellStarted { id: cell.id.clone() });
                    send(Event::CellFinished(Box::new(self.attempts(cell, limits, pace, &send).await)));
                }
            }
        });
        futures_util::future::join_all(work).await;
    }
}

/// How many cells of a group a worker takes at once: a long group at the end would keep one worker busy and the others
/// waiting.
const PART: usize = 16;

/// The server's configuration that a case begins with.
fn server_side(case: &Case) -> Option<(&ServerSide, &Tree)> {
    case.steps.first().map(|step| (&step.situation.server, &*step.situation.tree))
}

/// What the cells of a group make the machine do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// They keep the processor busy.
    Busy,
    /// They wait most of their time: for a program between Kong and the server to start and to end, or for a limit of
    /// Kong's, behind a proxy that does not answer.
    Waiting,
    /// They start the server with their configuration, and often it does not start.
    Starting,
}

impl Kind {
    /// In the order in which a worker takes them once there is nothing left that it takes first.
    const ALL: [Self; 3] = [Self::Busy, Self::Waiting, Self::Starting];

    fn of(case: &Case) -> Self {
        let starts = |(server, _): (&ServerSide, _)| server.by == ApplyMode::Start;
        let waits = |step: &Step| step.situation.relay.is_some() || step.situation.kong.proxy.is_some();
        if server_side(case).is_some_and(starts) {
            Self::Starting
        } else if case.steps.iter().any(waits) {
            Self::Waiting
        } else {
            Self::Busy
        }
    }

    /// Which groups a worker takes first. Groups of several kinds at once leave no processor idle. Only one worker starts
    /// servers: any other would have to stop its own for that, and to start it again before it can be reloaded.
    fn of_worker(worker: u32) -> Self {
        match worker {
            0 => Self::Starting,
            odd if odd % 2 == 1 => Self::Waiting,
            _ => Self::Busy,
        }
    }
}

/// The groups that are still to be run.
struct Queue(IndexMap<Kind, VecDeque<Vec<Cell>>>);

impl Queue {
    fn new(groups: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        let mut queue: IndexMap<_, VecDeque<_>> = Kind::ALL.map(|kind| (kind, VecDeque::new())).into();
        for group in groups {
            if let Some(first) = group.first() {
                queue.entry(Kind::of(&first.case)).or_default().push_back(group);
            }
        }
        Self(queue)
    }

    /// The next group, one of those that are preferred if there are any.
    fn next(&mut self, preferred: Kind) -> Option<Vec<Cell>> {
        let Self(queue) = self;
        let next = queue.get_mut(&preferred).and_then(VecDeque::pop_front);
        next.or_else(|| queue.values_mut().find_map(VecDeque::pop_front))
    }
}

/// The cells in an order in which that many workers rarely have to put another configuration in force: each has a group of its
/// own.
#[must_use]
pub fn in_order_for(workers: u32, cells: Vec<Cell>) -> Vec<Cell> {
    let mut groups = VecDeque::from(groups(cells));
    let mut ordered = Vec::new();
    let mut running: Vec<_> = groups.drain(..groups.len().min(workers as usize)).map(Vec::into_iter).collect();
    while !running.is_empty() {
        running.retain_mut(|group| {
            let cell = group.next().or_else(|| {
                *group = groups.pop_front()?.into_iter();
                group.next()
            });
            let found = cell.is_some();
            ordered.extend(cell);
            found
        });
    }
    ordered
}

/// Cells that share a major and a server's configuration, which is then put in force once for all of them.
fn groups(cells: Vec<Cell>) -> Vec<Vec<Cell>> {
    let cases: Vec<_> = cells.iter().map(|cell| cell.case.clone()).collect();
    let mut groups = IndexMap::<_, Vec<Cell>>::new();
    let mut last = None;
    for (cell, case) in cells.into_iter().zip(&cases) {
        let place = match last {
            // Comparing trees of certificates takes long, and the cells of a case are neighbours.
            Some((of, major, place)) if Arc::ptr_eq(of, case) && major == cell.major => place,
            _ => {
                let group = groups.entry((cell.major, server_side(case)));
                let place = group.index();
                group.or_default();
                place
            }
        };
        last = Some((case, cell.major, place));
        groups[place].push(cell);
    }
    let part = |group: Vec<Cell>| group.chunks(PART).map(<[Cell]>::to_vec).collect::<Vec<_>>();
    groups.into_values().flat_map(part).collect()
}

#[cfg(test)]
mod tests {
    use kong_pg_client::Stack;
    use kong_pg_scenarios::plan::{Axes, Selection, plan};
    use kong_pg_scenarios::suite::Suite;
    use kong_pg_scenarios::vocabulary::ClientKind;
    use postgres_tls_server::Major;

    use super::*;

    /// The cells of these cases, on two majors.
    fn cells(cases: &str) -> Vec<Cell> {
        let scenario = format!("title: a scenario\npki: root-only\nkong: {{ pg_ssl: off }}\ncases:\n{cases}");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.yaml"), scenario).expect("a file");
        let suite = Suite::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
        let (releases, clients) = (Vec::new(), vec![ClientKind::Kong]);
        let axes = Axes { majors: vec![Major(15), Major(17)], releases, clients, stacks: Stack::ALL.to_vec() };
        plan(&suite, &axes, &Selection::default())
    }

    #[test]
    fn each_of_two_workers_has_a_group_of_its_own() {
        let cells = cells(
            "\
- { name: one, postgres: { hba: [host all all all trust] }, expect: { connects: { tls: off } } }
- { name: same, postgres: { hba: [host all all all trust] }, expect: { connects: { tls: off } } }
- { name: other, postgres: { hba: [host all all all reject] }, expect: { connects: { tls: off } } }
",
        );
        let of_15 = cells.into_iter().filter(|cell| cell.major == Major(15) && cell.stack == Stack::Luasec);
        let ordered = in_order_for(2, of_15.collect());
        assert_eq!(ordered.iter().map(|cell| cell.case.name.as_str()).collect::<Vec<_>>(), ["one", "other", "same"]);
    }

    /// Of two cases with one configuration of the server and one between them with another.
    #[test]
    fn cells_that_share_a_servers_configuration_are_run_together() {
        let cells = cells(
            "\
- { name: one, postgres: { hba: [host all all all trust] }, expect: { connects: { tls: off } } }
- { name: other, postgres: { hba: [host all all all reject] }, expect: { connects: { tls: off } } }
- { name: same, postgres: { hba: [host all all all trust] }, expect: { connects: { tls: off } } }
",
        );
        let mut grouped = Vec::new();
        for group in groups(cells.clone()) {
            let mut names: Vec<_> = group.iter().map(|cell| (cell.major.0, cell.case.name.clone())).collect();
            names.dedup();
            grouped.push(names);
        }
        let of = |major| {
            [&["one", "same"][..], &["other"]]
                .map(|names| names.iter().map(|name| (major, (*name).to_owned())).collect::<Vec<_>>())
        };
        assert_eq!(grouped, [of(15), of(17)].concat());
        let many = vec![cells[0].clone(); 2 * PART + 1];
        assert_eq!(groups(many).iter().map(Vec::len).collect::<Vec<_>>(), [PART, PART, 1]);
    }

    #[test]
    fn cells_that_wait_are_run_beside_those_that_do_not_and_one_worker_starts_servers() {
        let cells = cells(
            "\
- { name: waits, proxy: { does: answers-no }, expect: { connects: { tls: off } } }
- { name: starts, postgres: { conf: { max_connections: 30 } }, expect: { connects: { tls: off } } }
- { name: reloads, postgres: { hba: [host all all all reject] }, expect: { connects: { tls: off } } }
",
        );
        let mut queue = Queue::new(groups(cells));
        let mut next = |worker| queue.next(Kind::of_worker(worker)).map(|group| group[0].case.name.clone());
        let taken = [0, 1, 2, 2, 2, 0, 0].map(|worker| next(worker).unwrap_or_default());
        assert_eq!(taken, ["starts", "waits", "reloads", "reloads", "waits", "starts", ""]);
    }
}
