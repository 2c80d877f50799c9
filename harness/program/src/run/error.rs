//! Why a cell ends without an observation.

use std::error::Error;
use std::io;

use certificate_trees::PkiError;
use kong_pg_client::SettingsError;
use postgres_tls_server::{Major, RuntimeError};

use crate::client::ClientError;
use crate::judge::Verdict;
use crate::relay::RelayError;

/// Why a cell ends without an observation.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The server could not be brought into the state that the case needs.
    #[error(transparent)]
    Server(#[from] RuntimeError),
    /// The certificates could not be made.
    #[error("{}", with_causes(.0))]
    Certificates(#[from] PkiError),
    /// There is no program between Kong and the server, where the case needs one.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// A task of the harness panicked.
    #[error("the harness failed: {0}")]
    Panic(#[from] tokio::task::JoinError),
    /// A file or a socket of the harness failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// The client made no attempt.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server is of another major than was asked for.
    #[error(
        "PostgreSQL {wanted} was asked for, but the server there is {version}; check --image, or the installed binaries"
    )]
    WrongMajor {
        /// The major that was asked for.
        wanted: Major,
        /// The server's full version.
        version: String,
    },
    /// The case has no meaning here.
    #[error("{0}")]
    Unsupported(String),
    /// This machine lacks what the case needs.
    #[error("{0}")]
    Blocked(String),
    /// The case has no step that expects anything.
    #[error("the case expects nothing")]
    NoExpectation,
    /// Kong refuses its configuration before it connects.
    #[error("Kong refuses its configuration: {0}")]
    Configuration(#[from] SettingsError),
    /// The server does not start with the configuration.
    #[error("the server does not start: {}", .0.join("; "))]
    NotStarted(Vec<String>),
}

/// An error, followed by what caused it.
fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

impl CellError {
    /// For `map_err` on what the harness does with files and sockets.
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// Whether the server may be in any state after it: a server that hangs would hang for each cell that comes next.
    pub(super) fn leaves_server_unknown(&self) -> bool {
        matches!(self.verdict(), Verdict::EnvironmentError | Verdict::Timeout)
    }

    /// The verdict on a cell that ends so.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Unsupported(_)
            | Self::Relay(RelayError::NotFetched { .. })
            | Self::Client(ClientError::Unsupported(_)) => Verdict::Unsupported,
            Self::Blocked(_)
            | Self::Certificates(PkiError::RecipeUnavailable { .. })
            | Self::Relay(RelayError::NotInstalled { .. })
            | Self::Client(ClientError::Blocked(_)) => Verdict::Blocked,
            Self::Client(ClientError::Fault(_)) => Verdict::Fail,
            // A server that hangs does so whether a client or the harness waits for it.
            Self::Server(RuntimeError::Timeout { .. }) => Verdict::Timeout,
            Self::Server(_)
            | Self::Certificates(_)
            | Self::Relay(_)
            | Self::Panic(_)
            | Self::Io { .. }
            | Self::Client(ClientError::Environment { .. })
            | Self::WrongMajor { .. }
            | Self::NoExpectation
            | Self::Configuration(_)
            | Self::NotStarted(_) => Verdict::EnvironmentError,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_missing_prerequisite_blocks_a_cell_and_a_broken_environment_fails_it() {
        assert_eq!(
            CellError::from(PkiError::RecipeUnavailable { needs: "the program openssl" }).verdict(),
            Verdict::Blocked
        );
        assert_eq!(CellError::from(ClientError::Blocked("no image".into())).verdict(), Verdict::Blocked);
        assert_eq!(CellError::from(PkiError::Unknown("a".into())).verdict(), Verdict::EnvironmentError);
        let wrong = CellError::WrongMajor { wanted: Major(19), version: "18.6".into() };
        assert_eq!(wrong.verdict(), Verdict::EnvironmentError);
    }

    #[test]
    fn a_server_that_hangs_is_a_timeout() {
        let hangs = RuntimeError::Timeout { action: "reload the configuration", limit: Duration::from_secs(10) };
        assert_eq!(CellError::from(hangs).verdict(), Verdict::Timeout);
        let dead = RuntimeError::Disturbed("terminated by signal 9".into());
        assert_eq!(CellError::from(dead).verdict(), Verdict::EnvironmentError);
    }

    #[test]
    fn only_a_server_that_answered_as_it_should_is_used_again() {
        let hangs = RuntimeError::Timeout { action: "reload the configuration", limit: Duration::from_secs(10) };
        assert!(CellError::from(hangs).leaves_server_unknown());
        assert!(CellError::from(RuntimeError::NotRunning).leaves_server_unknown());
        assert!(!CellError::Unsupported("OpenSSL 3.0".into()).leaves_server_unknown());
        assert!(!CellError::Blocked("run it as root".into()).leaves_server_unknown());
    }
}
