//! The bytes of a connection as they pass between TLS and TCP: who listens to them, and how many there may be. Also the
//! secrets of its TLS session.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use openssl::ssl::SslContextBuilder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::limits;

/// What passes on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic<'a> {
    /// The TCP connection is established.
    Connected {
        /// The address of this end.
        local: SocketAddr,
        /// The address of the other end.
        peer: SocketAddr,
    },
    /// Bytes were handed to TCP.
    Sent(&'a [u8]),
    /// Bytes were taken from TCP.
    Received(&'a [u8]),
    /// The other end sends nothing more.
    PeerEnded,
    /// This end is closed.
    Closed,
    /// A secret of the TLS session, as a line of a key log (`SSLKEYLOGFILE`).
    Secret(&'a str),
}

/// A listener. It is called for everything that passes, and changes nothing.
#[derive(Clone)]
pub struct Tap(Arc<dyn Fn(Traffic<'_>) + Send + Sync>);

impl fmt::Debug for Tap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tap")
    }
}

impl Tap {
    /// A listener that is called for everything that passes.
    #[must_use]
    pub fn new(listen: impl Fn(Traffic<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    fn notify(&self, traffic: Traffic<'_>) {
        (self.0)(traffic);
    }
}

/// Passes the secrets of all sessions of a context to a listener, if there is one.
pub(crate) fn log_secrets(builder: &mut SslContextBuilder, tap: Option<&Tap>) {
    if let Some(tap) = tap.cloned() {
        builder.set_keylog_callback(move |_, line| tap.notify(Traffic::Secret(line)));
    }
}

/// A TCP connection that may have a listener, and from which so many bytes are taken at most.
#[derive(Debug)]
pub(crate) struct TappedStream {
    stream: TcpStream,
    tap: Option<Tap>,
    allowance: usize,
}

impl TappedStream {
    pub(crate) fn new(stream: TcpStream, tap: Option<&Tap>) -> Self {
        let tap = tap.cloned();
        if let (Some(tap), Ok(local), Ok(peer)) = (&tap, stream.local_addr(), stream.peer_addr()) {
            tap.notify(Traffic::Connected { local, peer });
        }
        Self { stream, tap, allowance: limits::BYTES }
    }

    fn notify(&self, traffic: Traffic<'_>) {
        if let Some(tap) = &self.tap {
            tap.notify(traffic);
        }
    }

    /// As many bytes may be taken again as at the beginning.
    pub(crate) fn renew_allowance(&mut self) {
        self.allowance = limits::BYTES;
    }

    #[cfg(test)]
    pub(crate) fn allowance(&self) -> usize {
        self.allowance
    }

    /// Whether the other end has sent more than it may.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.allowance == 0
    }

    /// Sends what can be sent at once.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.stream.try_write(bytes)?;
        self.notify(Traffic::Sent(&bytes[..sent]));
        Ok(sent)
    }
}

impl Drop for TappedStream {
    fn drop(&mut self) {
        self.notify(Traffic::Closed);
    }
}

impl AsyncRead for TappedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_exhausted() {
            return Poll::Ready(Err(io::Error::other("more bytes than may be taken")));
        }
        let before = into.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, into);
        if let Poll::Ready(Ok(())) = &done {
            self.allowance = self.allowance.saturating_sub(into.filled().len() - before);
            match &into.filled()[before..] {
                [] if into.remaining() > 0 => self.notify(Traffic::PeerEnded),
                [] => {}
                bytes => self.notify(Traffic::Received(bytes)),
            }
        }
        done
    }
}

impl AsyncWrite for TappedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(sent)) = &done {
            self.notify(Traffic::Sent(&bytes[..*sent]));
        }
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn so_many_bytes_are_taken_until_the_allowance_is_renewed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let server = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            // The client closes before it has read everything.
            let _ = stream.write_all(&vec![0; 3 * limits::BYTES]).await;
        });
        let stream = TcpStream::connect(server).await.expect("a connection");
        let mut stream = TappedStream::new(stream, None);
        for _ in 0..2 {
            stream.read_exact(&mut vec![0; limits::BYTES - 1]).await.expect("what may be taken");
            assert!(!stream.is_exhausted());
            stream.read_exact(&mut [0]).await.expect("the last byte");
            assert!(stream.is_exhausted());
            assert_eq!(stream.read_u8().await.expect_err("no more").to_string(), "more bytes than may be taken");
            stream.renew_allowance();
        }
    }

    #[tokio::test]
    async fn a_listener_hears_everything_in_its_order() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let server = listener.local_addr().expect("an address");
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.read_exact(&mut [0; 4]).await.expect("a question");
            stream.write_all(b"pong").await.expect("an answer");
            stream.read_to_end(&mut Vec::new()).await.expect("the end");
        });
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = heard.clone();
        let tap = Tap::new(move |traffic| {
            let text = match traffic {
                Traffic::Connected { peer, .. } => format!("to {}", peer == server),
                other => format!("{other:?}"),
            };
            all.lock().expect("a lock").push(text);
        });
        let stream = TcpStream::connect(server).await.expect("a connection");
        let mut stream = TappedStream::new(stream, Some(&tap));
        stream.write_all(b"ping").await.expect("sent");
        // To read nothing is not to read the end.
        assert_eq!(stream.read(&mut []).await.expect("nothing"), 0);
        stream.read_exact(&mut [0; 4]).await.expect("an answer");
        stream.shutdown().await.expect("the end");
        let limit = std::time::Duration::from_secs(5);
        tokio::time::timeout(limit, answering).await.expect("the end has arrived").expect("the server");
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
        drop(stream);
        let bytes = |what: &str, bytes: &[u8]| format!("{what}({bytes:?})");
        let expected = [
            "to true".to_owned(),
            bytes("Sent", b"ping"),
            bytes("Received", b"pong"),
            "PeerEnded".into(),
            "Closed".into(),
        ];
        assert_eq!(*heard.lock().expect("a lock"), expected);
    }
}
