//! Why there are no measurements.

use std::fmt::Display;
use std::io;

use kong_pg_client::Refusal;

use crate::client::ClientError;
use crate::run::CellError;
use crate::session::SessionError;

/// Why a measurement ends.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// There is no server, or a client that was asked for cannot be used.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The server does not take a configuration, or a client cannot start.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// A client's connections are refused.
    #[error("{mode}: {client} cannot connect: {text}")]
    Refused {
        /// The mode.
        mode: String,
        /// The client.
        client: String,
        /// What it says.
        text: String,
    },
    /// A server does not do what the name of a mode says.
    #[error("{cell} is not what it is called: {reason}; nothing was measured")]
    Unproved {
        /// The cell.
        cell: String,
        /// Why.
        reason: String,
    },
    /// The server of the user's cannot be measured.
    #[error("{0}")]
    Dsn(String),
    /// No mode is called so.
    #[error("no mode is called {0}")]
    NoMode(String),
    /// The handshake of a mode cannot be done in memory.
    #[error("{mode}: the handshake cannot be done in memory: {source}")]
    Bare {
        /// The mode.
        mode: String,
        /// Why.
        source: io::Error,
    },
    /// A file or a socket failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It was interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl From<ClientError> for BenchError {
    fn from(error: ClientError) -> Self {
        Self::Cell(error.into())
    }
}

impl BenchError {
    /// A client is refused in a mode.
    pub(super) fn refused(mode: &str, client: impl Display, refusal: &Refusal) -> Self {
        Self::Refused { mode: mode.to_owned(), client: client.to_string(), text: refusal.as_kong_prints_it() }
    }

    /// For `map_err` on files and sockets.
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
