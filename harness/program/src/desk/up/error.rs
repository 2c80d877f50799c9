//! Why a server of a cell does not run.

use std::io;

use certificate_trees::PkiError;
use postgres_tls_server::{OwnerUnavailable, RuntimeError};

use crate::relay::RelayError;

/// Why a server of a cell does not run.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// It cannot be started or configured.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// One of its files belongs to someone else.
    #[error("{0}; run it as root, or with --runtime docker")]
    Owner(#[from] OwnerUnavailable),
    /// A certificate of the proxy cannot be made.
    #[error(transparent)]
    Certificates(#[from] PkiError),
    /// There is no program between Kong and the server, where the cell has one.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// It does not start with this configuration.
    #[error("PostgreSQL does not start with this configuration. It logs:\n  {}", .0.join("\n  "))]
    DoesNotStart(Vec<String>),
    /// It has ended by itself.
    #[error("PostgreSQL has ended")]
    Ended,
    /// A file cannot be written, or a proxy cannot listen.
    #[error("cannot {action}: {source}")]
    Io {
        /// What cannot be done.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl UpError {
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
