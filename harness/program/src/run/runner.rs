//! What running a cell needs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certificate_trees::Authority;
use kong_pg_scenarios::suite::{Difference, Suite, Texts};
use postgres_tls_server::Pool;

use super::options::Options;
use crate::client::Clients;
use crate::runfolder::{RunFolder, cache};

/// Runs cells.
pub struct Runner {
    pub(super) pool: Arc<Pool>,
    pub(super) authority: Arc<Authority>,
    pub(super) texts: Arc<Texts>,
    pub(super) clients: Clients,
    pub(super) differences: Vec<Arc<Difference>>,
    pub(super) folder: PathBuf,
    /// The folder of the run, in which relays have folders of their own.
    pub(super) run_folder: PathBuf,
    pub(super) limit: Duration,
    pub(super) records: bool,
}

impl Runner {
    /// A runner that keeps Kong's files in a private folder below that of the run, and works within limits. It records
    /// logs and traffic if evidence is requested.
    ///
    /// # Errors
    /// That folder cannot be made.
    pub fn new(
        pool: Arc<Pool>,
        suite: &Suite,
        clients: Clients,
        run: &RunFolder,
        options: &Options,
    ) -> io::Result<Arc<Self>> {
        let (folder, run_folder) = (run.private("kong")?, run.path().to_owned());
        let kept = cache().map(|cache| cache.join("keys"));
        let authority = Arc::new(Authority::new(folder.join("guide")).keeping(kept));
        let (texts, differences) = (suite.texts.clone(), suite.differences.clone());
        let (limit, records) = (options.limits.timeout(), options.evidence.of.is_some());
        Ok(Arc::new(Self { pool, authority, texts, clients, differences, folder, run_folder, limit, records }))
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
