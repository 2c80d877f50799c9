//! Why there is no program between Kong and the server.

use std::io;

use kong_pg_scenarios::vocabulary::RelayProgram;
use postgres_tls_server::RuntimeError;

/// Why there is no program between Kong and the server.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// It is not there.
    #[error("{program} is not installed here; `ci/prepare relays` installs it")]
    NotInstalled {
        /// The name of the executable.
        program: String,
    },
    /// It is not there, and few distributions have it.
    #[error("{program} is not installed here; `{fetched_by}` fetches Debian's")]
    NotFetched {
        /// The program.
        program: RelayProgram,
        /// The command that fetches it.
        fetched_by: &'static str,
    },
    /// It has no user to run as.
    #[error(transparent)]
    User(#[from] RuntimeError),
    /// A file or the process failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// It does not start.
    #[error("{program} does not start with this configuration: {}", .log.join("; "))]
    NotStarted {
        /// The program.
        program: RelayProgram,
        /// What it said.
        log: Vec<String>,
    },
    /// It has ended while it was needed.
    #[error("{program} has ended by itself: {}", .log.join("; "))]
    Ended {
        /// The program.
        program: RelayProgram,
        /// What it said.
        log: Vec<String>,
    },
}

impl RelayError {
    /// For `map_err` on files and processes.
    pub(super) fn io(doing: &'static str) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::Io { doing, source }
    }
}
