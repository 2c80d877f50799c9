//! A server with the configuration of a cell, and the proxy in front of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certificate_trees::Authority;
use kong_pg_client::conf::{KongConf, variable};
use kong_pg_client::{ConnectionRole, Settings, SettingsError};
use postgres_tls_server::{ApplyMode, Lease, LogLine, Pool, ServerFacts, Start};

use super::error::UpError;
use crate::desk::export::{Address, Deployment, conf_of, env_of};
use crate::proxy::Proxy;
use crate::relay::Relay;
use crate::run::materials;
use crate::runfolder::write_private;

/// How long the log is waited for before it is looked at again whether anyone still wants it.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A server that runs. It ends with this value.
pub struct Running {
    /// What it has been configured with.
    pub deployment: Deployment,
    /// Its versions.
    pub facts: ServerFacts,
    /// Where clients reach it, or the proxy in front of it.
    pub address: Address,
    /// What of the configuration is not in force, in the server's words.
    pub reload: Vec<String>,
    /// How Kong connects, or why it stops before that.
    pub settings: Result<Settings, SettingsError>,
    /// The folder with Kong's files.
    pub folder: PathBuf,
    /// How many lines the log had when everything was ready.
    ready: usize,
    lease: Lease,
    _proxy: Option<Proxy>,
    _relay: Option<Relay>,
}

/// How following the log ended.
#[derive(Debug, PartialEq, Eq)]
pub enum LogEnd {
    /// The server has ended.
    Server,
    /// The reader has.
    Reader,
}

impl Running {
    /// Starts a server, applies the configuration, and writes Kong's files to an empty folder. A program between the two
    /// has its own in the folder of the run.
    ///
    /// # Errors
    /// If the server does not start, here or with this configuration.
    pub async fn start(
        pool: &Arc<Pool>,
        deployment: Deployment,
        authority: &Authority,
        run: &Path,
        folder: &Path,
    ) -> Result<Self, UpError> {
        let configuration = &deployment.server;
        let mut lease = pool.lease(deployment.cell.major, configuration).await?;
        let server = lease.server();
        server.can_have(configuration)?;
        let reload = match configuration.by {
            ApplyMode::Reload => server.reload(configuration).await?,
            ApplyMode::Start => match server.start(configuration, false).await? {
                Start::Up(log) => log,
                Start::Failed(log) => return Err(UpError::DoesNotStart(log)),
            },
        };
        let (mut address, facts) = (server.address(), server.facts().clone());
        let situation = deployment.step().map(|step| &step.situation);
        let proxy = match situation.and_then(|situation| Some((situation, situation.kong.proxy.as_ref()?))) {
            None => None,
            Some((situation, proxy)) => {
                let named = proxy.certificate.as_ref().map(|name| authority.certificate(&situation.tree, name));
                let started = Proxy::start(proxy.does, named.transpose()?, address).await;
                let started = started.map_err(UpError::io("start a proxy in front of the server"))?;
                address = started.address();
                Some(started)
            }
        };
        let relay = situation
            .map(|situation| materials::relay(&authority.tree(&situation.tree), situation))
            .transpose()?
            .flatten();
        let relay = match relay {
            None => None,
            Some(configured) => {
                let started = Relay::start(&configured, run, address).await?;
                address = started.address();
                Some(started)
            }
        };
        let address = Address { host: address.0, port: address.1 };
        let kong = folder.join("kong");
        let write = || {
            std::fs::create_dir(&kong)?;
            materials::write(&deployment.files, &kong)?;
            let all = deployment.kong(&kong, Some(&address));
            write_private(&folder.join("kong.conf"), conf_of(&all).as_bytes())?;
            write_private(&folder.join("kong.env"), env_of(&all).as_bytes())
        };
        write().map_err(UpError::io("write Kong's files"))?;
        let conf = deployment
            .kong(&kong, Some(&address))
            .iter()
            .fold(KongConf::default(), |conf, (key, value)| conf.with_variable(&variable(key), value));
        let at = (&*address.host, address.port);
        let settings = Settings::read(&conf, &deployment.cell.profile, ConnectionRole::Main, at, folder.to_owned());
        if let Some(password) = settings.as_ref().ok().and_then(|settings| settings.password.as_ref()) {
            let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
            let line = format!("*:*:*:*:{escaped}\n");
            write_private(&folder.join("pgpass"), line.as_bytes()).map_err(UpError::io("write Kong's files"))?;
        }
        let ready = lease.server().mark();
        let folder = folder.to_owned();
        Ok(Self { facts, address, reload, settings, folder, ready, lease, _proxy: proxy, _relay: relay, deployment })
    }

    /// Gives the server's log to a reader, line by line, as it is written.
    pub async fn follow(&mut self, mut reader: impl FnMut(&str) -> io::Result<()>) -> LogEnd {
        let log = self.lease.server().log().clone();
        let mut mark = self.ready;
        loop {
            let next =
                |lines: &[LogLine], is_open: bool| (!lines.is_empty() || !is_open).then(|| (lines.to_vec(), is_open));
            let Some((lines, is_open)) = log.wait(mark, PATIENCE, next).await else { continue };
            mark += lines.len();
            for line in lines.iter().filter(|line| is_of_interest(line)) {
                if reader(&line.text).is_err() {
                    return LogEnd::Reader;
                }
            }
            if !is_open {
                return LogEnd::Server;
            }
        }
    }

    /// The log since everything was ready.
    pub fn log(&mut self) -> String {
        let lines = self.lease.server().log().since(self.ready);
        lines.iter().filter(|line| is_of_interest(line)).map(|line| format!("{}\n", line.text)).collect()
    }
}

/// Whether a line is the server's own, and not one that this program has switched on to find its way in the log.
fn is_of_interest(line: &LogLine) -> bool {
    !line.text.starts_with("DEBUG:  ")
}
