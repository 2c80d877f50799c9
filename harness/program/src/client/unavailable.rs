//! Why a client cannot be used on this machine.

use std::io;
use std::time::Duration;

use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::RuntimeError;
use testcontainers::TestcontainersError;

/// A client that cannot be used here.
#[derive(Debug, thiserror::Error)]
#[error("the client {kind} cannot be used: {why}")]
pub struct ClientUnavailable {
    /// The client.
    pub kind: ClientKind,
    /// Why.
    #[source]
    pub why: Box<Unavailable>,
}

/// Why a client cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// An option is needed, or a program, with what to do about it.
    #[error("{0}")]
    Missing(String),
    /// No container engine can be used.
    #[error(transparent)]
    Engine(#[from] RuntimeError),
    /// A file or a program of the client's failed.
    #[error("{what}: {source}")]
    Io {
        /// What failed.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// An image cannot be built, or its container does not start.
    #[error("{what}: {source}")]
    Image {
        /// What failed.
        what: String,
        /// Why.
        source: TestcontainersError,
    },
    /// A container of Kong's image did not run to its end.
    #[error("{image}: {source}")]
    Kong {
        /// The image.
        image: String,
        /// Why.
        source: ContainerError,
    },
    /// The external client does not follow the protocol.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Kong's stacks are neither installed nor can a container have them.
    #[error("{installed}; install Debian's packages {packages}, or have an image of them built (now: {container})")]
    Stacks {
        /// Why the installed ones cannot be used.
        installed: Box<Unavailable>,
        /// What to install.
        packages: &'static str,
        /// Why there is no container.
        #[source]
        container: Box<Unavailable>,
    },
}

impl Unavailable {
    /// For what is neither installed nor named.
    pub(super) fn missing(what: impl Into<String>) -> Self {
        Self::Missing(what.into())
    }
}

/// Why an external client cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It does not start.
    #[error("{command} does not start: {source}")]
    Start {
        /// Its command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It accepts a request that no version of the protocol has.
    #[error("{0} does not answer `unsupported` to a kind of line that it cannot know")]
    KnowsEverything(String),
    /// It violates the protocol.
    #[error("{command} {fault}{log}")]
    Protocol {
        /// Its command line.
        command: String,
        /// What it does wrong, as the rest of a sentence about it.
        fault: String,
        /// The end of its log, indented, each line after a line break.
        log: String,
    },
}

/// Why a container did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// It did not start in time.
    #[error("it does not start within {} s", .0.as_secs())]
    Timeout(Duration),
    /// It could not be created, started or removed.
    #[error(transparent)]
    Container(#[from] TestcontainersError),
    /// The engine does not show its output or its status.
    #[error(transparent)]
    Engine(#[from] bollard::errors::Error),
}
