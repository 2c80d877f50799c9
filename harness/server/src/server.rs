//! One server: started or reloaded with a configuration, with proof that it is in force, and observed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_postgres::Client;

use super::closed_port::ClosedPort;
use super::config::{Configuration, File, Surroundings};
use super::control::{self, TlsProof};
use super::log::{self, LogBook, LogLine};
use super::runtime::{Host, RuntimeError};
use crate::Major;

/// How long a server may take to start or to end a session.
const LIMIT: Duration = Duration::from_secs(30);

/// How much later than it happens something may be in the log.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// What a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its major version.
    pub major: Major,
    /// Its full version.
    pub version: String,
    /// The OpenSSL it is linked with, in full.
    pub openssl: Option<String>,
}

/// How a start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The server accepts connections, having said this.
    Up(Vec<String>),
    /// The server ended, saying this.
    Failed(Vec<String>),
}

/// What the server saw of an attempt to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// All its lines, verbatim.
    pub log: Vec<String>,
    /// The lines that are not the same for every connection.
    pub relevant_lines: Vec<String>,
    /// The address the attempt came from, as the server names it.
    pub host: Option<String>,
}

impl Observed {
    /// What the first connection was that the server let in, by its own log.
    #[must_use]
    pub fn authorized(&self) -> Option<TlsProof> {
        self.log.iter().find_map(|line| log::authorized(line))
    }
}

/// A start that failed, until the next.
struct FailedStart {
    configuration: Configuration,
    said: Vec<String>,
    /// Where nobody answers: the server's own port may be another's by now, or an engine's that takes connections for it.
    closed: ClosedPort,
}

/// A server and the harness' session with it.
pub struct Server {
    host: Box<dyn Host>,
    control: Option<Client>,
    log: LogBook,
    generation: u64,
    facts: ServerFacts,
    in_force: Option<Configuration>,
    /// How it did not start last.
    failed: Option<FailedStart>,
    installed: Vec<String>,
}

impl Server {
    /// Brings a server up for the first time, and runs the statements that prepare it.
    pub(super) async fn first_start(
        host: Box<dyn Host>,
        major: Major,
        prepare: &[String],
    ) -> Result<Self, RuntimeError> {
        let facts = ServerFacts { major, version: String::new(), openssl: None };
        let mut server = Self {
            log: host.log().clone(),
            host,
            control: None,
            generation: 0,
            facts,
            in_force: None,
            failed: None,
            installed: Vec::new(),
        };
        match server.start(&Configuration::default(), true).await? {
            Start::Up(_) => {}
            Start::Failed(said) => return Err(RuntimeError::failed("start PostgreSQL", said.join(" / "))),
        }
        let control = server.control()?;
        control::prepare(control, prepare).await?;
        let (version, openssl) = (control::version(control).await?, control::openssl(control).await?);
        server.facts = ServerFacts { major, version, openssl };
        Ok(server)
    }

    /// What it is.
    #[must_use]
    pub fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Whether nothing needs to be done for a configuration: it is in force, as a whole, or is known to be one that the
    /// server does not start with.
    #[must_use]
    pub fn has(&self, configuration: &Configuration) -> bool {
        let failed = self.failed.as_ref().is_some_and(|failed| failed.configuration == *configuration);
        failed || self.is_up() && self.in_force.as_ref() == Some(configuration)
    }

    /// Where a client finds it.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        match &self.failed {
            Some(failed) => (Ipv4Addr::LOCALHOST.to_string(), failed.closed.number),
            None => self.host.address(),
        }
    }

    /// The data directory as it names it.
    #[must_use]
    pub fn data_directory(&self) -> String {
        self.host.data_directory()
    }

    /// The container that it is in, if it is in one.
    #[must_use]
    pub fn container(&self) -> Option<String> {
        self.host.container()
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.control.as_ref().is_some_and(|control| !control.is_closed())
    }

    /// Whether the owners of a configuration's files can be had here.
    pub fn can_have(&self, configuration: &Configuration) -> Result<(), String> {
        let owners = configuration.files.values().flat_map(|file| [file.owner, file.group]);
        owners.filter(|owner| owner.number().is_some()).try_for_each(|owner| self.host.can_own(owner))
    }

    fn control(&self) -> Result<&Client, RuntimeError> {
        self.control.as_ref().ok_or_else(|| RuntimeError::failed("ask the server", "it does not run"))
    }

    async fn install(&mut self, configuration: &Configuration) -> Result<(), RuntimeError> {
        self.generation += 1;
        let conf = self.host.conf();
        let hba = self.host.hba();
        let around = Surroundings { conf: &conf, hba: &hba, generation: self.generation };
        let files: BTreeMap<String, File> = configuration.rendered(&around);
        self.host.install(&files, &self.installed).await?;
        self.installed = files.into_keys().collect();
        Ok(())
    }

    /// Starts it with a configuration, unless it runs with it already, or is known not to. `again` starts it anyway.
    pub async fn start(&mut self, configuration: &Configuration, again: bool) -> Result<Start, RuntimeError> {
        match &self.failed {
            _ if again => {}
            Some(failed) if failed.configuration == *configuration => return Ok(Start::Failed(failed.said.clone())),
            _ if self.has(configuration) => return Ok(Start::Up(Vec::new())),
            _ => {}
        }
        self.stop().await?;
        (self.in_force, self.failed) = (None, None);
        self.install(configuration).await?;
        let mark = self.host.start().await?;
        let ready = |lines: &[LogLine], open: bool| {
            let is_up = lines.iter().any(|line| line.text.ends_with("database system is ready to accept connections"));
            if is_up { Some(true) } else { (!open).then_some(false) }
        };
        let up = self.log.wait(mark, LIMIT, ready).await;
        if up.ok_or_else(|| RuntimeError::timeout("wait for PostgreSQL to start", LIMIT))? {
            let control = self.host.control().await?;
            self.await_begin(mark, &control).await?;
            self.control = Some(control);
            self.in_force = Some(configuration.clone());
            return Ok(Start::Up(relevant_lines(&self.log.since(mark))));
        }
        let said = relevant_lines(&self.log.since(mark));
        let closed = ClosedPort::take();
        let closed = closed.map_err(|error| RuntimeError::failed("find a port where nobody answers", error))?;
        self.failed = Some(FailedStart { configuration: configuration.clone(), said: said.clone(), closed });
        Ok(Start::Failed(said))
    }

    /// Puts a configuration in force without a restart, unless it is already. Returns what the server says about it, besides that it does.
    pub async fn reload(&mut self, configuration: &Configuration) -> Result<Vec<String>, RuntimeError> {
        if self.has(configuration) {
            return Ok(Vec::new());
        }
        let mark = self.log.mark();
        self.install(configuration).await?;
        control::reload(self.control()?, self.generation).await?;
        // The postmaster may still be at pg_hba.conf and the certificates. It is done when it takes a connection.
        let probe = TcpStream::connect(self.address()).await;
        drop(probe.map_err(|error| RuntimeError::failed("reach the server", error))?);
        self.await_end(mark, 1, &[]).await?;
        let said = relevant_lines(&self.log.since(mark));
        self.in_force = said.is_empty().then(|| configuration.clone());
        Ok(said)
    }

    /// Where the log is now.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.log.mark()
    }

    /// What the server knows of the connection that one of its processes serves.
    pub async fn proof(&self, pid: i32) -> Result<Option<TlsProof>, RuntimeError> {
        control::proof(self.control()?, pid).await
    }

    /// Whether a process was started for a connection since the mark. The postmaster may say so a little later.
    pub async fn has_begun(&self, mark: usize, pid: i32) -> bool {
        self.begun(mark, pid, LOG_LIMIT).await == Some(true)
    }

    /// Waits for the log to tell of a connection. `Some(false)` if the server has ended without.
    async fn begun(&self, mark: usize, pid: i32, limit: Duration) -> Option<bool> {
        let begun = |lines: &[LogLine], open: bool| {
            let is_there = log::connections(lines).contains(&pid);
            (is_there || !open).then_some(is_there)
        };
        self.log.wait(mark, limit, begun).await
    }

    /// What the server answers to questions of the superuser, each in SQL and with one value for an answer.
    pub async fn answers(&self, questions: impl Iterator<Item = &str>) -> Result<Vec<String>, RuntimeError> {
        let mut answers = Vec::new();
        for question in questions {
            answers.push(control::answer(self.control()?, question).await?);
        }
        Ok(answers)
    }

    /// What the server logged since the mark, once the connections made since then have ended on its side, but for those
    /// that stay open.
    pub async fn observed(&self, mark: usize, connections: usize, open: &[i32]) -> Result<Observed, RuntimeError> {
        self.await_end(mark, connections, open).await?;
        let lines = self.log.since(mark);
        let pids = log::connections(&lines);
        let theirs: Vec<_> = lines.into_iter().filter(|line| line.pid.is_some_and(|pid| pids.contains(&pid))).collect();
        let host = theirs.iter().find_map(|line| {
            let rest = line.text.strip_prefix("LOG:  connection received: host=")?;
            rest.split(' ').next().map(str::to_owned)
        });
        let relevant_lines = relevant_lines(&theirs);
        let log = theirs.into_iter().map(|line| line.text).filter(|text| !text.starts_with("DEBUG:  ")).collect();
        Ok(Observed { log, relevant_lines, host })
    }

    /// Waits until the log tells of the harness' own session. Told later, it would be taken for one of a cell's, which
    /// does not end.
    async fn await_begin(&self, mark: usize, control: &Client) -> Result<(), RuntimeError> {
        let doing = "wait for the log of the harness' own session";
        let own = control::answer(control, "SELECT pg_backend_pid()").await?;
        let own = own.parse().map_err(|error| RuntimeError::failed(doing, error))?;
        self.begun(mark, own, LIMIT).await.map(drop).ok_or_else(|| RuntimeError::timeout(doing, LIMIT))
    }

    async fn await_end(&self, mark: usize, connections: usize, open: &[i32]) -> Result<(), RuntimeError> {
        let over = |lines: &[LogLine], runs: bool| (log::are_over(lines, connections, open) || !runs).then_some(());
        let ended = self.log.wait(mark, LIMIT, over).await;
        ended.ok_or_else(|| RuntimeError::timeout("wait for the server to end a connection", LIMIT))
    }

    /// Stops it, if it runs.
    pub async fn stop(&mut self) -> Result<(), RuntimeError> {
        if self.control.take().is_some() {
            self.host.stop().await?;
        }
        Ok(())
    }
}

fn relevant_lines(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(|line| line.text.clone()).filter(|text| !log::is_routine(text)).collect()
}
