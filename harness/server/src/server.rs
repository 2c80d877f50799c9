//! One server: started or reloaded with a configuration, with proof that it is in force, and observed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use crate::config::{Configuration, File, HOSTS_FILE, Surroundings};
use crate::control;
use crate::error::{OwnerUnavailable, RuntimeError};
use crate::log::{self, LogBook, LogLine};
use crate::marker;
use crate::port::ClosedPort;
use crate::proof::TlsProof;
use crate::runtime::Host;
use crate::words::Major;

/// How long a server may take to start or to end a session.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the log is waited for before it is established whether the server has seen a connection at all.
const LOG_DELAY: Duration = Duration::from_millis(250);

/// The versions of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its major version.
    pub major: Major,
    /// Its full version: `15.18`.
    pub version: String,
    /// The full version of the OpenSSL it is linked with: `3.0.19`. `None` if that is not known.
    pub openssl: Option<String>,
    /// Whether it was built with TLS.
    pub has_tls: bool,
}

/// The versions of the servers of each major, which run the same programs. To ask for them starts five more.
#[derive(Default)]
pub(crate) struct KnownFacts(Mutex<BTreeMap<Major, ServerFacts>>);

impl KnownFacts {
    async fn of(&self, major: Major, control: &Client) -> Result<ServerFacts, RuntimeError> {
        let mut known = self.0.lock().await;
        if let Some(facts) = known.get(&major) {
            return Ok(facts.clone());
        }
        let facts = ServerFacts {
            major,
            version: control::version(control).await?,
            openssl: control::openssl(control).await?,
            has_tls: control::has_tls(control).await?,
        };
        Ok(known.entry(major).or_insert(facts).clone())
    }
}

/// How a start ended. Routine messages, which every server logs, are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The server accepts connections, and has logged this.
    Up(Vec<String>),
    /// The server has ended, and has logged this.
    Failed(Vec<String>),
}

/// What the server logged of the connections made since a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// All its lines, verbatim, without the debug messages that this crate switches on.
    pub log: Vec<String>,
    /// The lines that are not the same for every connection.
    pub relevant_lines: Vec<String>,
    /// The address the first connection came from, as the server names it.
    pub host: Option<String>,
    /// How many connections the server has seen.
    pub connections: usize,
}

impl Observed {
    /// The first connection that the server authorized, by its own log.
    #[must_use]
    pub fn authorized(&self) -> Option<TlsProof> {
        self.log.iter().find_map(|line| TlsProof::from_log_line(line))
    }
}

/// A start that failed, until the next.
struct FailedStart {
    configuration: Configuration,
    log: Vec<String>,
    /// The address that clients are given: the server's own port may be another server's by now, or one on which a
    /// container engine accepts connections.
    closed: ClosedPort,
}

/// A reload that has begun.
struct Reloading {
    configuration: Configuration,
    /// Where the log says that it begins. A connection that the server has accepted since then shows that it is over.
    begin: usize,
}

/// A server, and the superuser's session with it.
pub struct Server {
    host: Box<dyn Host>,
    control: Option<Client>,
    log: LogBook,
    facts: ServerFacts,
    /// The configuration that is known to be in force as a whole.
    in_force: Option<Configuration>,
    reloading: Option<Reloading>,
    failed: Option<FailedStart>,
    /// The files that were put into the data directory last.
    installed: BTreeMap<String, File>,
}

impl Server {
    /// Starts a server for the first time, and runs the statements that prepare it.
    pub(crate) async fn first_start(
        host: Box<dyn Host>,
        major: Major,
        prepare: &[String],
        known: &KnownFacts,
    ) -> Result<Self, RuntimeError> {
        let facts = ServerFacts { major, version: String::new(), openssl: None, has_tls: true };
        let mut server = Self {
            log: host.log().clone(),
            host,
            control: None,
            facts,
            in_force: None,
            reloading: None,
            failed: None,
            // initdb makes one, of comments.
            installed: BTreeMap::from([(HOSTS_FILE.to_owned(), File::of_database_user(""))]),
        };
        server.start_anew().await?;
        let control = server.control()?;
        control::prepare(control, prepare).await?;
        server.facts = known.of(major, control).await?;
        Ok(server)
    }

    /// Its versions.
    #[must_use]
    pub fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Whether nothing needs to be done for a configuration: it is in force as a whole, or is known to be one that the
    /// server does not start with.
    #[must_use]
    pub fn has(&self, configuration: &Configuration) -> bool {
        let failed = self.failed.as_ref().is_some_and(|failed| failed.configuration == *configuration);
        failed || self.is_up() && self.in_force.as_ref() == Some(configuration)
    }

    /// The host and the port at which a client reaches it. After a failed start, those of a port that refuses
    /// connections.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        match &self.failed {
            Some(failed) => (Ipv4Addr::LOCALHOST.to_string(), failed.closed.number),
            None => self.host.address(),
        }
    }

    /// The data directory as the server names it in its messages.
    #[must_use]
    pub fn data_directory(&self) -> String {
        self.host.data_directory()
    }

    /// The id of the container that the server is in, if it is in one.
    #[must_use]
    pub fn container(&self) -> Option<String> {
        self.host.container()
    }

    /// Whether it is running.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.control.as_ref().is_some_and(|control| !control.is_closed())
    }

    /// Whether the files of a configuration can be given to their owners here.
    ///
    /// # Errors
    /// The first owner for which that is not possible.
    pub fn can_have(&self, configuration: &Configuration) -> Result<(), OwnerUnavailable> {
        let mut owners = configuration.files.values().flat_map(|file| [file.owner, file.group]);
        owners.try_for_each(|owner| self.host.can_own(owner))
    }

    fn control(&self) -> Result<&Client, RuntimeError> {
        self.control.as_ref().ok_or(RuntimeError::NotRunning)
    }

    async fn install(&mut self, configuration: &Configuration) -> Result<(), RuntimeError> {
        let conf = self.host.conf();
        let hba = self.host.hba();
        let around = Surroundings { conf: &conf, hba: &hba };
        let files = configuration.rendered(&around);
        self.host.install(&self.installed, &files).await?;
        self.installed = files;
        Ok(())
    }

    /// Starts it with a configuration, unless it runs with it already or is known not to start with it. `again` starts
    /// it in any case.
    ///
    /// # Errors
    /// The environment failed. A configuration that the server does not start with is [`Start::Failed`].
    pub async fn start(&mut self, configuration: &Configuration, again: bool) -> Result<Start, RuntimeError> {
        match &self.failed {
            _ if again => {}
            Some(failed) if failed.configuration == *configuration => return Ok(Start::Failed(failed.log.clone())),
            _ if self.has(configuration) => return Ok(Start::Up(Vec::new())),
            _ => {}
        }
        self.stop().await?;
        (self.in_force, self.reloading, self.failed) = (None, None, None);
        self.install(configuration).await?;
        let mark = self.host.start().await?;
        let ready = |lines: &[LogLine], is_open: bool| {
            let is_up = lines.iter().any(|line| line.text.ends_with("database system is ready to accept connections"));
            if is_up { Some(true) } else { (!is_open).then_some(false) }
        };
        let up = self.log.wait(mark, LIMIT, ready).await;
        if up.ok_or(RuntimeError::Timeout { action: "start PostgreSQL", limit: LIMIT })? {
            let control = self.host.control().await?;
            self.begin_session(mark, &control).await?;
            self.control = Some(control);
            self.in_force = Some(configuration.clone());
            return Ok(Start::Up(relevant_lines(&self.log.since(mark))));
        }
        let log = relevant_lines(&self.log.since(mark));
        let closed = ClosedPort::reserve().map_err(RuntimeError::failing("reserve a port"))?;
        self.failed = Some(FailedStart { configuration: configuration.clone(), log: log.clone(), closed });
        Ok(Start::Failed(log))
    }

    /// Starts it again without a configuration, whatever it had before.
    pub(crate) async fn start_anew(&mut self) -> Result<(), RuntimeError> {
        match self.start(&Configuration::default(), true).await? {
            Start::Up(_) => Ok(()),
            Start::Failed(log) => Err(RuntimeError::StartFailed { log }),
        }
    }

    /// Puts a configuration in force without a restart, unless it is already. Returns what the server logged, without
    /// routine messages: nothing if all of the configuration is in force, the reasons if a part of it is not.
    ///
    /// # Errors
    /// The environment failed, or the server is not running.
    pub async fn reload(&mut self, configuration: &Configuration) -> Result<Vec<String>, RuntimeError> {
        self.begin_reload(configuration).await?;
        self.reloaded().await
    }

    /// Begins such a reload without waiting for its end. Connections that are made from now on use the new configuration,
    /// except for what the server rejects; [`Self::reloaded`] returns the reasons.
    ///
    /// # Errors
    /// The environment failed, or the server is not running.
    pub async fn begin_reload(&mut self, configuration: &Configuration) -> Result<(), RuntimeError> {
        if self.has(configuration) {
            return Ok(());
        }
        let mark = self.log.mark();
        // The caller may stop waiting at any time.
        (self.in_force, self.reloading) = (None, None);
        self.install(configuration).await?;
        self.host.reload(self.control()?).await?;
        // Connections that were accepted before may be logged only now.
        let logged =
            |lines: &[LogLine], is_open: bool| match lines.iter().position(|line| log::begins_reload(&line.text)) {
                Some(position) => Some(Ok(mark + position)),
                None => (!is_open).then_some(Err(RuntimeError::NotRunning)),
            };
        let begin = self.log.wait(mark, LIMIT, logged).await;
        let begin = begin.ok_or(RuntimeError::Timeout { action: "find a reload in the log", limit: LIMIT })??;
        self.reloading = Some(Reloading { configuration: configuration.clone(), begin });
        Ok(())
    }

    /// What the server logged of the reload that was begun last, without routine messages.
    ///
    /// # Errors
    /// The environment failed.
    pub async fn reloaded(&mut self) -> Result<Vec<String>, RuntimeError> {
        let Some(Reloading { configuration, begin }) = self.reloading.take() else {
            return Ok(Vec::new());
        };
        // The postmaster may still be reading pg_hba.conf and the certificates. It accepts a connection once it is done:
        // `ServerLoop` in postmaster.c reloads first.
        if log::connections(&self.log.since(begin)).is_empty() {
            let connection = TcpStream::connect(self.address()).await;
            drop(connection.map_err(RuntimeError::failing("reach the server"))?);
            self.await_end(begin, 1, &[]).await?;
        }
        let log = relevant_lines(&self.log.of_server_until_a_connection(begin));
        self.in_force = log.is_empty().then_some(configuration);
        Ok(log)
    }

    /// Checks that a server that should be up has been up since a mark, and has lost none of its processes to a signal.
    ///
    /// # Errors
    /// It has not.
    pub async fn check_undisturbed(&self, mark: usize) -> Result<(), RuntimeError> {
        if self.failed.is_some() {
            return Ok(());
        }
        let lines = self.log.since(mark);
        if let Some(killed) = lines.iter().find(|line| line.text.contains(" was terminated by signal ")) {
            return Err(RuntimeError::Disturbed(killed.text.clone()));
        }
        // A connection that never appears makes it answer one of this crate's own.
        let answers = self.await_connections(self.log.mark(), |_| false).await;
        answers.map_err(|error| RuntimeError::Disturbed(error.to_string()))?;
        match self.log.wait(mark, LIMIT, |_, is_open| Some(is_open)).await {
            Some(true) => Ok(()),
            _ => Err(RuntimeError::Disturbed("it has ended".into())),
        }
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &LogBook {
        &self.log
    }

    /// The current end of the log.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.log.mark()
    }

    /// What `pg_stat_ssl` shows of the connection that one of the server's processes serves; `None` if it serves none.
    ///
    /// # Errors
    /// The query fails, or the server is not running.
    pub async fn proof(&self, pid: i32) -> Result<Option<TlsProof>, RuntimeError> {
        control::proof(self.control()?, pid).await
    }

    /// Whether the server has started a process with this number for a connection since the mark. The answer is final:
    /// lines that are still to be written are waited for.
    ///
    /// # Errors
    /// The environment failed.
    pub async fn has_begun(&self, mark: usize, pid: i32) -> Result<bool, RuntimeError> {
        self.await_connections(mark, |pids| pids.contains(&pid)).await?;
        Ok(log::connections(&self.log.since(mark)).contains(&pid))
    }

    /// The server's answers to queries of the superuser: the first value of the first row of each, as text. They are of the
    /// configuration before a reload until [`Self::reloaded`] has returned.
    ///
    /// # Errors
    /// A query fails, or the server is not running.
    pub async fn answers(&self, queries: impl Iterator<Item = &str>) -> Result<Vec<String>, RuntimeError> {
        let mut answers = Vec::new();
        for query in queries {
            answers.push(control::answer(self.control()?, query).await?);
        }
        Ok(answers)
    }

    /// What the server has logged since the mark of the connections made since then, once they have ended on its side,
    /// except for those of the processes in `open`.
    ///
    /// `connections` says how many the caller has made. If the server has seen fewer, it says so in
    /// [`Observed::connections`], within a second on an idle machine; the others went elsewhere, or nowhere.
    ///
    /// # Errors
    /// A connection does not end in time, or the environment failed.
    pub async fn observed(&self, mark: usize, connections: usize, open: &[i32]) -> Result<Observed, RuntimeError> {
        self.await_end(mark, connections, open).await?;
        let lines = self.log.since(mark);
        let pids = connections_of_clients(&lines);
        let theirs: Vec<_> = lines.into_iter().filter(|line| line.pid.is_some_and(|pid| pids.contains(&pid))).collect();
        let host = theirs.iter().find_map(|line| {
            let rest = line.text.strip_prefix("LOG:  connection received: host=")?;
            rest.split(' ').next().map(str::to_owned)
        });
        let relevant_lines = relevant_lines(&theirs);
        let log = theirs.into_iter().map(|line| line.text).filter(|text| !text.starts_with("DEBUG:  ")).collect();
        Ok(Observed { log, relevant_lines, host, connections: pids.len() })
    }

    /// Begins the superuser's session, and waits for the log to show it. Logged later, it would be mistaken for one of the
    /// connections under test, and one that does not end.
    async fn begin_session(&self, mark: usize, control: &Client) -> Result<(), RuntimeError> {
        let own = control::begin(control).await?;
        let begun =
            |lines: &[LogLine], is_open: bool| (log::connections(lines).contains(&own) || !is_open).then_some(());
        let action = "find the superuser's session in the log";
        self.log.wait(mark, LIMIT, begun).await.ok_or(RuntimeError::Timeout { action, limit: LIMIT })
    }

    /// Waits for connections to appear in the log. If they do not within [`LOG_DELAY`], makes a connection of its own:
    /// the postmaster accepts connections in order, so those that are not in the log when that one is have not reached
    /// the server.
    async fn await_connections(&self, mark: usize, are_there: impl Fn(&[i32]) -> bool) -> Result<(), RuntimeError> {
        let appeared =
            |lines: &[LogLine], is_open: bool| (are_there(&connections_of_clients(lines)) || !is_open).then_some(());
        if self.log.wait(mark, LOG_DELAY, appeared).await.is_some() {
            return Ok(());
        }
        let action = "make a connection that the log can be recognised by";
        let failing = RuntimeError::failing::<std::io::Error>(action);
        let from = self.log.mark();
        let mut connection = TcpStream::connect(self.address()).await.map_err(failing)?;
        connection.write_all(&marker::STARTUP_PACKET).await.map_err(failing)?;
        let ended = |lines: &[LogLine], is_open: bool| {
            let own = marker::processes(lines).next();
            (!is_open || own.is_some_and(|own| log::has_ended(lines, own))).then_some(())
        };
        self.log.wait(from, LIMIT, ended).await.ok_or(RuntimeError::Timeout { action, limit: LIMIT })
    }

    /// Waits for `connections` connections to begin and for all that have begun to end, except for those of the
    /// processes in `open`.
    async fn await_end(&self, mark: usize, connections: usize, open: &[i32]) -> Result<(), RuntimeError> {
        self.await_connections(mark, |pids| pids.len() >= connections).await?;
        let over = |lines: &[LogLine], is_open: bool| (log::have_ended(lines, open) || !is_open).then_some(());
        let action = "wait for the server to end a connection";
        self.log.wait(mark, LIMIT, over).await.ok_or(RuntimeError::Timeout { action, limit: LIMIT })
    }

    /// Stops it, if it is running.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn stop(&mut self) -> Result<(), RuntimeError> {
        if self.control.take().is_some() {
            self.host.stop().await?;
        }
        Ok(())
    }
}

/// The processes that were started for connections, other than those of [`marker`].
fn connections_of_clients(lines: &[LogLine]) -> Vec<i32> {
    let mut pids = log::connections(lines);
    pids.retain(|pid| marker::processes(lines).all(|own| own != *pid));
    pids
}

/// The lines that are not the same for every server or every connection.
fn relevant_lines(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(|line| line.text.clone()).filter(|text| !log::is_routine(text)).collect()
}

#[cfg(test)]
mod tests;
