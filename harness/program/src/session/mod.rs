//! From a request to cells and servers that can run them, and from a run's events to its report: what the program,
//! `cargo test` and the benchmark have in common.

mod bless;
mod commit;
mod error;
mod images;
mod request;
mod runtime;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use indexmap::IndexSet;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::roles;
use kong_pg_scenarios::suite::Difference;
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::{Offer, Pool, RuntimeKind};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

pub use bless::{BlessError, Blessed, bless, is_open};
pub use error::SessionError;
pub use request::{load_causes, load_releases, load_suite};
pub use runtime::{Chosen, with_advice};

pub use crate::run::{
    CellRequest, ClientRequest, EvidenceOf, EvidenceRequest, Limits, Options, RuntimeChoice, RuntimeRequest,
};

use crate::client::{ClientOptions, Clients};
use crate::leaks::{Leak, left_of_run};
use crate::record::{
    CellRecord, Entry, EvidenceFolder, KnownCertificates, Results, RunEnd, RunEvent, RunRecord, SharedParts,
};
use crate::report::Reporter;
use crate::run::{CellResult, Event, Pace, RunInfo, Runner};
use crate::runfolder::RunFolder;

impl ClientRequest {
    /// With the folder of a run, and whether an image that is missing may be built.
    #[must_use]
    pub fn options(&self, run: &Arc<RunFolder>, may_build: bool) -> ClientOptions {
        let Self { kong_images, pgmoon, openresty_image, command } = self.clone();
        let (run, traces) = (run.clone(), Arc::default());
        ClientOptions { run, traces, kong_images, may_build, pgmoon, openresty_image, command }
    }
}

/// Cells, and what runs them.
pub struct Session {
    /// The cells, in order.
    pub cells: Vec<Cell>,
    /// Runs them.
    pub runner: Arc<Runner>,
    /// Why servers run where they do.
    why: String,
    /// What was asked for.
    options: Options,
    /// The commit of the scenarios.
    commit: Option<String>,
    /// The entries of differences.yaml about cells of this run, and how many cells each is about in a whole run.
    differences: Vec<(Arc<Difference>, usize)>,
    /// What the documents say, by claim.
    claims: BTreeMap<String, String>,
    // The last to be dropped: servers keep their data in it.
    folder: Arc<RunFolder>,
    /// How many cells there are if the run is not a shard.
    planned_unsharded: usize,
    evidence: Option<EvidenceFolder>,
    certificates: Mutex<KnownCertificates>,
    /// How long cells usually take.
    pace: Pace,
}

impl Session {
    /// Reads the scenarios, finds a runtime, prepares the clients, and plans. No server is started yet.
    ///
    /// # Errors
    /// If one of these is not possible, or nothing matches.
    pub async fn open(options: &Options) -> Result<Self, SessionError> {
        let Options { cells: request, runtime, clients, limits, .. } = options;
        let mut request = request.clone();
        let suite = request.suite()?;
        // Bad globs are reported before anything is searched for.
        request.selection()?;
        let copies = !clients.kong_images.is_empty();
        let folder = Arc::new(if copies { RunFolder::create_for_copies() } else { RunFolder::create() }?);
        let Chosen { runtime, why } = runtime.find(&request.majors, &folder).await?;
        let majors = request.majors_of(&*runtime)?;
        // So is a request that matches nothing, before clients are built.
        let mut cells = request.cells(&suite, &majors)?;
        let clients = Clients::ready(&request.clients, &clients.options(&folder, true)).await?;
        let mut options = options.clone();
        if let Some(exact) = clients.releases() {
            let inside = images::releases(&exact, &suite.releases)?;
            if request.releases.is_empty() {
                request.releases = inside.iter().map(|(_, release)| release.clone()).collect();
                cells = request.cells(&suite, &majors)?;
            }
            options.clients.kong_images =
                images::named(options.clients.kong_images, &inside, &cells, &clients.about())?;
        }
        let planned_unsharded = CellRequest { shard: None, ..request.clone() }.cells(&suite, &majors)?.len();
        let differences = request.differences(&suite, &majors);
        let claims = suite.claims.claims().map(|(id, _, claim)| (id.clone(), claim.says.clone())).collect();
        let pool = Pool::new(runtime, limits.jobs(), roles::statements_for(&suite));
        let runner = Runner::new(pool, &suite, clients, &folder, &options)?;
        let commit = commit::commit(request.scenarios.as_deref()).await;
        Ok(Self {
            cells,
            runner,
            why,
            options,
            commit,
            differences,
            claims,
            folder,
            planned_unsharded,
            evidence: None,
            certificates: Mutex::default(),
            pace: Pace::default(),
        })
    }

    /// Keeps the evidence that is asked for beside the results.
    ///
    /// # Errors
    /// If its folder cannot be made, or what an earlier run has left there cannot be removed.
    pub fn keep_evidence(&mut self, results: &Path) -> io::Result<()> {
        self.evidence = EvidenceFolder::new(results, self.options.evidence)?;
        Ok(())
    }

    /// Measures how long cells take against what they usually take.
    pub fn expect_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Why evidence is missing, if some could not be kept.
    #[must_use]
    pub fn missing_evidence(&self) -> Option<String> {
        self.evidence.as_ref().and_then(EvidenceFolder::failure)
    }

    /// What is to be run to continue a run: what failed in it, was not run, or is new; and the results that are kept.
    /// All cells, if there is no run to continue.
    #[must_use]
    pub fn outstanding(&self, before: Option<&Results>) -> (Vec<Cell>, Vec<CellRecord>) {
        let good = before.into_iter().flat_map(|run| &run.cells).filter(|cell| !cell.verdict.is_problem());
        let good: HashMap<_, _> = good.map(|cell| (&*cell.id, cell)).collect();
        let (mut cells, mut kept) = (Vec::new(), Vec::new());
        for cell in &self.cells {
            match good.get(&*cell.id) {
                Some(record) => kept.push(CellRecord { number: cell.number, ..(*record).clone() }),
                None => cells.push(cell.clone()),
            }
        }
        (cells, kept)
    }

    /// Runs cells until they are done or `cancelled` is, with the reporters listening. Results that are kept are
    /// reported with them.
    pub async fn run(
        &self,
        cells: Vec<Cell>,
        kept: Vec<CellRecord>,
        reporters: &mut [Box<dyn Reporter>],
        cancelled: impl Future<Output = ()>,
    ) -> Results {
        let clock = Instant::now();
        let run = RunRecord::new(&self.info(&cells, &kept), self.commit.clone());
        let (mut finished, mut parts) = (Vec::with_capacity(run.planned), SharedParts::default());
        let mut take = |event: RunEvent| {
            let entry = Entry { elapsed_ms: millis(clock.elapsed()), event };
            for reporter in reporters.iter_mut() {
                reporter.event(&entry);
            }
            if let RunEvent::CellFinished(cell) | RunEvent::CellKept(cell) = entry.event {
                finished.push(parts.share(*cell));
            }
        };
        take(RunEvent::RunStarted(Box::new(run.clone())));
        for cell in kept {
            // Evidence stays where it was kept.
            take(RunEvent::CellKept(Box::new(CellRecord { evidence: None, ..cell })));
        }
        let (sender, mut events) = unbounded_channel();
        let (runner, limits, pace) = (self.runner.clone(), self.options.limits.clone(), self.pace.clone());
        let fail_fast = limits.fail_fast;
        // A task of its own: the next cells run while this one records those before.
        let mut running = JoinSet::new();
        running.spawn(async move { runner.run(cells, &limits, &pace, sender).await });
        let mut cancelled = std::pin::pin!(cancelled);
        let end = loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else { break RunEnd::Finished };
                    let event = self.record(event);
                    let failed = matches!(&event, RunEvent::CellFinished(cell) if cell.verdict.is_failure());
                    take(event);
                    if failed && fail_fast {
                        break RunEnd::FailedFast;
                    }
                }
                () = &mut cancelled => break RunEnd::Interrupted,
            }
        };
        running.abort_all();
        if let Some(Err(error)) = running.join_next().await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
        while let Ok(event) = events.try_recv() {
            take(self.record(event));
        }
        take(RunEvent::RunEnded { end });
        Results::new(run, finished, end, millis(clock.elapsed()))
    }

    fn record(&self, event: Event) -> RunEvent {
        match event {
            Event::CellStarted { id } => RunEvent::CellStarted { id },
            Event::CellSlow { id, allowed } => RunEvent::CellSlow { id, limit_ms: millis(allowed.limit) },
            Event::CellFinished(result) => {
                let mut record = self.record_of(&result);
                if let Some(evidence) = &self.evidence {
                    evidence.keep(&result, &mut record);
                }
                RunEvent::CellFinished(Box::new(record))
            }
        }
    }

    /// The record of a result.
    #[must_use]
    pub fn record_of(&self, result: &CellResult) -> CellRecord {
        let about = self.differences.iter().filter(|(difference, _)| result.cell.is_covered_by(difference));
        let about = about.map(|(difference, _)| difference.place.clone()).collect();
        let mut certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        CellRecord::new(result, &self.options, about, &mut certificates)
    }

    /// What is going to be run, and where.
    fn info(&self, cells: &[Cell], kept: &[CellRecord]) -> RunInfo {
        let used = |major| cells.iter().any(|cell| cell.major == major);
        let servers = self.runner.pool().offers().into_iter().filter(|offer| used(offer.major)).collect();
        let releases: IndexSet<_> = cells.iter().map(|cell| cell.profile.to_string()).collect();
        let mut scenarios = BTreeMap::new();
        let planned = cells.iter().map(|cell| format!("{}@pg{}", cell.case.scenario, cell.major));
        let checked: HashSet<_> = cells.iter().flat_map(|cell| &cell.case.claims).collect();
        let checked = checked.into_iter().chain(kept.iter().flat_map(|cell| &cell.claims));
        let claims =
            checked.filter_map(|id| self.claims.get_key_value(id)).map(|(id, says)| (id.clone(), says.clone()));
        for scenario in planned.chain(kept.iter().map(CellRecord::scenario_and_major)) {
            *scenarios.entry(scenario).or_default() += 1;
        }
        RunInfo {
            planned: cells.len() + kept.len(),
            planned_unsharded: self.planned_unsharded,
            scenarios,
            why: self.why.clone(),
            servers,
            releases: releases.into_iter().collect(),
            clients: self.runner.clients().about(),
            options: self.options.clone(),
            differences: self.differences.iter().map(|(known, count)| (known.place.clone(), *count)).collect(),
            claims: claims.collect(),
            started: SystemTime::now(),
        }
    }

    /// Stops the servers and the clients, removes everything, and looks for what is left nevertheless. For a process that
    /// has adopted its descendants and does nothing else.
    pub async fn close_and_look(self) -> Vec<Leak> {
        let folder = self.folder.path().to_owned();
        let in_containers = |offer: &Offer| offer.runtime == RuntimeKind::Docker;
        let has_containers =
            self.runner.pool().offers().iter().any(in_containers) || self.runner.clients().may_be_contained();
        self.close().await;
        left_of_run(&folder, has_containers).await
    }

    /// Stops the servers and the clients, and removes everything.
    pub async fn close(self) {
        self.runner.pool().close().await;
        self.runner.clients().close().await;
        drop(self.runner);
        drop(self.folder);
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The clients to use: those named, and those that are given an image, checkouts or a command; `kong` if there are none.
#[must_use]
pub fn clients_of(named: &[ClientKind], request: &ClientRequest) -> Vec<ClientKind> {
    let image = request.kong_images.iter().map(|_| ClientKind::KongImage);
    let pgmoon = request.pgmoon.iter().map(|_| ClientKind::Pgmoon);
    let command = request.command.iter().map(|_| ClientKind::Command);
    let clients: IndexSet<_> = named.iter().copied().chain(image).chain(pgmoon).chain(command).collect();
    if clients.is_empty() { vec![ClientKind::Kong] } else { clients.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use kong_pg_scenarios::vocabulary::KongImage;
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
        let images = image.into_iter().map(|image| KongImage { release: None, image: image.to_owned() });
        let (kong_images, command) = (images.collect(), command.map(str::to_owned));
        let request = ClientRequest { kong_images, command, ..ClientRequest::default() };
        assert_eq!(clients_of(named, &request), expected);
    }

    #[test]
    fn three_servers_for_each_processor_unless_a_number_is_given() {
        let processors = std::thread::available_parallelism().expect("a number").get();
        assert_eq!(usize::try_from(Limits::default().jobs()), Ok(3 * processors));
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
