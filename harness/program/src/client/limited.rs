//! A TCP connection from which a client takes so much and no more: a server can announce a message of 2 GB.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use kong_pg_client::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The connection, and how many bytes may still be taken from it.
pub(super) struct Limited {
    stream: TcpStream,
    left: usize,
}

impl Limited {
    /// As many as Kong's emulation takes for a login.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, left: limits::BYTES }
    }
}

impl AsyncRead for Limited {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let text = format!("given up by the suite: the server has sent {} bytes without an end", limits::BYTES);
            return Poll::Ready(Err(io::Error::other(text)));
        }
        let before = into.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, into);
        self.left = self.left.saturating_sub(into.filled().len() - before);
        done
    }
}

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    /// As one segment: a client that sends a flight of the handshake in parts can find the connection closed before it
    /// has read the server's alert.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
    use std::io::IoSlice;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_flight_is_sent_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = listener.local_addr().expect("an address");
        let mut stream = Limited::new(TcpStream::connect(server).await.expect("a connection"));
        let flight = [IoSlice::new(b"certificate"), IoSlice::new(b"finished")];
        assert_eq!(stream.write_vectored(&flight).await.expect("sent"), "certificatefinished".len());
    }
}
