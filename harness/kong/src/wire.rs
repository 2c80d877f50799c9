//! The TCP connection below TLS, which keeps the system's errors and refuses old versions as Debian's OpenSSL does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::tap::TappedStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The TCP connection below TLS. It keeps the system's last error: since 3.2, OpenSSL reports a failed write as an error
/// of its own, which does not name the system's.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TappedStream,
    error: Option<i32>,
    old: Old,
}

/// How a server that answers with TLS 1.0 or 1.1 is treated.
///
/// OpenSSL as released offers these versions on security level 0 only. Debian's 3.0, with which the drivers were measured,
/// offers them on level 2 and then refuses the server's signature with an alert.
#[derive(Debug, PartialEq, Eq)]
enum Old {
    Accepted,
    /// The offered ones are refused, from this minor version in TLS's own numbering on.
    RefusedFrom(u8),
    HasBeenRefused,
}

impl Wire {
    pub(crate) fn new(stream: TappedStream, refuses_from: Option<u8>) -> Self {
        Self { stream, error: None, old: refuses_from.map_or(Old::Accepted, Old::RefusedFrom) }
    }

    /// The TCP connection.
    pub(crate) fn tcp(&self) -> &TappedStream {
        &self.stream
    }

    /// The TCP connection.
    pub(crate) fn tcp_mut(&mut self) -> &mut TappedStream {
        &mut self.stream
    }

    /// The number of the system's last error.
    pub(crate) fn last_error(&self) -> i32 {
        self.error.unwrap_or_default()
    }

    /// Whether the server's version was refused.
    pub(crate) fn has_refused(&self) -> bool {
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
                // The fatal alert `internal_error`. It does not matter here whether it arrives.
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A server's first record in TLS 1.0, in TLS 1.1, and in TLS 1.2.
    const TLS_1_0: &[u8] = &[22, 3, 1, 0, 1, 0];
    const TLS_1_1: &[u8] = &[22, 3, 2, 0, 1, 0];
    const TLS_1_2: &[u8] = &[22, 3, 3, 0, 1, 0];

    #[rstest]
    #[case(Some(1), TLS_1_1, true)]
    #[case(Some(2), TLS_1_1, true)]
    #[case(Some(2), TLS_1_0, false)]
    #[case(None, TLS_1_1, false)]
    #[case(Some(1), TLS_1_2, false)]
    #[tokio::test]
    async fn an_old_version_is_refused_with_an_alert(
        #[case] refuses_from: Option<u8>,
        #[case] record: &'static [u8],
        #[case] refused: bool,
    ) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(record).await.expect("written");
            let mut alert = Vec::new();
            stream.read_to_end(&mut alert).await.map(|_| alert)
        });
        let stream = TcpStream::connect(address).await.expect("connected");
        let mut wire = Wire::new(TappedStream::new(stream, None), refuses_from);
        let mut read = vec![0; record.len()];
        assert_eq!(wire.read_exact(&mut read).await.is_err(), refused);
        assert_eq!(wire.has_refused(), refused);
        drop(wire);
        let alert = server.await.expect("the server").expect("the end of the connection");
        assert_eq!(alert, if refused { vec![21, 3, 2, 0, 2, 2, 80] } else { Vec::new() });
    }
}
