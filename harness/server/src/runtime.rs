//! Where a server runs, behind one trait: a process of the installed binaries, or a container.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use tokio_postgres::Client;

use super::config::File;
use super::log::LogBook;
use crate::Major;
use crate::Owner;

/// Where servers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// Containers, through testcontainers.
    Docker,
    /// Processes of the installed binaries.
    Local,
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Local => "local",
        })
    }
}

impl FromStr for RuntimeKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "docker" => Ok(Self::Docker),
            "local" => Ok(Self::Local),
            _ => Err(format!("`{text}` is not a runtime; expected auto, docker or local")),
        }
    }
}

/// Why the environment cannot do what was asked of it. Never a case's fault.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// Nothing to run servers with.
    #[error("{0}")]
    Unavailable(String),
    /// A step of a server's life failed.
    #[error("cannot {doing}: {why}")]
    Failed {
        /// What was being done.
        doing: String,
        /// What came of it.
        why: String,
    },
    /// A step took too long.
    #[error("gave up after {seconds} s: {doing}")]
    Timeout {
        /// What was being done.
        doing: String,
        /// The limit.
        seconds: u64,
    },
}

impl RuntimeError {
    /// A step that failed.
    pub(super) fn failed(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Failed { doing: doing.into(), why: why.to_string() }
    }

    /// A step that was not done in time.
    pub(super) fn timeout(doing: impl Into<String>, limit: std::time::Duration) -> Self {
        Self::Timeout { doing: doing.into(), seconds: limit.as_secs() }
    }
}

/// A PostgreSQL that can be had, for showing to people.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its major version.
    pub major: Major,
    /// The image or the folder of binaries.
    pub source: String,
}

/// What servers run on.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Which it is.
    fn kind(&self) -> RuntimeKind;

    /// What it can run.
    fn offers(&self) -> Vec<Offer>;

    /// A place for one server, with an initialised data directory. Nothing runs in it yet that anyone could reach.
    async fn host(&self, major: Major) -> Result<Box<dyn Host>, RuntimeError>;

    /// Removes what may be left of hosts whose making was interrupted.
    async fn sweep(&self) {}
}

/// A place for one server.
#[async_trait]
pub trait Host: Send + Sync {
    /// Settings of postgresql.conf that the place needs.
    fn conf(&self) -> Vec<(&'static str, String)>;

    /// The line of pg_hba.conf that lets the harness in.
    fn hba(&self) -> String;

    /// Whether files can be given to that owner, and if not, why.
    fn can_own(&self, owner: Owner) -> Result<(), String>;

    /// Writes files into the data directory after removing others.
    async fn install(&mut self, files: &BTreeMap<String, File>, remove: &[String]) -> Result<(), RuntimeError>;

    /// The server's log. It is open while the server runs.
    fn log(&self) -> &LogBook;

    /// Starts the server. Returns where in the log its words begin: before them may be those of a start that found its
    /// port taken.
    async fn start(&mut self) -> Result<usize, RuntimeError>;

    /// Stops the server, and returns once it has ended.
    async fn stop(&mut self) -> Result<(), RuntimeError>;

    /// Where a client finds the server while it runs.
    fn address(&self) -> (String, u16);

    /// Opens the harness' own session.
    async fn control(&self) -> Result<Client, RuntimeError>;

    /// The data directory as the server names it in its messages.
    fn data_directory(&self) -> String;

    /// The container that the server is in, if it is in one.
    fn container(&self) -> Option<String> {
        None
    }
}
