//! What stands between Kong and the server: proxies that end TLS or route by name, and everything that goes wrong there.
//!
//! Each listens on the loopback, for one cell, and goes with it.

mod behaviour;
mod tamper;
mod tls;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use self::upstream::Upstream;
use crate::vocabulary::Behaviour;
use certificate_trees::Certificate;

/// How long its connections may take to end after Kong has gone.
const LIMIT: Duration = Duration::from_secs(2);

/// Something between Kong and the server, listening.
pub struct Proxy {
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
    ending: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Begins to listen, in front of a server. The certificate is what it shows where it ends TLS.
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
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = &mut end => break,
                };
                let Ok((stream, _)) = accepted else { break };
                connections.spawn(behaviour::serve(behaviour, stream, upstream.clone(), acceptor.clone()));
            }
            while connections.join_next().await.is_some() {}
        });
        Ok(Self { address, opened, ending: Some(ending), task })
    }

    /// Where Kong finds it.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    /// Ends it, when what Kong has said is handed on, and tells how many connections to the server it has opened.
    pub async fn stop(mut self) -> usize {
        drop(self.ending.take());
        // One that Kong keeps open is cut off.
        let _ = tokio::time::timeout(LIMIT, &mut self.task).await;
        self.opened.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
