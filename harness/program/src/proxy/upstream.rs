//! The server behind a proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;

/// What each of its connections needs to know.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) server: (String, u16),
    pub(super) opened: Arc<AtomicUsize>,
}

impl Upstream {
    /// A connection to the server.
    pub(super) async fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect((self.server.0.as_str(), self.server.1)).await?;
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(stream)
    }
}
