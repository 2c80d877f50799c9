//! From a request to cells and servers that can run them, and from a run's events to its report: what the program,
//! `cargo test` and the benchmark have in common.

mod error;
mod request;
mod runtime;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use indexmap::IndexSet;
use tokio::sync::mpsc::unbounded_channel;

pub use error::SessionError;
pub use request::{CellRequest, load_causes, load_releases, load_suite};
pub use runtime::{Chosen, RuntimeChoice, RuntimeRequest, with_advice};

use crate::client::{ClientOptions, Clients};
use crate::plan::Cell;
use crate::report::{Report, Reporter};
use crate::roles;
use crate::run::{CellResult, Event, RerunOptions, RunInfo, Runner, agreements};
use crate::runfolder::RunFolder;
use crate::suite::Difference;
use crate::vocabulary::ClientKind;
use postgres_tls_server::Pool;

/// What to run, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which cells.
    pub cells: CellRequest,
    /// Where servers run.
    pub runtime: RuntimeRequest,
    /// Options of clients.
    pub clients: ClientRequest,
    /// How much at once, and for how long.
    pub limits: Limits,
}

/// Options of clients.
#[derive(Debug, Clone, Default)]
pub struct ClientRequest {
    /// The image of the client `kong-image`.
    pub kong_image: Option<String>,
    /// The command line of the client `command`.
    pub command: Option<String>,
}

impl ClientRequest {
    /// With the folder of a run, and whether an image that is missing may be built.
    #[must_use]
    pub fn options(&self, run: &Arc<RunFolder>, may_build: bool) -> ClientOptions {
        let (kong_image, command) = (self.kong_image.clone(), self.command.clone());
        ClientOptions { run: run.clone(), kong_image, may_build, command }
    }
}

/// How much a run does at once, and for how long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many servers are used at once; as many as there are processors, if not given.
    pub jobs: Option<u32>,
    /// How long a cell may take.
    pub cell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { jobs: None, cell: Duration::from_secs(60) }
    }
}

impl Limits {
    /// How many servers are used at once.
    #[must_use]
    pub fn jobs(&self) -> u32 {
        let processors = || std::thread::available_parallelism().map_or(2, |count| count.get().try_into().unwrap_or(2));
        self.jobs.unwrap_or_else(processors)
    }
}

/// Cells, and what runs them.
pub struct Session {
    /// The cells, in order.
    pub cells: Vec<Cell>,
    /// Runs them.
    pub runner: Arc<Runner>,
    jobs: u32,
    /// Why servers run where they do.
    why: String,
    rerun: RerunOptions,
    /// The entries of differences.yaml about cells of this run, and how many cells each is about in a whole run.
    differences: Vec<(Arc<Difference>, usize)>,
    // The last to be dropped: servers keep their data in it.
    folder: Arc<RunFolder>,
}

impl Session {
    /// Reads the scenarios, finds a runtime, prepares the clients, and plans. No server is started yet.
    ///
    /// # Errors
    /// If one of these is not possible, or nothing matches.
    pub async fn open(options: &Options) -> Result<Self, SessionError> {
        let Options { cells: request, runtime, clients, limits } = options;
        let mut request = request.clone();
        let suite = request.suite()?;
        // Bad globs are reported before anything is searched for.
        request.selection()?;
        let folder = Arc::new(RunFolder::create()?);
        let Chosen { runtime, why } = runtime.find(&request.majors, &folder).await?;
        let majors = request.majors_of(&*runtime)?;
        // So is a request that matches nothing, before clients are built.
        let mut cells = request.cells(&suite, &majors)?;
        let rerun = RerunOptions {
            scenarios: request.scenarios.clone(),
            names_releases: !request.releases.is_empty(),
            release_files: request.release_files.clone(),
            images: options.runtime.images.clone(),
            kong_image: clients.kong_image.clone(),
            client_command: clients.command.clone(),
        };
        let clients = Clients::ready(&request.clients, &clients.options(&folder, true)).await?;
        if let (Some(release), true) = (clients.release(), request.releases.is_empty()) {
            suite.releases.find(&release).map_err(SessionError::ImageRelease)?;
            request.releases = vec![release];
            cells = request.cells(&suite, &majors)?;
        }
        let differences = request.differences(&suite, &majors);
        let pool = Pool::new(runtime, limits.jobs(), roles::statements());
        let runner = Runner::new(pool, &suite, clients, folder.private("kong")?, limits.cell);
        Ok(Self { cells, runner, jobs: limits.jobs(), why, rerun, differences, folder })
    }

    /// Runs cells until they are done or `cancelled` is, with the reporters listening.
    pub async fn run(
        &self,
        cells: Vec<Cell>,
        reporters: &mut [Box<dyn Reporter>],
        cancelled: impl Future<Output = ()>,
    ) -> Report {
        let clock = Instant::now();
        let info = self.info(&cells);
        let order: HashMap<_, _> = cells.iter().enumerate().map(|(place, cell)| (cell.id.clone(), place)).collect();
        let mut results = Vec::new();
        let mut take = |event: Event| {
            for reporter in reporters.iter_mut() {
                reporter.event(&event);
            }
            if let Event::CellFinished(result) = event {
                results.push(*result);
            }
        };
        take(Event::Started(Box::new(info.clone())));
        let (sender, mut events) = unbounded_channel();
        let mut running = std::pin::pin!(self.runner.run(cells, self.jobs, sender));
        let mut cancelled = std::pin::pin!(cancelled);
        let interrupted = loop {
            tokio::select! {
                () = &mut running => break false,
                Some(event) = events.recv() => take(event),
                () = &mut cancelled => break true,
            }
        };
        while let Ok(event) = events.try_recv() {
            take(event);
        }
        if interrupted {
            take(Event::Interrupted);
        }
        results.sort_by_key(|result: &CellResult| order.get(&result.cell.id).copied());
        let stale = self.stale(&results);
        let agreement = agreements(&results);
        Report { info, results, agreement, stale, interrupted, duration: clock.elapsed() }
    }

    /// What is going to be run, and where.
    fn info(&self, cells: &[Cell]) -> RunInfo {
        let runtime = self.runner.pool().runtime();
        let used = |major| cells.iter().any(|cell| cell.major == major);
        let offers = runtime.offers().into_iter().filter(|offer| used(offer.major));
        let releases: IndexSet<_> = cells.iter().map(|cell| cell.profile.to_string()).collect();
        RunInfo {
            planned: cells.len(),
            runtime: runtime.kind(),
            why: self.why.clone(),
            servers: offers.map(|offer| format!("{} ({})", offer.major, offer.source)).collect(),
            releases: releases.into_iter().collect(),
            clients: self.runner.clients().about(),
            rerun: self.rerun.clone(),
            started: SystemTime::now(),
        }
    }

    /// The entries of differences.yaml of which every cell was run, and none confirms the entry.
    fn stale(&self, results: &[CellResult]) -> Vec<Arc<Difference>> {
        let is_stale = |(difference, all): &&(Arc<Difference>, usize)| {
            let about: Vec<_> = results.iter().filter(|result| result.cell.is_covered_by(difference)).collect();
            let confirms = |result: &&CellResult| {
                result.verdict().is_problem()
                    || result.difference.as_ref().is_some_and(|known| known.place == difference.place)
            };
            about.len() == *all && about.iter().any(|result| result.verdict().is_proof()) && !about.iter().any(confirms)
        };
        self.differences.iter().filter(is_stale).map(|(difference, _)| difference.clone()).collect()
    }

    /// What is needed to run one of the cells again.
    #[must_use]
    pub fn rerun(&self) -> &RerunOptions {
        &self.rerun
    }

    /// Stops the servers and the clients, and removes everything.
    pub async fn close(self) {
        self.runner.pool().close().await;
        self.runner.clients().close().await;
        drop(self.runner);
        drop(self.folder);
    }
}

/// The clients to use: those named, and those that are given an image or a command; `kong` if there are none.
#[must_use]
pub fn clients_of(named: &[ClientKind], request: &ClientRequest) -> Vec<ClientKind> {
    let image = request.kong_image.iter().map(|_| ClientKind::KongImage);
    let command = request.command.iter().map(|_| ClientKind::Command);
    let clients: IndexSet<_> = named.iter().copied().chain(image).chain(command).collect();
    if clients.is_empty() { vec![ClientKind::Kong] } else { clients.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(&[], None, None, &[ClientKind::Kong])]
    #[case::named(&[ClientKind::Libpq, ClientKind::Kong], None, None, &[ClientKind::Libpq, ClientKind::Kong])]
    #[case::an_image_alone(&[], Some("kong:3.9"), None, &[ClientKind::KongImage])]
    #[case::a_command_beside_a_named_one(&[ClientKind::Kong], None, Some("./c"), &[ClientKind::Kong, ClientKind::Command])]
    #[case::named_twice(&[ClientKind::Kong, ClientKind::Kong], None, None, &[ClientKind::Kong])]
    #[case::named_and_given(&[ClientKind::Command], None, Some("./c"), &[ClientKind::Command])]
    fn clients_are_those_named_and_those_given(
        #[case] named: &[ClientKind],
        #[case] image: Option<&str>,
        #[case] command: Option<&str>,
        #[case] expected: &[ClientKind],
    ) {
        let request = ClientRequest { kong_image: image.map(str::to_owned), command: command.map(str::to_owned) };
        assert_eq!(clients_of(named, &request), expected);
    }

    #[test]
    fn as_many_servers_as_processors_unless_a_number_is_given() {
        let processors = std::thread::available_parallelism().expect("a number").get();
        assert_eq!(usize::try_from(Limits::default().jobs()), Ok(processors));
        assert_eq!(Limits { jobs: Some(3), ..Limits::default() }.jobs(), 3);
    }

    #[tokio::test]
    async fn a_bad_glob_is_reported_before_a_server_is_looked_for() {
        let cells = CellRequest { globs: vec!["a[".to_owned()], ..CellRequest::default() };
        // No engine has this image, which would be the error.
        let images = vec![(postgres_tls_server::Major(99), "none".to_owned())];
        let runtime = RuntimeRequest { choice: RuntimeChoice::Docker, images };
        let error = Session::open(&Options { cells, runtime, ..Options::default() }).await.err();
        assert!(matches!(error, Some(SessionError::Request(_))), "{error:?}");
    }
}
