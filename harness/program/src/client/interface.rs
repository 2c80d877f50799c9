//! What a client has to do, and what it is given.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openssl::x509::X509;

use super::unavailable::ProgramError;
use crate::runfolder::RunFolder;
use kong_pg_client::conf::KongConf;
use kong_pg_client::{Profile, Refusal, Settings, Stack};

/// A request to a client to connect as Kong would.
#[derive(Debug, Clone)]
pub struct Task {
    /// The cell it is for.
    pub cell: String,
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
}

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

    /// What it is, with its version.
    fn about(&self) -> String;

    /// How much longer than `pg_timeout` an attempt may take before it counts as one that hangs.
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// The Kong release it contains, as this program names releases, if it is a real Kong.
    fn release(&self) -> Option<String> {
        None
    }

    /// Ends what it may have left running.
    async fn close(&self) {}
}

/// What clients need that is not on every machine.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The folder of the run, for their files.
    pub run: Arc<RunFolder>,
    /// The image of Kong.
    pub kong_image: Option<String>,
    /// Whether an image that is missing may be built, which takes a minute.
    pub may_build: bool,
    /// The command line of the external client.
    pub command: Option<String>,
}
