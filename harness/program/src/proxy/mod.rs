//! Proxies between Kong and the server: those that end TLS or route by name, and those that misbehave.
//!
//! Each listens on the loopback interface, for one cell, and ends with it.

mod behaviour;
mod tamper;
mod tls;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use certificate_trees::Certificate;
use kong_pg_scenarios::vocabulary::Behaviour;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use self::upstream::Upstream;

/// How long its connections may take to end after Kong has gone.
const LIMIT: Duration = Duration::from_secs(2);

/// How many connections are served at once. Kong has one or two; others wait, so that a flood exhausts neither memory nor
/// file descriptors.
const CONNECTIONS: usize = 64;

/// How long to wait if no connection can be accepted for now, as without a free file descriptor.
const PAUSE: Duration = Duration::from_millis(50);

/// A listening proxy.
pub struct Proxy {
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
    ending: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of a server. It presents the certificate where it ends TLS.
    ///
    /// # Errors
    /// The proxy cannot listen, or the certificate cannot be used.
    pub async fn start(
        behaviour: Behaviour,
        certificate: Option<Certificate>,
        server: (String, u16),
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = certificate.as_ref().map(tls::acceptor).transpose()?;
        let opened = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream { server, opened: opened.clone() };
        let (ending, mut end) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Its connections end with it.
            let mut connections = JoinSet::new();
            let free = Arc::new(Semaphore::new(CONNECTIONS));
            loop {
                let accepting = async { (free.clone().acquire_owned().await, listener.accept().await) };
                let (place, accepted) = tokio::select! {
                    accepted = accepting => accepted,
                    _ = &mut end => break,
                };
                // One that has gone again before it was accepted is no reason to refuse the others.
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let serving = behaviour::serve(behaviour, stream, upstream.clone(), acceptor.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
                while connections.try_join_next().is_some() {}
            }
            while connections.join_next().await.is_some() {}
        });
        Ok(Self { address, opened, ending: Some(ending), task })
    }

    /// The host and port that Kong connects to.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    /// Ends it once Kong's data has been forwarded. Returns how many connections to the server it has opened.
    pub async fn stop(mut self) -> usize {
        drop(self.ending.take());
        // A connection that Kong keeps open is closed.
        let _ = tokio::time::timeout(LIMIT, &mut self.task).await;
        self.opened.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
