//! Why there is no session.

use kong_pg_client::{ReleaseError, ReleasesError};
use kong_pg_scenarios::load::Fault;
use kong_pg_scenarios::plan::PlanError;
use postgres_tls_server::RuntimeError;

use super::runtime::with_advice;
use crate::client::ClientUnavailable;

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The scenarios have mistakes.
    #[error("{} in the scenarios; nothing was run", if .0.len() == 1 { "1 fault".into() } else { format!("{} faults", .0.len()) })]
    Scenarios(Vec<Fault>),
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] PlanError),
    /// No cell matches the request.
    #[error("no cell matches {0}; a glob matches a whole id, like 'mtls/*': see `kong-pg-tls list`")]
    NothingMatched(String),
    /// There is nothing to run servers with.
    #[error("{}", with_advice(.0))]
    Runtime(#[from] RuntimeError),
    /// A client that was asked for cannot be used.
    #[error(transparent)]
    Client(#[from] ClientUnavailable),
    /// A file of releases cannot be used.
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    /// An image of Kong contains a release that the program does not know.
    #[error("the release in the image of --kong-image is not known: {0}; describe it in a file for --kong-release")]
    ImageRelease(#[source] ReleaseError),
    /// The folder of the run could not be made.
    #[error("cannot make a folder for the run: {0}")]
    Folder(#[from] std::io::Error),
}
