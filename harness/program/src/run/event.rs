//! What happens in a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::Offer;

use super::options::Options;
use super::pace::Allowed;
use super::result::CellResult;

/// What a run is about to do, and where.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// How many cells are planned.
    pub planned: usize,
    /// How many there are if the run is not a shard.
    pub planned_unsharded: usize,
    /// How many of them are of each scenario on each major: `tls/hba-lines@pg17`.
    pub scenarios: BTreeMap<String, usize>,
    /// Why servers run where they do.
    pub why: String,
    /// The servers.
    pub servers: Vec<Offer>,
    /// The Kong releases: `3.15-enterprise`.
    pub releases: Vec<String>,
    /// The clients, with their versions.
    pub clients: BTreeMap<ClientKind, String>,
    /// What was asked for.
    pub options: Options,
    /// The entries of differences.yaml about cells of this run, and how many cells each is about in a whole run.
    pub differences: BTreeMap<String, usize>,
    /// The claims that its cells check, and what the documents say.
    pub claims: BTreeMap<String, String>,
    /// When it began.
    pub started: SystemTime,
}

/// What happens while cells are run.
#[derive(Debug)]
pub enum Event {
    /// A cell begins.
    CellStarted {
        /// Its id.
        id: Arc<str>,
    },
    /// A cell that is running has taken too long.
    CellSlow {
        /// Its id.
        id: Arc<str>,
        /// How long it may take.
        allowed: Allowed,
    },
    /// A cell has ended.
    CellFinished(Box<CellResult>),
}
