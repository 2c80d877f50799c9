//! One step of a cell: both sides are configured, the client connects, and both sides' reports are collected.

use std::time::Duration;

use kong_pg_client::conf::KongConf;
use kong_pg_client::{
    ConnectionRole, Refusal, Settings, SettingsError, Stack, Stage, Trusted, TrustedEntry, combine, remarks,
};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{Change, Step};
use kong_pg_scenarios::vocabulary::{ClientKind, RelayProgram};
use postgres_tls_server::{ApplyMode, Observed, Server, Start, TlsProof};

use super::error::CellError;
use super::expand::{Words, describe};
use super::materials;
use super::materials::{Located, Made};
use super::notes::Notebook;
use super::runner::Runner;
use crate::client::{self, ClientError, Connection, Established, Task};
use crate::judge::{Attempt, Expected, KnownDeviation};
use crate::proxy::Proxy;
use crate::relay::Relay;

/// A step of a cell.
pub(super) struct StepContext<'a> {
    pub(super) cell: &'a Cell,
    pub(super) step: &'a Step,
    /// Counted from 0.
    pub(super) number: usize,
    /// What was made for it.
    pub(super) made: Made,
    /// Whether a later step needs Kong to run on.
    pub(super) kong_runs_on: bool,
    /// Where notes about the cell are taken.
    pub(super) notebook: &'a Notebook,
}

/// What a step leaves to the next ones.
#[derive(Default)]
pub(super) struct Kept {
    /// A connection that stays open.
    pub(super) connection: Option<Connection>,
    /// A Kong that runs on, where a later step needs one.
    pub(super) kong: Option<RunningKong>,
}

/// A Kong that runs on: it has read its settings and trusted certificates, and the folder with its files is still there.
pub(super) struct RunningKong {
    task: Task,
    folder: tempfile::TempDir,
    /// The names of its files.
    files: Vec<String>,
}

impl RunningKong {
    /// The Kong that has started in a step, unless it has not.
    pub(super) fn of(set_up: SetUp) -> Result<Option<Self>, CellError> {
        let SetUp { task: Ok(mut task), folder, files, .. } = set_up else { return Ok(None) };
        if let Ok(Some(file)) = combine(&task.settings) {
            let read = std::fs::read(file).map_err(CellError::io("read Kong's trusted certificates"))?;
            task.settings.trusted = Trusted::Combined(vec![TrustedEntry::Certificate(read)]);
        }
        Ok(Some(Self { task, folder, files }))
    }
}

/// Both sides, configured.
pub(super) struct SetUp {
    /// What the server logged when it was started with the configuration.
    pub(super) start: Vec<String>,
    /// What the server logged last, if it did not start.
    pub(super) failed_start: Option<Vec<String>>,
    /// How Kong is going to connect, or why it refuses its configuration.
    pub(super) task: Result<Task, SettingsError>,
    /// The folder with Kong's files.
    pub(super) folder: tempfile::TempDir,
    /// Their names.
    files: Vec<String>,
}

/// An attempt to connect, as both sides report it.
pub(super) struct ObservedAttempt {
    pub(super) attempt: Attempt,
    /// The certificate the server presented, if the client saw one.
    pub(super) certificate: Option<String>,
    pub(super) server: Observed,
    /// What the program between the two logged.
    pub(super) relay_log: Vec<String>,
    /// The connection, if it was to be kept open.
    pub(super) connection: Option<Connection>,
}

/// What is between Kong and the server.
enum Between {
    Proxy(Proxy),
    Relay(Box<Relay>),
}

impl Between {
    /// The host and port that Kong connects to.
    fn address(&self) -> (String, u16) {
        match self {
            Self::Proxy(proxy) => proxy.address(),
            Self::Relay(relay) => relay.address(),
        }
    }
}

impl ObservedAttempt {
    fn failed(attempt: Attempt, server: Observed) -> Self {
        Self { attempt, certificate: None, server, relay_log: Vec::new(), connection: None }
    }
}

impl Runner {
    /// Applies both sides' configuration: on the server, and in a folder for Kong.
    pub(super) async fn set_up(
        &self,
        context: &StepContext<'_>,
        server: &mut Server,
        running: Option<RunningKong>,
    ) -> Result<SetUp, CellError> {
        let StepContext { cell, step, made, notebook, .. } = context;
        let Made { configuration, kong: files, .. } = made;
        let outlives = step.open_connection.is_some() || step.change == Change::RunningKong;
        if cell.client.connects_once() && (outlives || step.change.is_of_read_only_connection()) {
            let why = "a command that ends keeps no connection open and does not use the read-only one";
            return Err(ClientError::Unsupported(why.into()).into());
        }
        if step.change == Change::RunningKong {
            return self.set_up_beside(context, server, running).await;
        }
        let starts =
            step.change == Change::Restart || configuration.by == ApplyMode::Start && step.change == Change::First;
        let (start, failed_start) = if starts {
            match server.start(configuration, step.change == Change::Restart).await? {
                Start::Up(log) => (log, None),
                Start::Failed(log) => (log.clone(), Some(log)),
            }
        } else {
            if step.change != Change::FromPool {
                server.begin_reload(configuration).await?;
            }
            (Vec::new(), None)
        };
        let folder = tempfile::Builder::new().prefix("kong-").tempdir_in(&self.folder);
        let folder = folder.map_err(CellError::io("make a folder for Kong"))?;
        materials::write(files, folder.path()).map_err(CellError::io("write Kong's files"))?;
        let kong = &step.situation.kong;
        let located = Located { folder: folder.path(), files };
        let conf = materials::configuration(kong, cell.stack, &located);
        let conf_files = materials::conf_files(kong, &located);
        notebook.note(|notes| notes.remarks = remarks(&conf, &cell.profile));
        let (host, port) = server.address();
        let is_read_only = step.change.is_of_read_only_connection();
        let role = if is_read_only { ConnectionRole::ReadOnly } else { ConnectionRole::Main };
        let read = |conf| Settings::read(conf, &cell.profile, role, (&host, port), folder.path().to_owned());
        let settings = match read(&conf) {
            // A real Kong says itself what is wrong with its configuration; it needs the address only.
            Err(_) if cell.client == ClientKind::KongImage => read(&KongConf::default()),
            settings => settings,
        };
        let task = settings.map(|mut settings| {
            settings.security_level = kong.security_level.unwrap_or(settings.security_level);
            let container = server.container();
            let (profile, files, stack, pools) = (cell.profile.clone(), conf_files, cell.stack, cell.case.uses_pool());
            Task { cell: cell.id.clone(), conf, files, settings, profile, stack, container, pools, tap: None }
        });
        let files = files.keys().cloned().collect();
        Ok(SetUp { start, failed_start, task, folder, files })
    }

    /// Applies a configuration beside a Kong that runs on.
    async fn set_up_beside(
        &self,
        context: &StepContext<'_>,
        server: &mut Server,
        running: Option<RunningKong>,
    ) -> Result<SetUp, CellError> {
        let StepContext { cell, made: Made { configuration, kong: files, .. }, .. } = context;
        if cell.stack == Stack::Luasec {
            return Err(CellError::Unsupported("Kong connects through LuaSec only while it starts".into()));
        }
        let RunningKong { task, folder, files: before } = running.ok_or(CellError::NoExpectation)?;
        server.begin_reload(configuration).await?;
        materials::replace(&before, files, folder.path()).map_err(CellError::io("write Kong's files"))?;
        let files = files.keys().cloned().collect();
        Ok(SetUp { start: Vec::new(), failed_start: None, task: Ok(task), folder, files })
    }

    /// Connects as Kong would, and collects what the server knows about it. `open` are the processes of connections
    /// that stay open; `pooled` is one that Kong puts into its pool before.
    pub(super) async fn attempt(
        &self,
        context: &StepContext<'_>,
        set_up: &SetUp,
        server: &mut Server,
        open: &[i32],
        pooled: Option<Connection>,
        keep_open: bool,
    ) -> Result<ObservedAttempt, CellError> {
        let StepContext { cell, notebook, .. } = context;
        let mut task = match &set_up.task {
            Ok(task) => task.clone(),
            Err(error) if cell.client.speaks_as_kong() => {
                let refusal = Refusal::raised(Stage::Configure, &error.to_string());
                return Ok(ObservedAttempt::failed(refusal.into(), Observed::default()));
            }
            Err(_) => {
                let why = "Kong refuses its configuration, and other clients do not read it";
                return Err(CellError::Unsupported(why.into()));
            }
        };
        let between = self.between(context, server).await?;
        if let Some(between) = &between {
            (task.settings.host, task.settings.port) = between.address();
            task.container = None;
        }
        task.tap = notebook.tap();
        let client = self.clients.get(cell.client)?;
        let limit = Duration::from_millis(task.settings.timeout_ms) + client.patience();
        let mark = server.mark();
        let pooled_pid = pooled.as_ref().map(|connection| connection.pid);
        let connecting = match pooled {
            Some(connection) => connection.open.connect_from_pool(&task),
            None => client.connect(&task),
        };
        let mut attempt = if let Ok(attempt) = tokio::time::timeout(limit, connecting).await {
            attempt?
        } else {
            // An emulated or real Kong that hangs has reached the server.
            let connections = cell.client.speaks_as_kong().then_some(1);
            client::Attempt::hung(connections)
        };
        if let (Err(refusal), Some(Between::Relay(relay))) = (&mut attempt.result, &between) {
            refusal.text = relay.without_names(std::mem::take(&mut refusal.text));
        }
        let certificate = attempt.certificate.as_deref().map(describe);
        let (mut connection, mut proof) = (None, None);
        let program = context.made.relay.as_ref().map(|relay| relay.program);
        let established = match attempt.result {
            // The process number is the program's own; the server's log says what it has let in.
            Ok(Established::Open(connected)) if program.is_some_and(RelayProgram::logs_in) => {
                connected.open.close().await;
                Ok(())
            }
            Ok(Established::Open(connected)) => {
                let is_reused = pooled_pid == Some(connected.pid);
                let has_begun = is_reused || server.has_begun(mark, connected.pid).await?;
                // The client's TLS may be another session than the server's.
                let is_one_session = program.is_none_or(RelayProgram::hands_on);
                let claimed = connected.claimed_tls.as_deref().filter(|_| is_one_session);
                let found = prove(server, has_begun, connected.pid, claimed).await?;
                let is_confirmed = found.is_ok();
                proof = Some(found);
                if keep_open && is_confirmed {
                    connection = Some(connected);
                } else {
                    connected.open.close().await;
                }
                Ok(())
            }
            Ok(Established::Over) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        let mut relay_log = Vec::new();
        let connections = match between {
            Some(Between::Proxy(proxy)) => Some(proxy.stop().await),
            // Whether it has connected, the server knows.
            Some(Between::Relay(relay)) => {
                relay_log = relay.stop(attempt.connections.unwrap_or(1)).await?;
                None
            }
            None => attempt.connections,
        };
        let open: Vec<_> = connection.iter().map(|connection| connection.pid).chain(open.iter().copied()).collect();
        let server = match &set_up.failed_start {
            Some(log) => Observed { log: log.clone(), relevant_lines: log.clone(), ..Observed::default() },
            // A client that does not say whether it has connected may have; the server knows.
            None => server.observed(mark, connections.unwrap_or(1), &open).await?,
        };
        let attempt = match established {
            Ok(()) => {
                let authorized = || {
                    let claim = "the client reports a connection, but the server authorized none";
                    server.authorized().ok_or_else(|| claim.to_owned())
                };
                match proof.unwrap_or_else(authorized) {
                    Ok(proof) => Attempt::Connected(proof.into()),
                    Err(claim) => Attempt::Unconfirmed { claim },
                }
            }
            Err(refusal) => refusal.into(),
        };
        Ok(ObservedAttempt { attempt, certificate, server, relay_log, connection })
    }

    async fn between(&self, context: &StepContext<'_>, server: &Server) -> Result<Option<Between>, CellError> {
        if let Some(relay) = &context.made.relay {
            let relay = Relay::start(relay, &self.run_folder, server.address()).await?;
            self.clients.traces().uses(&context.cell.id, relay.traced());
            return Ok(Some(Between::Relay(Box::new(relay))));
        }
        let Some(proxy) = &context.step.situation.kong.proxy else { return Ok(None) };
        let started = Proxy::start(proxy.does, context.made.proxy.clone(), server.address()).await;
        let started = started.map(|proxy| Some(Between::Proxy(proxy)));
        started.map_err(CellError::io("start a proxy in front of the server"))
    }

    /// What must happen in a step, with every placeholder resolved for the cell, and what is known of the documents.
    pub(super) fn expected(
        &self,
        context: &StepContext<'_>,
        server: &Server,
        set_up: &SetUp,
        attempt: Option<&ObservedAttempt>,
    ) -> (Expected, Vec<KnownDeviation>) {
        let words = Words {
            texts: &self.texts,
            authority: &self.authority,
            cell: context.cell,
            facts: server.facts(),
            tree: &context.step.situation.tree,
            host: attempt.and_then(|attempt| attempt.server.host.as_deref()),
            data_directory: &server.data_directory(),
            kong: set_up.folder.path(),
        };
        if let (Some(_), Some(attempt)) = (&context.step.blank, attempt) {
            let would_be =
                words.would_be(context.step, &attempt.attempt, &attempt.server.relevant_lines, &attempt.relay_log);
            return (Expected::Open { would_be }, Vec::new());
        }
        let expanded = words.expand(context.step);
        match expanded.and_then(|expected| Ok((expected, words.known_deviations()?))) {
            Ok((expected, known)) => (Expected::Known(expected), known),
            // The load checks every placeholder, so what is left is a version that no text is recorded for.
            Err(error) => {
                let templates = words.templates(context.step).map(Box::new);
                (Expected::Unknown { missing_text: error.to_string(), templates }, Vec::new())
            }
        }
    }
}

/// The server's proof of the connection that a client reports, or how the two contradict each other.
async fn prove(
    server: &Server,
    has_begun: bool,
    pid: i32,
    claimed: Option<&str>,
) -> Result<Result<TlsProof, String>, CellError> {
    let proof = if has_begun { server.proof(pid).await? } else { None };
    let Some(proof) = proof else {
        let claim = format!("the client reports that process {pid} serves it, but the server has no such connection");
        return Ok(Err(claim));
    };
    let shown = proof.version.as_deref().unwrap_or("off");
    Ok(match claimed.filter(|claimed| *claimed != shown) {
        None => Ok(proof),
        Some(claimed) => Err(format!("the client reports {claimed}, but pg_stat_ssl shows {shown}")),
    })
}
