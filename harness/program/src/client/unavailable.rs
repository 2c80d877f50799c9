//! Why a client cannot be used on this machine.

use std::io;

use postgres_tls_server::RuntimeError;
use testcontainers::TestcontainersError;

use super::command::ProgramError;
use super::kong_image::ContainerError;
use crate::vocabulary::ClientKind;

/// A client that cannot be used here.
#[derive(Debug, thiserror::Error)]
#[error("the client {kind} cannot be used: {why}")]
pub struct ClientUnavailable {
    /// The client.
    pub kind: ClientKind,
    /// Why.
    #[source]
    pub why: Unavailable,
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
