//! What a client has to do, and what it is given.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kong_pg_client::conf::KongConf;
use kong_pg_client::{Profile, Refusal, Settings, Stack, Tap};
use kong_pg_scenarios::vocabulary::KongImage;
use openssl::x509::X509;

use super::unavailable::ProgramError;
use crate::leaks::Traces;
use crate::runfolder::RunFolder;

/// A request to a client to connect as Kong would.
#[derive(Debug, Clone)]
pub struct Task {
    /// The cell it is for.
    pub cell: Arc<str>,
    /// What kong.conf and the environment say.
    pub conf: KongConf,
    /// The files that say it.
    pub files: KongConfFiles,
    /// How the release interprets it.
    pub settings: Settings,
    /// The release.
    pub profile: Arc<Profile>,
    /// Which of Kong's stacks speaks.
    pub stack: Stack,
    /// The container of the server, if it runs in one and no proxy is in front of it.
    pub container: Option<String>,
    /// Whether a later task takes its connection from the pool.
    pub pools: bool,
    /// A listener to the connection, for clients in this process.
    pub tap: Option<Tap>,
}

impl Task {
    /// How long a driver that is ready may take to connect before it counts as one that hangs.
    pub(super) fn limit(&self) -> Duration {
        Duration::from_millis(self.settings.timeout_ms) + PATIENCE
    }
}

/// How much longer than `pg_timeout`.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kong's configuration as it is written.
#[derive(Debug, Clone)]
pub struct KongConfFiles {
    /// kong.conf.
    pub conf: String,
    /// The variables of the environment.
    pub environment: Vec<(String, String)>,
    /// The kong.conf with which the prefix was made, if it was another one.
    pub stale: Option<String>,
}

/// An attempt to connect, as it ended.
pub struct Attempt {
    /// The connection, or the client's report.
    pub result: Result<Established, Refusal>,
    /// How many TCP connections reached the server, if the client knows.
    pub connections: Option<usize>,
    /// The certificate the server presented, if the client saw one.
    pub certificate: Option<X509>,
}

impl Attempt {
    /// One that was refused.
    pub(super) fn refused(refusal: Refusal, connections: usize) -> Self {
        Self { result: Err(refusal), connections: Some(connections), certificate: None }
    }

    /// One that was given up because it hangs.
    #[must_use]
    pub fn hung(connections: Option<usize>) -> Self {
        Self { result: Err(Refusal::hung()), connections, certificate: None }
    }
}

/// A connection on which a client has received an answer.
pub enum Established {
    /// It is still open, so that `pg_stat_ssl` can prove what it is.
    Open(Connection),
    /// It is closed; the server's log proves what it was.
    Over,
}

/// A connection that stays open.
pub struct Connection {
    /// The server's process that serves it.
    pub pid: i32,
    /// The TLS version that the client claims to speak, `off` for none, if it claims any.
    pub claimed_tls: Option<String>,
    /// The connection itself.
    pub open: Box<dyn Open>,
}

impl Established {
    /// A connection of a client that makes no claim about its TLS version.
    pub(super) fn open(pid: i32, open: impl Open + 'static) -> Self {
        Self::Open(Connection { pid, claimed_tls: None, open: Box::new(open) })
    }
}

/// A client's connection that stays open.
#[async_trait]
pub trait Open: Send {
    /// Asks for the server's version again.
    ///
    /// # Errors
    /// The client's report if there is no answer.
    async fn ask_again(&mut self) -> Result<(), Refusal>;

    /// Ends it as the client does.
    async fn close(self: Box<Self>);

    /// Puts it into the client's pool of idle connections, and connects with other settings meanwhile.
    ///
    /// # Errors
    /// The client has no such pool, or makes no attempt.
    #[expect(clippy::must_use_candidate, reason = "async_trait makes it a function that returns a future")]
    async fn connect_from_pool(self: Box<Self>, _task: &Task) -> Result<Attempt, ClientError> {
        self.close().await;
        Err(ClientError::Unsupported("the client has no pool of connections as Kong has".into()))
    }
}

/// Why a client makes no attempt.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It has no counterpart for what the case asks for.
    #[error("{0}")]
    Unsupported(String),
    /// It lacks something on this machine that the case needs.
    #[error("{0}")]
    Blocked(String),
    /// It violates the protocol that clients have to follow.
    #[error(transparent)]
    Fault(#[from] ProgramError),
    /// The environment failed.
    #[error("cannot {doing}: {source}")]
    Environment {
        /// What the client was doing.
        doing: String,
        /// What went wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ClientError {
    pub(super) fn environment(doing: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Environment { doing: doing.into(), source: source.into() }
    }
}

/// A client, ready to connect as often as it is asked to.
#[async_trait]
pub trait Client: Send + Sync {
    /// Connects, and asks for the server's version. The future may be dropped at any time and must leave nothing behind.
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError>;

    /// Gets ready to connect more often than once.
    ///
    /// # Errors
    /// It is a new process for each connection, or cannot do what is asked for.
    async fn repeater(&self, _task: &Task, _tuning: Tuning) -> Result<Box<dyn Repeater>, ClientError> {
        Err(ClientError::Unsupported("each of its connections is a new process".into()))
    }

    /// What it is, with its version.
    fn about(&self) -> String;

    /// How much longer than `pg_timeout` an attempt may take before it counts as one that hangs.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// The releases that it can run as, each by the name of its exact version, if it is a real Kong.
    fn releases(&self) -> Option<Vec<String>> {
        None
    }

    /// Ends what it may have left running.
    async fn close(&self) {}
}

/// A client that has read its configuration once and connects again and again, as one that stays does: what is measured
/// of it is its connections alone.
#[async_trait]
pub trait Repeater: Send {
    /// Connects, and asks for the server's version. Returns the server's process that serves the connection.
    ///
    /// # Errors
    /// The client's report if there is no answer.
    async fn connect(&mut self) -> Result<i32, Refusal>;

    /// Ends the connection, or says with `false` that it stays until there is another.
    async fn disconnect(&mut self) -> bool;

    /// Its processes besides this one.
    fn processes(&self) -> Vec<i32> {
        Vec::new()
    }
}

/// What a client that is measured does differently from Kong, which cannot be configured for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tuning {
    /// The group of the key exchange that it offers first, and no other, by OpenSSL's name: `P-256`.
    pub group: Option<&'static str>,
    /// Whether it begins with TLS, without asking for it (PostgreSQL 17).
    pub direct: bool,
}

/// What clients need that is not on every machine.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The folder of the run, for their files.
    pub run: Arc<RunFolder>,
    /// Where they note what cells use.
    pub traces: Arc<Traces>,
    /// The images of Kong.
    pub kong_images: Vec<KongImage>,
    /// Whether an image that is missing may be built, which takes a minute.
    pub may_build: bool,
    /// Checkouts of pgmoon, and of lua-resty-openssl, which it needs.
    pub pgmoon: Vec<PathBuf>,
    /// The image with nginx, Lua and LuaSec to run them in, instead of the programs of this machine.
    pub openresty_image: Option<String>,
    /// The command line of the external client.
    pub command: Option<String>,
}
