//! Servers that are started once and leased to one user at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::config::Configuration;
use crate::error::RuntimeError;
use crate::runtime::Runtime;
use crate::server::{KnownFacts, Server};
use crate::words::{ApplyMode, Major, Offer, RuntimeKind};

/// How long to wait at the end for servers that are leased.
const LIMIT: Duration = Duration::from_secs(20);

/// How many servers are leased beside others at once. A container for each of the callers would take longer to make than
/// they wait for each other.
const BESIDE: usize = 2;

/// Servers, started when they are first needed.
pub struct Pool {
    runtime: Arc<dyn Runtime>,
    prepare: Vec<String>,
    idle: Mutex<Vec<Idle>>,
    versions: KnownFacts,
    /// How many may be leased at once.
    permits: Arc<Semaphore>,
    /// How many may be leased beside others at once.
    beside: Arc<Semaphore>,
    size: u32,
}

/// A server that is not leased. One that was started with a configuration may not be up, and not be able to reload.
struct Idle {
    major: Major,
    by: ApplyMode,
    server: Server,
}

impl Pool {
    /// A pool of at most `size` leases at once. `prepare` is run on each new server: SQL statements, each by itself,
    /// that create its roles and databases.
    #[must_use]
    pub fn new(runtime: Arc<dyn Runtime>, size: u32, prepare: Vec<String>) -> Arc<Self> {
        let [permits, beside] = [size as usize, BESIDE].map(|count| Arc::new(Semaphore::new(count)));
        Arc::new(Self {
            runtime,
            prepare,
            idle: Mutex::default(),
            versions: KnownFacts::default(),
            permits,
            beside,
            size,
        })
    }

    /// What it can run.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        self.runtime.offers()
    }

    /// Where a major runs, if there is one.
    #[must_use]
    pub fn runtime_of(&self, major: Major) -> Option<RuntimeKind> {
        self.offers().into_iter().find(|offer| offer.major == major).map(|offer| offer.runtime)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases a server for exclusive use: one that has the configuration already, or else any other of that major, or
    /// else a new one. Waits while as many are leased as the pool allows. The configuration is not applied; that is what
    /// [`Server::start`] and [`Server::reload`] are for.
    ///
    /// # Errors
    /// A new server cannot be started, or the pool has been closed.
    pub async fn lease(self: &Arc<Self>, major: Major, wanted: &Configuration) -> Result<Lease, RuntimeError> {
        self.take(major, wanted, &self.permits).await
    }

    async fn take(
        self: &Arc<Self>,
        major: Major,
        wanted: &Configuration,
        permits: &Arc<Semaphore>,
    ) -> Result<Lease, RuntimeError> {
        let permit = permits.clone().acquire_owned().await.map_err(|_| RuntimeError::PoolClosed)?;
        let by = wanted.by;
        let found = {
            let mut idle = self.idle();
            let of_major = (0..idle.len()).filter(|position| idle[*position].major == major);
            let best = of_major.max_by_key(|position| {
                let candidate = &idle[*position];
                (candidate.server.has(wanted), candidate.by == by)
            });
            best.map(|position| idle.swap_remove(position))
        };
        let server = match found {
            // To make a server takes ten times as long as to start one again.
            Some(Idle { mut server, by: before, .. }) => {
                if before != by && by == ApplyMode::Reload {
                    server.start_anew().await?;
                }
                server
            }
            None => Server::first_start(self.runtime.host(major).await?, major, &self.prepare, &self.versions).await?,
        };
        Ok(Lease { server: Some(server), major, by, pool: self.clone(), is_trusted: true, _permit: permit })
    }

    /// Leases a server in addition to one that the caller has leased already. It does not count towards the pool's size:
    /// if all callers waited for a second server, none would get one. Waits while two are leased so.
    ///
    /// # Errors
    /// A new server cannot be started, or the pool has been closed.
    pub async fn lease_beside(self: &Arc<Self>, major: Major, wanted: &Configuration) -> Result<Lease, RuntimeError> {
        self.take(major, wanted, &self.beside).await
    }

    /// Waits for the leases to end, stops all servers, and grants no more leases.
    pub async fn close(&self) {
        self.close_within(LIMIT).await;
    }

    async fn close_within(&self, limit: Duration) {
        // A server that is still leased after that is stopped when its lease ends.
        let _ = tokio::time::timeout(limit, self.permits.acquire_many(self.size)).await;
        self.permits.close();
        self.beside.close();
        // To stop one and to remove its container takes half a second.
        let mut stopping = JoinSet::new();
        for Idle { mut server, .. } in self.idle().drain(..) {
            // What is left of it is removed with the value.
            stopping.spawn(async move { drop(server.stop().await) });
        }
        while stopping.join_next().await.is_some() {}
        self.runtime.sweep().await;
    }
}

/// The exclusive use of a server. Dropped, it returns the server to the pool.
pub struct Lease {
    server: Option<Server>,
    major: Major,
    by: ApplyMode,
    pool: Arc<Pool>,
    is_trusted: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// The server.
    #[expect(clippy::missing_panics_doc, reason = "the server is only taken out at the end of the lease")]
    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("a lease has its server until it ends")
    }

    /// Marks the server's state as unknown: unless it is trusted again, it is stopped when the lease ends, also if the
    /// caller is cancelled.
    pub fn distrust(&mut self) {
        self.is_trusted = false;
    }

    /// The server's state is known again, and others can use it.
    pub fn trust(&mut self) {
        self.is_trusted = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (major, by) = (self.major, self.by);
        // A server that should be up and is not is of no use. One that is started for each configuration need not be up.
        let usable = self.server.take().filter(|server| self.is_trusted && (by == ApplyMode::Start || server.is_up()));
        if let Some(server) = usable.filter(|_| !self.pool.permits.is_closed()) {
            server.log().forget();
            self.pool.idle().push(Idle { major, by, server });
        }
    }
}

#[cfg(test)]
mod tests;
