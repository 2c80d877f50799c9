//! One step of a cell: both sides are configured, the client connects, and both sides' reports are collected.

use std::time::Duration;

use super::error::CellError;
use super::expand::{Words, describe};
use super::materials;
use super::materials::Located;
use super::runner::Runner;
use crate::client::{self, ClientError, Connection, Established, Task};
use crate::judge::{Attempt, Expected, KnownDeviation};
use crate::plan::Cell;
use crate::proxy::Proxy;
use crate::suite::{Change, Step};
use crate::vocabulary::ClientKind;
use kong_pg_client::conf::KongConf;
use kong_pg_client::{ConnectionRole, Refusal, Settings, SettingsError, Stage, remarks};
use postgres_tls_server::{ApplyMode, Configuration, Observed, Server, Start, TlsProof};

/// A step of a cell.
pub(super) struct StepContext<'a> {
    pub(super) cell: &'a Cell,
    pub(super) step: &'a Step,
    /// Counted from 0.
    pub(super) number: usize,
    /// The server's configuration, with its certificates.
    pub(super) configuration: Configuration,
}

/// Both sides, configured.
pub(super) struct SetUp {
    /// What the server logged when it applied the configuration.
    pub(super) reload: Vec<String>,
    /// What the server logged last, if it did not start.
    pub(super) failed_start: Option<Vec<String>>,
    /// Settings of Kong that are ignored or misread.
    pub(super) remarks: Vec<String>,
    /// How Kong is going to connect, or why it refuses its configuration.
    pub(super) task: Result<Task, SettingsError>,
    /// The folder with Kong's files.
    pub(super) folder: tempfile::TempDir,
}

/// An attempt to connect, as both sides report it.
pub(super) struct ObservedAttempt {
    pub(super) attempt: Attempt,
    /// The certificate the server presented, if the client saw one.
    pub(super) certificate: Option<String>,
    pub(super) server: Observed,
    /// The connection, if it was to be kept open.
    pub(super) connection: Option<Connection>,
}

impl ObservedAttempt {
    fn failed(attempt: Attempt, server: Observed) -> Self {
        Self { attempt, certificate: None, server, connection: None }
    }
}

impl Runner {
    /// Applies both sides' configuration: on the server, and in a folder for Kong.
    pub(super) async fn set_up(&self, context: &StepContext<'_>, server: &mut Server) -> Result<SetUp, CellError> {
        let StepContext { cell, step, configuration, .. } = context;
        if cell.client.connects_once() && (step.open_connection.is_some() || step.change == Change::ReadOnly) {
            let why = "a command that ends keeps no connection open and does not use the read-only one";
            return Err(ClientError::Unsupported(why.into()).into());
        }
        let starts =
            step.change == Change::Restart || configuration.by == ApplyMode::Start && step.change == Change::First;
        let (reload, failed_start) = if starts {
            match server.start(configuration, step.change == Change::Restart).await? {
                Start::Up(log) => (log, None),
                Start::Failed(log) => (log.clone(), Some(log)),
            }
        } else {
            (server.reload(configuration).await?, None)
        };
        let files = materials::kong(&self.authority, &step.situation)?;
        let folder = tempfile::Builder::new().prefix("kong-").tempdir_in(&self.folder);
        let folder = folder.map_err(CellError::io("make a folder for Kong"))?;
        materials::write(&files, folder.path()).map_err(CellError::io("write Kong's files"))?;
        let kong = &step.situation.kong;
        let located = Located { folder: folder.path(), files: &files };
        let conf = materials::configuration(kong, cell.stack, &located);
        let conf_files = materials::conf_files(kong, &located);
        let remarks = remarks(&conf, &cell.profile);
        let (host, port) = server.address();
        let role = if step.change == Change::ReadOnly { ConnectionRole::ReadOnly } else { ConnectionRole::Main };
        let read = |conf| Settings::read(conf, &cell.profile, role, (&host, port), folder.path().to_owned());
        let settings = match read(&conf) {
            // A real Kong says itself what is wrong with its configuration; it needs the address only.
            Err(_) if cell.client == ClientKind::KongImage => read(&KongConf::default()),
            settings => settings,
        };
        let task = settings.map(|mut settings| {
            settings.security_level = kong.security_level.unwrap_or(settings.security_level);
            let container = server.container();
            let (profile, files) = (cell.profile.clone(), conf_files);
            Task { cell: cell.id.clone(), conf, files, settings, profile, stack: cell.stack, container }
        });
        Ok(SetUp { reload, failed_start, remarks, task, folder })
    }

    /// Connects as Kong would, and collects what the server knows about it. `open` are the processes of connections
    /// that stay open.
    pub(super) async fn attempt(
        &self,
        context: &StepContext<'_>,
        set_up: &SetUp,
        server: &mut Server,
        open: &[i32],
        keep_open: bool,
    ) -> Result<ObservedAttempt, CellError> {
        let StepContext { cell, step, .. } = context;
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
        let proxy = self.proxy(step, server).await?;
        if let Some(proxy) = &proxy {
            (task.settings.host, task.settings.port) = proxy.address();
            task.container = None;
        }
        let client = self.clients.get(cell.client)?;
        let limit = Duration::from_millis(task.settings.timeout_ms) + client.patience();
        let mark = server.mark();
        let attempt = if let Ok(attempt) = tokio::time::timeout(limit, client.connect(&task)).await {
            attempt?
        } else {
            // An emulated or real Kong that hangs has reached the server.
            let connections = cell.client.speaks_as_kong().then_some(1);
            client::Attempt { result: Err(Refusal::hung()), connections, certificate: None }
        };
        let certificate = attempt.certificate.as_deref().map(describe);
        let (mut connection, mut proof) = (None, None);
        let established = match attempt.result {
            Ok(Established::Open(connected)) => {
                let found = prove(server, mark, connected.pid, connected.claimed_tls.as_deref()).await?;
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
        let connections = match proxy {
            Some(proxy) => Some(proxy.stop().await),
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
        Ok(ObservedAttempt { attempt, certificate, server, connection })
    }

    async fn proxy(&self, step: &Step, server: &Server) -> Result<Option<Proxy>, CellError> {
        let Some(proxy) = &step.situation.kong.proxy else { return Ok(None) };
        let certificate = proxy.certificate.as_ref().map(|name| self.authority.certificate(&step.situation.tree, name));
        let started = Proxy::start(proxy.does, certificate.transpose()?, server.address()).await;
        started.map(Some).map_err(CellError::io("start a proxy in front of the server"))
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
            let would_be = words.would_be(context.step, &attempt.attempt, &attempt.server.relevant_lines);
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
    mark: usize,
    pid: i32,
    claimed: Option<&str>,
) -> Result<Result<TlsProof, String>, CellError> {
    let proof = if server.has_begun(mark, pid).await? { server.proof(pid).await? } else { None };
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
