//! A step of a cell: both sides put in their places, an attempt, and what both sides say of it.

use std::time::Duration;

use super::cell::{Place, Stop};
use super::expand::{Words, describe};
use super::materials::Located;
use super::{Runner, materials};
use crate::client::{Attempt, Connection, Established, Task};
use crate::judge::{Connected, Expectation, KnownDeviation};
use crate::plan::Cell;
use crate::proxy::Proxy;
use kong_pg_client::Stage;
use postgres_tls_server::ApplyMode;

use crate::scenario::{Change, Step};
use kong_pg_client::{ConnectionRole, Refusal, Settings, remarks};
use postgres_tls_server::{Configuration, Observed, Server, Start, TlsProof};

/// Both sides in their places.
pub(super) struct SetUp {
    /// What the server said of the change.
    pub(super) said: Vec<String>,
    /// What the server said at its end, if it did not start.
    pub(super) failed_start: Option<Vec<String>>,
    /// What there is to say of Kong's configuration.
    pub(super) remarks: Vec<String>,
    /// How Kong is going to connect, or why it stops before.
    pub(super) task: Result<Task, String>,
    /// Kong's files.
    pub(super) folder: tempfile::TempDir,
}

/// What came of an attempt.
pub(super) struct Attempted {
    pub(super) outcome: Result<Connected, Refusal>,
    pub(super) certificate: Option<String>,
    pub(super) server: Observed,
    /// The connection, if it was to be kept open.
    pub(super) connection: Option<Connection>,
}

impl Runner {
    /// Puts both sides' configuration in its place, on the server and in a folder for Kong.
    pub(super) async fn set_up(
        &self,
        cell: &Cell,
        step: &Step,
        configuration: &Configuration,
        server: &mut Server,
    ) -> Result<SetUp, Stop> {
        let starts =
            step.change == Change::Restart || configuration.by == ApplyMode::Start && step.change == Change::First;
        let (said, failed_start) = if starts {
            match server.start(configuration, step.change == Change::Restart).await? {
                Start::Up(said) => (said, None),
                Start::Failed(said) => (said.clone(), Some(said)),
            }
        } else {
            (server.reload(configuration).await?, None)
        };
        let files = materials::kong(&self.forge, &step.situation)?;
        let folder = tempfile::Builder::new().prefix("kong-").tempdir_in(&self.folder);
        let folder = folder.map_err(|error| Stop::environment("make a folder for Kong", error))?;
        materials::write(&files, folder.path()).map_err(|error| Stop::environment("write Kong's files", error))?;
        let kong = &step.situation.kong;
        let located = Located { folder: folder.path(), files: &files };
        let conf = materials::configuration(kong, cell.stack, &located);
        let remarks = remarks(&conf, &cell.profile);
        let (host, port) = server.address();
        let which = if step.change == Change::ReadOnly { ConnectionRole::ReadOnly } else { ConnectionRole::Main };
        let settings = Settings::read(&conf, &cell.profile, which, (&host, port), folder.path().to_owned());
        let settings = settings.map_err(|error| error.to_string());
        let task = settings.map(|mut settings| {
            settings.security_level = kong.security_level.unwrap_or(settings.security_level);
            let container = server.container();
            Task { cell: cell.id.clone(), conf, settings, profile: cell.profile.clone(), stack: cell.stack, container }
        });
        Ok(SetUp { said, failed_start, remarks, task, folder })
    }

    /// Connects as Kong would, and asks the server what it knows of that. `open` are the processes of connections that
    /// stay open.
    pub(super) async fn attempt(
        &self,
        cell: &Cell,
        step: &Step,
        set_up: &SetUp,
        server: &mut Server,
        open: &[i32],
        keep: bool,
    ) -> Result<Attempted, Stop> {
        let refused =
            |refusal, server| Attempted { outcome: Err(refusal), certificate: None, server, connection: None };
        let mut task = match &set_up.task {
            Ok(task) => task.clone(),
            Err(text) if cell.client.speaks_as_kong() => {
                return Ok(refused(Refusal::raised(Stage::Configure, text), Observed::default()));
            }
            Err(_) => return Err(Stop::Unsupported("Kong stops at its configuration, before anybody connects".into())),
        };
        let proxy = self.proxy(step, server).await?;
        if let Some(proxy) = &proxy {
            (task.settings.host, task.settings.port) = proxy.address();
            task.container = None;
        }
        let client = self.clients.get(cell.client)?;
        let patience = Duration::from_millis(task.settings.timeout_ms) + client.patience();
        let mark = server.mark();
        let attempt = if let Ok(attempt) = tokio::time::timeout(patience, client.connect(&task)).await {
            attempt?
        } else {
            // Where Kong hangs, it has reached the server.
            let connections = cell.client.speaks_as_kong().then_some(1);
            Attempt { result: Err(Refusal::hung()), connections, certificate: None }
        };
        let certificate = attempt.certificate.as_deref().map(describe);
        let (mut connection, mut proved) = (None, None);
        let established = match attempt.result {
            Ok(Established::Open(connected)) => {
                proved = Some(proof(server, mark, connected.pid, connected.claimed_tls.as_deref()).await?);
                if keep {
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
            Some(said) => Observed { log: said.clone(), relevant_lines: said.clone(), host: None },
            None => observed(server, mark, connections, &open).await?,
        };
        let outcome = match established {
            Ok(()) => {
                let nobody =
                    || Stop::Misbehaves("the client says that it connected, and the server let nobody in".into());
                Ok(Connected { proof: proved.or_else(|| server.authorized()).ok_or_else(nobody)? })
            }
            Err(refusal) => Err(refusal),
        };
        Ok(Attempted { outcome, certificate, server, connection })
    }

    async fn proxy(&self, step: &Step, server: &Server) -> Result<Option<Proxy>, Stop> {
        let Some(proxy) = &step.situation.kong.proxy else { return Ok(None) };
        let certificate = proxy.with.as_ref().map(|name| self.forge.certificate(&step.situation.tree, name));
        let started = Proxy::start(proxy.does, certificate.transpose()?, server.address()).await;
        started.map(Some).map_err(|error| Stop::environment("listen in front of the server", error))
    }

    /// What must happen in a step, in the words of the cell.
    pub(super) fn expectation(
        &self,
        place: &Place<'_>,
        server: &Server,
        set_up: &SetUp,
        attempted: Option<&Attempted>,
    ) -> Result<(Expectation, Vec<KnownDeviation>), Stop> {
        let words = Words {
            cell: place.cell,
            facts: server.facts(),
            tree: &place.step.situation.tree,
            host: attempted.and_then(|attempted| attempted.server.host.as_deref()),
            data_directory: &server.data_directory(),
            kong: set_up.folder.path(),
        };
        let expanded = self.expand(place.step, &words);
        let known = self.known_deviations(&words);
        expanded.and_then(|expected| Ok((expected, known?))).map_err(Stop::Environment)
    }
}

/// The server's word for what a client says it has.
async fn proof(server: &Server, mark: usize, pid: i32, claimed: Option<&str>) -> Result<TlsProof, Stop> {
    let known = if server.has_begun(mark, pid).await { server.proof(pid).await? } else { None };
    let lie =
        || Stop::Misbehaves(format!("the client says that process {pid} serves it, and the server has none for it"));
    let proof = known.ok_or_else(lie)?;
    let shown = proof.version.as_deref().unwrap_or("off");
    match claimed.filter(|claimed| *claimed != shown) {
        None => Ok(proof),
        Some(claimed) => {
            let lie = format!("the client says that it speaks TLS {claimed}, and pg_stat_ssl shows {shown}");
            Err(Stop::Misbehaves(lie))
        }
    }
}

/// What the server has logged of an attempt. Where nobody tells whether there was a connection at all, the server has a
/// moment to do so.
async fn observed(server: &Server, mark: usize, connections: Option<usize>, open: &[i32]) -> Result<Observed, Stop> {
    if let Some(connections) = connections {
        return Ok(server.observed(mark, connections, open).await?);
    }
    match tokio::time::timeout(MOMENT, server.observed(mark, 1, open)).await {
        Ok(observed) => Ok(observed?),
        Err(_) => Ok(server.observed(mark, 0, open).await?),
    }
}

/// How much later than the client the server may tell of a connection.
const MOMENT: Duration = Duration::from_secs(1);
