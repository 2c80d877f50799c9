//! What running a cell needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::client::Clients;
use crate::suite::{Difference, Suite, Texts};
use certificate_trees::Authority;
use postgres_tls_server::Pool;

/// Runs cells.
pub struct Runner {
    pub(super) pool: Arc<Pool>,
    pub(super) authority: Arc<Authority>,
    pub(super) texts: Arc<Texts>,
    pub(super) clients: Clients,
    pub(super) differences: Vec<Arc<Difference>>,
    pub(super) folder: PathBuf,
    pub(super) limit: Duration,
}

impl Runner {
    /// A runner that keeps Kong's files below a private folder, and gives up on a cell after the limit.
    #[must_use]
    pub fn new(pool: Arc<Pool>, suite: &Suite, clients: Clients, folder: PathBuf, limit: Duration) -> Arc<Self> {
        let authority = Arc::new(Authority::new(folder.join("guide")));
        let (texts, differences) = (suite.texts.clone(), suite.differences.clone());
        Arc::new(Self { pool, authority, texts, clients, differences, folder, limit })
    }

    /// The clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The servers.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
