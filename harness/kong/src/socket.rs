//! A connection as pgmoon sees it: bytes, and the texts with which either stack reports what went wrong.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslRef};
use openssl::x509::X509;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::Stack;
use super::spelling::to_release_wording;
use super::wire::Wire;
use crate::OpensslLine;

enum Transport {
    Plain(TcpStream),
    Tls(Pin<Box<SslStream<Wire>>>),
}

/// What went wrong with a read or a write.
#[derive(Debug)]
pub(super) struct SocketError {
    /// The stack's text.
    pub(super) text: String,
    /// The TLS alert behind it, if the server sent one.
    pub(super) alert: Option<&'static str>,
}

impl From<&str> for SocketError {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), alert: None }
    }
}

/// What goes into a handshake.
pub(super) struct TlsSession {
    pub(super) ssl: Ssl,
    /// The first of the versions below TLS 1.2 that the OpenSSL which is imitated offers and then refuses, in TLS's own
    /// numbering: 1 is TLS 1.0.
    pub(super) refuses_from: Option<u8>,
}

/// What OpenSSL says of the signatures of TLS 1.0 and 1.1 on a security level that forbids them.
const OLD_SIGNATURE: &str = "legacy sigalg disallowed or unsupported";

/// A connection on one of the stacks.
pub(super) struct Socket {
    transport: Transport,
    stack: Stack,
    openssl: OpensslLine,
    timeout: Duration,
    /// What is read already and not yet asked for.
    pending: BytesMut,
}

impl Socket {
    pub(super) async fn connect(
        host: &str,
        port: u16,
        stack: Stack,
        openssl: OpensslLine,
        timeout: Duration,
    ) -> Result<Self, SocketError> {
        let connected = tokio::time::timeout(timeout, TcpStream::connect((host, port))).await;
        let stream = connected.map_err(|_| "timeout")?.map_err(|error| system_error(stack, &error))?;
        // A startup message must not wait for the acknowledgement of the handshake's last flight.
        let _ = stream.set_nodelay(true);
        Ok(Self { transport: Transport::Plain(stream), stack, openssl, timeout, pending: BytesMut::new() })
    }

    /// LuaSec has no time limit once TLS has begun, neither in the handshake nor behind it.
    fn limit(&self) -> Duration {
        match (&self.transport, self.stack) {
            (Transport::Tls(_), Stack::Luasec) => Duration::MAX,
            _ => self.timeout,
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), SocketError> {
        let limit = self.limit();
        let sending = async {
            match &mut self.transport {
                Transport::Plain(stream) => stream.write_all(bytes).await,
                Transport::Tls(stream) => stream.write_all(bytes).await,
            }
        };
        match within(limit, sending).await {
            None => Err("timeout".into()),
            Some(sent) => sent.map_err(|error| self.error(&error)),
        }
    }

    /// Receives exactly as many bytes.
    pub(super) async fn receive(&mut self, count: usize) -> Result<BytesMut, SocketError> {
        let limit = self.limit();
        while self.pending.len() < count {
            let pending = &mut self.pending;
            let receiving = async {
                match &mut self.transport {
                    Transport::Plain(stream) => stream.read_buf(pending).await,
                    Transport::Tls(stream) => stream.read_buf(pending).await,
                }
            };
            match within(limit, receiving).await {
                None => return Err("timeout".into()),
                Some(Ok(0)) => return Err("closed".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.error(&error)),
            }
        }
        Ok(self.pending.split_to(count))
    }

    /// Goes over to TLS. Bytes that came together with the server's `S` are dropped by LuaSec, whose object is a new
    /// one; a cosocket keeps them and hands them out as if they had been decrypted.
    pub(super) async fn handshake(mut self, session: TlsSession) -> (Self, Result<(), HandshakeError>) {
        let TlsSession { ssl, refuses_from } = session;
        let Transport::Plain(stream) = self.transport else { return (self, Ok(())) };
        let (limit, stack) = (self.timeout, self.stack);
        if stack == Stack::Luasec {
            self.pending.clear();
        }
        let mut stream = match SslStream::new(ssl, Wire::new(stream, refuses_from)) {
            Ok(stream) => Box::pin(stream),
            Err(error) => unreachable!("an SSL object takes any stream: {error}"),
        };
        let limit = if stack == Stack::Luasec { Duration::MAX } else { limit };
        let done = within(limit, stream.as_mut().connect()).await;
        self.transport = Transport::Tls(stream);
        let result = match done {
            None => Err(HandshakeError::Timeout),
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(HandshakeError::Failed(match error.into_io_error() {
                Ok(error) => self.error(&error),
                Err(error) if error.ssl_error().is_none() => end_of_stream(stack, self.openssl).into(),
                Err(error) => self.error(&io::Error::other(error)),
            })),
        };
        (self, result)
    }

    /// What the stack says when a read, a write or a handshake fails.
    fn error(&self, error: &io::Error) -> SocketError {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
        if let Some(errors) = inner.and_then(openssl::ssl::Error::ssl_error) {
            let of_system = errors.errors().iter().any(|error| error.library_code() == ERR_LIB_SYS);
            return match &self.transport {
                Transport::Tls(stream) if of_system => {
                    system_error(self.stack, &io::Error::from_raw_os_error(stream.get_ref().last_error()))
                }
                _ => self.tls_error(errors),
            };
        }
        let of_socket = inner.and_then(openssl::ssl::Error::io_error);
        if inner.is_some() && of_socket.is_none() {
            // Neither an error of OpenSSL's nor one of the socket's: the stream has ended.
            return if self.openssl < OpensslLine(3, 0) { "closed" } else { "unexpected eof while reading" }.into();
        }
        let error = of_socket.unwrap_or(error);
        match &self.transport {
            Transport::Tls(stream) if stream.get_ref().has_refused() => OLD_SIGNATURE.into(),
            _ => system_error(self.stack, error),
        }
    }

    fn tls_error(&self, errors: &ErrorStack) -> SocketError {
        let text = match self.stack {
            Stack::Cosocket => "error".to_owned(),
            Stack::Luasec => reason(errors, self.openssl),
        };
        SocketError { text, alert: errors.errors().iter().find_map(alert) }
    }

    /// The TLS session, if there is one.
    pub(super) fn ssl(&self) -> Option<&SslRef> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => Some(stream.ssl()),
        }
    }

    /// The certificate the server showed.
    pub(super) fn server_certificate(&self) -> Option<X509> {
        self.ssl().and_then(SslRef::peer_certificate)
    }

    /// Ends the connection as the stack does: LuaSec says goodbye in TLS, a cosocket just closes.
    pub(super) async fn close(mut self) {
        if let (Transport::Tls(stream), Stack::Luasec) = (&mut self.transport, self.stack) {
            // The server may be gone already, or never answer; either way there is nothing left to do.
            let _ = tokio::time::timeout(self.timeout, stream.shutdown()).await;
        }
    }
}

async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if limit == Duration::MAX { Some(future.await) } else { tokio::time::timeout(limit, future).await.ok() }
}

/// Why a handshake failed.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// It took too long.
    Timeout,
    /// OpenSSL or the socket failed.
    Failed(SocketError),
}

/// What a stack says of a server that closes in the middle of the handshake.
fn end_of_stream(stack: Stack, openssl: OpensslLine) -> &'static str {
    match stack {
        // Older ones take it for an error of the system's, and LuaSec finds none.
        Stack::Luasec if openssl >= OpensslLine(3, 0) => "unexpected eof while reading",
        _ => "closed",
    }
}

/// What a stack says of an error of the system's.
fn system_error(stack: Stack, error: &io::Error) -> SocketError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match (stack, error.kind()) {
        // LuaSocket has one name for every way in which a connection is gone.
        (_, UnexpectedEof) | (Stack::Luasec, ConnectionReset | BrokenPipe | ConnectionAborted) => "closed".into(),
        // The system's words, without what Rust adds to them.
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase().as_str().into(),
    }
}

/// OpenSSL's number for errors of the system.
const ERR_LIB_SYS: i32 = 2;

/// The first error's reason, as `ERR_reason_error_string(ERR_get_error())` tells it: `(null)` for the system's own.
pub(super) fn reason(errors: &ErrorStack, openssl: OpensslLine) -> String {
    let first = errors.errors().first().and_then(openssl::error::Error::reason);
    first.map_or_else(|| "(null)".to_owned(), |reason| to_release_wording(reason, openssl))
}

/// The alerts of TLS that a server may send, by their numbers.
pub const ALERTS: [(i32, &str); 17] = [
    (40, "handshake_failure"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (112, "unrecognized_name"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
];

/// The alert behind an error: OpenSSL's reasons for received alerts are their numbers plus a thousand.
fn alert(error: &openssl::error::Error) -> Option<&'static str> {
    ALERTS.into_iter().find(|(number, _)| error.reason_code() == number + 1000).map(|(_, name)| name)
}
