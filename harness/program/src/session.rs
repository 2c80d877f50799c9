//! From what is asked for to cells and servers that can run them: what the command line, `cargo test` and the
//! benchmarks have in common.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{ClientOptions, ClientUnavailable, Clients};
use crate::judge::Verdict;
use crate::load::Fault;
use crate::plan::{Axes, Cell, Selection, Shard, plan};
use crate::roles;
use crate::run::{CellResult, Runner};
use crate::runfolder::{RunFolder, announce_pull};
use crate::suite::{Difference, Suite};
use crate::vocabulary::ClientKind;
use kong_pg_client::{Profile, Stack};
use postgres_tls_server::Major;
use postgres_tls_server::{Docker, DockerOptions, Local, Pool, Runtime, RuntimeError, RuntimeKind};

/// What is asked for. Nothing named means all there is, or the default.
#[derive(Debug, Clone)]
pub struct Options {
    /// Globs for the ids of the cells.
    pub globs: Vec<String>,
    /// The part of the cells to run.
    pub shard: Option<Shard>,
    /// Where servers run.
    pub runtime: RuntimeChoice,
    /// PostgreSQL majors.
    pub majors: Vec<Major>,
    /// Images of majors.
    pub images: Vec<(Major, String)>,
    /// Kong releases. With none named, a case runs on those that it is about, or else on the newest.
    pub profiles: Vec<Profile>,
    /// Who connects.
    pub clients: Vec<ClientKind>,
    /// The image of `kong-image`.
    pub kong_image: Option<String>,
    /// The program of `command`.
    pub client_command: Option<String>,
    /// Kong's stacks.
    pub stacks: Vec<Stack>,
    /// The folder of the scenarios, instead of the built-in ones.
    pub scenarios: Option<PathBuf>,
    /// How many servers to use at once.
    pub jobs: Option<u32>,
    /// When to give up on a cell.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            globs: Vec::new(),
            shard: None,
            runtime: RuntimeChoice::Auto,
            majors: Vec::new(),
            images: Vec::new(),
            profiles: Vec::new(),
            clients: vec![ClientKind::Kong],
            kong_image: None,
            client_command: None,
            stacks: Stack::ALL.to_vec(),
            scenarios: None,
            jobs: None,
            limit: Duration::from_secs(60),
        }
    }
}

/// Where servers are to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// In containers if an engine answers and an image is to be had, otherwise as local processes.
    Auto,
    /// Only there.
    Only(RuntimeKind),
}

impl FromStr for RuntimeChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = |_| format!("`{text}` is not a runtime; expected auto, docker or local");
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Only).map_err(expected) }
    }
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The scenarios are not as they should be.
    #[error("{} in the scenarios; nothing was run", if .0.len() == 1 { "1 fault".into() } else { format!("{} faults", .0.len()) })]
    Scenarios(Vec<Fault>),
    /// Something asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// No cell is what was asked for.
    #[error("no cell matches {0}; a glob matches a whole id, like 'mtls/*': see `kong-pg-tls list`")]
    NothingMatched(String),
    /// There is nothing to run servers with.
    #[error("{}", with_advice(.0))]
    Runtime(#[from] RuntimeError),
    /// A client that is asked for is not to be had.
    #[error(transparent)]
    Client(#[from] ClientUnavailable),
    /// The run has no folder.
    #[error("no folder for the run: {0}")]
    Folder(#[from] std::io::Error),
}

/// The repositories of images that are used without being named: the official one, and that of ci/postgres-image.
const IMAGES: [&str; 2] = ["postgres", "kong-pg-tls/postgres"];

/// An error of the runtime, with what can be done about it here.
#[must_use]
pub fn with_advice(error: &RuntimeError) -> String {
    let advice = match error {
        RuntimeError::NoRuntime { local, docker } => {
            return format!("{}; and {}", with_advice(local), with_advice(docker));
        }
        RuntimeError::NotInstalled => {
            "install Debian's package postgresql, or set PGBIN to the folder that has initdb and postgres"
        }
        RuntimeError::NoEngine(_) => "start one, or use --runtime local",
        RuntimeError::NoImages => {
            "build one with ci/postgres-image, name one with --image 17=REF, or ask for a major that can be pulled"
        }
        RuntimeError::ImageUnavailable { .. } => "build one with ci/postgres-image, or name another with --image",
        _ => return error.to_string(),
    };
    format!("{error}; {advice}")
}

/// A runtime that can be used, and why it was taken.
pub struct Chosen {
    /// The runtime.
    pub runtime: Arc<dyn Runtime>,
    /// Why this one.
    pub why: String,
}

impl Chosen {
    fn new(runtime: impl Runtime + 'static, why: impl Into<String>) -> Self {
        Self { runtime: Arc::new(runtime), why: why.into() }
    }
}

impl Options {
    /// The suite asked for.
    pub fn suite(&self) -> Result<Suite, SessionError> {
        let loaded = match &self.scenarios {
            Some(folder) => Suite::of_folder(folder),
            None => Suite::built_in(),
        };
        loaded.map_err(SessionError::Scenarios)
    }

    /// The runtime asked for, or the best there is.
    pub async fn runtime(&self, run: &Arc<RunFolder>) -> Result<Chosen, RuntimeError> {
        let docker = Docker::find(self.docker(run));
        let local = || Local::find(run.path());
        Ok(match self.runtime {
            RuntimeChoice::Only(RuntimeKind::Docker) => Chosen::new(docker.await?, "as asked for"),
            RuntimeChoice::Only(RuntimeKind::Local) => Chosen::new(local()?, "as asked for"),
            RuntimeChoice::Auto => match (docker.await, local()) {
                (Ok(docker), _) => Chosen::new(docker, "an engine answers and has an image"),
                (Err(docker), Ok(local)) => Chosen::new(local, format!("since {docker}")),
                (Err(docker), Err(local)) => {
                    return Err(RuntimeError::NoRuntime { local: Box::new(local), docker: Box::new(docker) });
                }
            },
        })
    }

    /// What to look for on a Docker engine.
    #[must_use]
    pub fn docker(&self, run: &RunFolder) -> DockerOptions {
        DockerOptions {
            repositories: IMAGES.map(str::to_owned).into(),
            images: self.images.clone(),
            majors: self.majors.clone(),
            on_pull: announce_pull,
            ..DockerOptions::new(run.label())
        }
    }

    /// The majors to run on: those asked for, which must be there, or all there are.
    fn majors(&self, runtime: &dyn Runtime) -> Result<Vec<Major>, RuntimeError> {
        let offered: Vec<_> = runtime.offers().into_iter().map(|offer| offer.major).collect();
        if self.majors.is_empty() {
            return Ok(offered);
        }
        match self.majors.iter().find(|major| !offered.contains(major)) {
            None => Ok(self.majors.clone()),
            Some(&major) => Err(RuntimeError::MajorUnavailable { major, runtime: runtime.kind(), offered }),
        }
    }

    /// The cells asked for, on these majors.
    pub fn plan(&self, suite: &Suite, majors: Vec<Major>) -> Result<Vec<Cell>, SessionError> {
        let selection =
            Selection::new(&self.globs, self.shard).map_err(|error| SessionError::Usage(error.to_string()))?;
        let axes = Axes {
            majors,
            profiles: self.profiles.iter().cloned().map(Arc::new).collect(),
            clients: self.clients.clone(),
            stacks: self.stacks.clone(),
        };
        let cells = plan(suite, &axes, &selection);
        if cells.is_empty() { Err(SessionError::NothingMatched(self.globs.join(" "))) } else { Ok(cells) }
    }

    /// The differences that are written of the clients, with how many cells each is about on these majors. They are
    /// written for the releases that are run by default.
    fn differences(&self, suite: &Suite, majors: Vec<Major>) -> Vec<(Arc<Difference>, usize)> {
        if !self.profiles.is_empty() {
            return Vec::new();
        }
        let axes = Axes { majors, profiles: Vec::new(), clients: self.clients.clone(), stacks: Stack::ALL.to_vec() };
        let all = plan(suite, &axes, &Selection::default());
        let about = |difference: &Arc<Difference>| all.iter().filter(|cell| cell.is_covered_by(difference)).count();
        suite.differences.iter().map(|difference| (difference.clone(), about(difference))).collect()
    }

    /// What the clients need.
    #[must_use]
    pub fn needs(&self, run: &Arc<RunFolder>) -> ClientOptions {
        let (kong_image, command) = (self.kong_image.clone(), self.client_command.clone());
        ClientOptions { run: run.clone(), kong_image, may_build: true, command }
    }

    /// How many servers to use at once: as many as there are processors, unless something else is asked for.
    #[must_use]
    pub fn jobs(&self) -> u32 {
        let processors = || std::thread::available_parallelism().map(|count| u32::try_from(count.get()).unwrap_or(2));
        self.jobs.unwrap_or_else(|| processors().unwrap_or(2))
    }
}

/// Cells, and what runs them.
pub struct Session {
    /// The cells, in order.
    pub cells: Vec<Cell>,
    /// Runs them.
    pub runner: Arc<Runner>,
    /// Why servers run where they do.
    pub why: String,
    /// The differences that are about cells of this run, and how many cells there would be if all were run.
    differences: Vec<(Arc<Difference>, usize)>,
    // The last to go: servers have their data in it.
    folder: Arc<RunFolder>,
}

impl Session {
    /// Reads the scenarios, plans, and finds a runtime. No server is started yet.
    pub async fn open(options: &Options) -> Result<Self, SessionError> {
        let suite = options.suite()?;
        // What is wrong with the globs is told before anything is looked for.
        Selection::new(&options.globs, options.shard).map_err(|error| SessionError::Usage(error.to_string()))?;
        let folder = Arc::new(RunFolder::create()?);
        let Chosen { runtime, why } = options.runtime(&folder).await?;
        let majors = options.majors(&*runtime)?;
        let cells = options.plan(&suite, majors.clone())?;
        let differences = options.differences(&suite, majors);
        let pool = Pool::new(runtime, options.jobs(), roles::statements());
        let clients = Clients::ready(&options.clients, &options.needs(&folder)).await?;
        let runner = Runner::new(pool, &suite, clients, folder.private("kong")?, options.limit);
        Ok(Self { cells, runner, why, differences, folder })
    }

    /// The differences of which every cell was run, and none differs.
    #[must_use]
    pub fn stale(&self, results: &[CellResult]) -> Vec<Arc<Difference>> {
        let is_stale = |(difference, all): &&(Arc<Difference>, usize)| {
            let about: Vec<_> = results.iter().filter(|result| result.cell.is_covered_by(difference)).collect();
            let is_judged = |result: &&&CellResult| matches!(result.verdict, Verdict::Pass | Verdict::KnownDeviation);
            let shows = |result: &&CellResult| {
                result.verdict == Verdict::Fail
                    || result.difference.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, difference))
            };
            about.len() == *all && about.iter().any(|result| is_judged(&result)) && !about.iter().any(shows)
        };
        self.differences.iter().filter(is_stale).map(|(difference, _)| difference.clone()).collect()
    }

    /// Stops the servers, and removes everything.
    pub async fn close(self) {
        self.runner.pool().close().await;
        self.runner.clients().close().await;
        drop(self.runner);
        drop(self.folder);
    }
}
