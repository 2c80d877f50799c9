//! What can go wrong around a server.

use std::error::Error;
use std::time::Duration;

use crate::words::{Major, Offer, Owner};

/// Why a server could not be found, started, configured or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// No folder that was searched has `initdb` and `postgres`.
    #[error("no PostgreSQL is installed on this machine")]
    NotInstalled,
    /// PostgreSQL does not run as root, and none of these users exists.
    #[error("PostgreSQL does not run as root, and there is no user {}", .users.join(" or "))]
    NoDatabaseUser {
        /// The users that were looked for.
        users: &'static [&'static str],
    },
    /// No container engine answers.
    #[error("no Docker engine answers ({0})")]
    NoEngine(#[source] bollard::errors::Error),
    /// The engine answers, and has no image of any major.
    #[error("the Docker engine has no image of PostgreSQL")]
    NoImages,
    /// An image is neither on the engine nor can it be pulled.
    #[error("the image {image} is not on this machine and cannot be pulled ({source})")]
    ImageUnavailable {
        /// The reference of the image: `postgres:17`.
        image: String,
        /// Why it cannot be pulled.
        source: PullError,
    },
    /// No runtime has this major.
    #[error("PostgreSQL {major} is not available here{}", list(.offered))]
    MajorUnavailable {
        /// The major asked for.
        major: Major,
        /// Those that there are.
        offered: Vec<Offer>,
    },
    /// Neither runtime can be used.
    #[error("{local}; and {docker}")]
    NoRuntime {
        /// Why there are no local processes.
        local: Box<RuntimeError>,
        /// Why there are no containers.
        docker: Box<RuntimeError>,
    },
    /// The pool has been closed.
    #[error("the pool of servers is closed")]
    PoolClosed,
    /// The server is not running, so that it cannot be asked.
    #[error("the server is not running")]
    NotRunning,
    /// A server with the default configuration did not start.
    #[error("PostgreSQL does not start{}", ending(.log))]
    StartFailed {
        /// What it logged.
        log: Vec<String>,
    },
    /// The server, or one of its processes, ended unexpectedly.
    #[error("PostgreSQL did not run on: {0}")]
    Disturbed(String),
    /// A step failed.
    #[error("cannot {action}: {source}")]
    Failed {
        /// The step, as an infinitive: `list images`.
        action: &'static str,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A step took too long.
    #[error("cannot {action}: not done after {} s", .limit.as_secs())]
    Timeout {
        /// The step, as an infinitive.
        action: &'static str,
        /// How long it was given.
        limit: Duration,
    },
}

impl RuntimeError {
    /// A step that failed.
    pub(crate) fn failed(action: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed { action, source: source.into() }
    }

    /// Turns the error of a step into [`RuntimeError::Failed`]; for `map_err`.
    pub(crate) fn failing<E: Into<Box<dyn Error + Send + Sync>>>(action: &'static str) -> impl Fn(E) -> Self + Copy {
        move |source| Self::failed(action, source)
    }
}

/// Why an image cannot be pulled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The engine reports an error.
    #[error(transparent)]
    Engine(#[from] bollard::errors::Error),
    /// The pull takes too long.
    #[error("the pull was not done after {} s", .0.as_secs())]
    Timeout(Duration),
}

/// The server's files cannot be given to this owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only root can create a file owned by {owner}")]
pub struct OwnerUnavailable {
    /// The owner asked for.
    pub owner: Owner,
}

/// Awaits a step, for as long as it may take.
pub(crate) async fn within<T>(
    limit: Duration,
    action: &'static str,
    step: impl Future<Output = T>,
) -> Result<T, RuntimeError> {
    tokio::time::timeout(limit, step).await.map_err(|_| RuntimeError::Timeout { action, limit })
}

/// What a server logged last, as the end of a sentence.
fn ending(log: &[String]) -> String {
    if log.is_empty() { ", and it logs nothing".to_owned() } else { format!(": {}", log.join(" / ")) }
}

fn list(offered: &[Offer]) -> String {
    let offered: Vec<_> = offered.iter().map(Offer::to_string).collect();
    if offered.is_empty() { String::new() } else { format!(", only {}", offered.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_source_and_names_the_step() {
        let error = RuntimeError::failed("list images", std::io::Error::other("the engine hung up"));
        assert_eq!(error.to_string(), "cannot list images: the engine hung up");
        assert_eq!(error.source().expect("a source").to_string(), "the engine hung up");
    }

    #[tokio::test]
    async fn a_step_that_takes_too_long_is_a_timeout() {
        let limit = Duration::from_millis(1);
        let error = within(limit, "wait", std::future::pending::<()>()).await.expect_err("a timeout");
        assert!(matches!(error, RuntimeError::Timeout { action: "wait", .. }), "{error:?}");
    }
}
