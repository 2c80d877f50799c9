//! Servers waiting to be used. Each is leased to one at a time, if possible with the configuration that is wanted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::config::Configuration;
use super::runtime::{Runtime, RuntimeError};
use super::server::Server;
use crate::ApplyMode;
use crate::Major;

/// The servers of a run.
pub struct Pool {
    runtime: Arc<dyn Runtime>,
    prepare: Vec<String>,
    idle: Mutex<Vec<Idle>>,
    /// How many may be in use at once.
    permits: Arc<tokio::sync::Semaphore>,
    jobs: u32,
}

/// How long to wait at the end for servers that are in use.
const LIMIT: Duration = Duration::from_secs(20);

/// A server nobody uses. Those that are started anew for every configuration are kept apart from those that run.
struct Idle {
    major: Major,
    by: ApplyMode,
    server: Server,
}

impl Pool {
    /// A pool of at most `jobs` servers in use at once. `prepare` is run on each new server: SQL that makes its roles
    /// and databases, each statement by itself.
    #[must_use]
    pub fn new(runtime: Arc<dyn Runtime>, jobs: u32, prepare: Vec<String>) -> Arc<Self> {
        let permits = Arc::new(tokio::sync::Semaphore::new(jobs as usize));
        Arc::new(Self { runtime, prepare, idle: Mutex::default(), permits, jobs })
    }

    /// What the servers run on.
    #[must_use]
    pub fn runtime(&self) -> &dyn Runtime {
        &*self.runtime
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server for one's own use: one that has the configuration already, any other, or a new one.
    pub async fn lease(self: &Arc<Self>, major: Major, wanted: &Configuration) -> Result<Lease, RuntimeError> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| RuntimeError::Unavailable("the run is being stopped".into()))?;
        self.take(major, wanted, Some(permit)).await
    }

    async fn take(
        self: &Arc<Self>,
        major: Major,
        wanted: &Configuration,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Lease, RuntimeError> {
        let by = wanted.by;
        let found = {
            let mut idle = self.idle();
            let fits = |candidate: &Idle| candidate.major == major && candidate.by == by;
            let best = idle.iter().position(|candidate| fits(candidate) && candidate.server.has(wanted));
            best.or_else(|| idle.iter().position(fits)).map(|position| idle.swap_remove(position).server)
        };
        let server = match found {
            Some(server) => server,
            None => Server::first_start(self.runtime.host(major).await?, major, &self.prepare).await?,
        };
        Ok(Lease { server: Some(server), major, by, pool: self.clone(), _permit: permit })
    }

    /// A server beside one that is leased already. It does not count: waiting for it could be without end.
    pub async fn lease_beside(self: &Arc<Self>, major: Major, wanted: &Configuration) -> Result<Lease, RuntimeError> {
        self.take(major, wanted, None).await
    }

    /// Waits for the servers that are in use, stops all, and lends no more.
    pub async fn close(&self) {
        // A server that is still in use then is stopped when its lease ends, or by `clean`.
        let _ = tokio::time::timeout(LIMIT, self.permits.acquire_many(self.jobs)).await;
        self.permits.close();
        let servers: Vec<_> = self.idle().drain(..).collect();
        for Idle { mut server, .. } in servers {
            // Whatever is left of it is removed when the value goes.
            let _ = server.stop().await;
        }
        self.runtime.sweep().await;
    }
}

/// A server for one's own use.
pub struct Lease {
    server: Option<Server>,
    major: Major,
    by: ApplyMode,
    pool: Arc<Pool>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// The server.
    #[expect(clippy::missing_panics_doc, reason = "only the end of the lease takes the server out of it")]
    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("a lease has its server until it ends")
    }

    /// Does not give the server back: nobody knows what state it is in.
    pub fn discard(mut self) {
        self.server = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (major, by) = (self.major, self.by);
        // A server that was meant to run and does not is of no use; one that is started for each case need not run.
        let usable = self.server.take().filter(|server| by == ApplyMode::Start || server.is_up());
        if let Some(server) = usable.filter(|_| !self.pool.permits.is_closed()) {
            self.pool.idle().push(Idle { major, by, server });
        }
    }
}
