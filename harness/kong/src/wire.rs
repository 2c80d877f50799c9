//! The TCP connection below TLS, and what OpenSSL alone would not tell or do.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The TCP connection below TLS. It keeps the system's last error: since 3.2, OpenSSL reports what could not be
/// written as an error of its own, and which it was is lost on the way.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    error: Option<i32>,
    old: Old,
}

/// What becomes of a server that answers with TLS 1.0 or 1.1.
///
/// OpenSSL as it is released offers them on security level 0 only. Debian's 3.0, which the drivers were measured with,
/// offers them on level 2 and refuses the server's signature then, with an alert.
#[derive(Debug, PartialEq, Eq)]
enum Old {
    Accepted,
    /// Those that were offered are refused: from this minor version of TLS's own numbering on.
    RefusedFrom(u8),
    HasBeenRefused,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, refuses_from: Option<u8>) -> Self {
        Self { stream, error: None, old: refuses_from.map_or(Old::Accepted, Old::RefusedFrom) }
    }

    /// The number of the system's last error.
    pub(super) fn last_error(&self) -> i32 {
        self.error.unwrap_or_default()
    }

    /// Whether the server's version was refused.
    pub(super) fn has_refused(&self) -> bool {
        self.old == Old::HasBeenRefused
    }

    fn keep<T>(&mut self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &done {
            self.error = error.raw_os_error();
        }
        done
    }

    /// Looks at the server's first record, and refuses a handshake in an old version.
    fn look_at(&mut self, record: &[u8]) -> io::Result<()> {
        const HANDSHAKE: u8 = 22;
        match (record, &self.old) {
            ([], _) => Ok(()),
            ([HANDSHAKE, 3, minor @ ..3, ..], Old::RefusedFrom(first)) if minor >= first => {
                self.old = Old::HasBeenRefused;
                // A fatal alert, `internal_error`. Whether it arrives is no longer of interest here.
                let _ = self.stream.try_write(&[21, 3, *minor, 0, 2, 2, 80]);
                Err(io::Error::other("an old version"))
            }
            _ => {
                self.old = Old::Accepted;
                Ok(())
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, into);
        match self.keep(done) {
            Poll::Ready(Ok(())) => Poll::Ready(self.look_at(&into.filled()[before..])),
            other => other,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.keep(done)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
