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

use crate::limits;
use crate::openssl_line::OpensslLine;
use crate::refusal::Refusal;
use crate::stack::Stack;
use crate::stage::Stage;
use crate::tap::{Tap, TappedStream};
use crate::wire::Wire;
use crate::wording::to_release_wording;

enum Transport {
    Plain(TappedStream),
    Tls(Pin<Box<SslStream<Wire>>>),
}

/// What went wrong with a read or a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SocketError {
    /// The stack's text.
    pub(crate) text: String,
    /// The TLS alert behind it, if the server sent one.
    pub(crate) alert: Option<&'static str>,
    /// Whether the server has sent more than [`limits::BYTES`], which is no error of the stack's.
    pub(crate) is_beyond_limit: bool,
}

impl From<&str> for SocketError {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), alert: None, is_beyond_limit: false }
    }
}

impl SocketError {
    /// The refusal of a driver that returns this error, with its own words before it.
    pub(crate) fn into_refusal(self, stage: Stage, before: &str) -> Refusal {
        if self.is_beyond_limit {
            return Refusal::beyond_limit(stage, &self.text);
        }
        Refusal { alert: self.alert, ..Refusal::returned(stage, &format!("{before}{}", self.text)) }
    }
}

/// What a handshake needs.
pub(crate) struct TlsSession {
    pub(crate) ssl: Ssl,
    /// The first of the versions below TLS 1.2 that the imitated OpenSSL offers and then refuses, in TLS's own
    /// numbering: 1 is TLS 1.0.
    pub(crate) refuses_from: Option<u8>,
}

/// OpenSSL's text for the signatures of TLS 1.0 and 1.1 on a security level that forbids them.
const OLD_SIGNATURE: &str = "legacy sigalg disallowed or unsupported";

/// A connection on one of the stacks.
pub(crate) struct Socket {
    transport: Transport,
    stack: Stack,
    openssl: OpensslLine,
    timeout: Duration,
    /// What has been read and not yet been asked for.
    pending: BytesMut,
}

impl Socket {
    pub(crate) async fn connect(
        host: &str,
        port: u16,
        stack: Stack,
        openssl: OpensslLine,
        timeout: Duration,
        tap: Option<&Tap>,
    ) -> Result<Self, SocketError> {
        let connected = tokio::time::timeout(timeout, TcpStream::connect((host, port))).await;
        let stream = connected.map_err(|_| "timeout")?.map_err(|error| system_error(stack, &error))?;
        // A startup message must not wait for the acknowledgement of the handshake's last flight.
        let _ = stream.set_nodelay(true);
        let stream = TappedStream::new(stream, tap);
        Ok(Self { transport: Transport::Plain(stream), stack, openssl, timeout, pending: BytesMut::new() })
    }

    /// LuaSec has no time limit once TLS has begun, neither in the handshake nor after it.
    fn limit(&self) -> Duration {
        match (&self.transport, self.stack) {
            (Transport::Tls(_), Stack::Luasec) => Duration::MAX,
            _ => self.timeout,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), SocketError> {
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

    /// Receives exactly `count` bytes.
    pub(crate) async fn receive(&mut self, count: usize) -> Result<BytesMut, SocketError> {
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

    /// Switches to TLS. LuaSec drops bytes that arrived together with the server's `S`, as its object is a new one; a
    /// cosocket keeps them and hands them out as if they had been decrypted.
    pub(crate) async fn handshake(mut self, session: TlsSession) -> (Self, Result<(), HandshakeError>) {
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
            Some(Err(error)) => {
                let error = error.into_io_error().unwrap_or_else(io::Error::other);
                Err(HandshakeError::Failed(self.error(&error)))
            }
        };
        (self, result)
    }

    fn tcp(&self) -> &TappedStream {
        match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().tcp(),
        }
    }

    /// The server may send as much again as for the login.
    pub(crate) fn renew_allowance(&mut self) {
        match &mut self.transport {
            Transport::Plain(stream) => stream.renew_allowance(),
            Transport::Tls(stream) => stream.get_mut().tcp_mut().renew_allowance(),
        }
    }

    /// The error that Lua raises when asked to receive a negative number of bytes, observed with nginx 1.22.1 and
    /// lua-nginx-module 0.10.23, LuaSocket 3.1.0 and LuaSec 1.2.0, and both lineages of pgmoon (2.2.0, 1.16.0).
    pub(crate) fn negative_count(&self) -> &'static str {
        match self.stack {
            Stack::Cosocket => "bad argument #1 to 'receive' (bad pattern argument)",
            Stack::Luasec => "bad argument #1 to 'receive' (invalid receive pattern)",
        }
    }

    /// The stack's text for a read, a write or a handshake that fails.
    fn error(&self, error: &io::Error) -> SocketError {
        if self.tcp().is_exhausted() {
            let text = format!("has sent {} bytes without an end", limits::BYTES);
            return SocketError { text, alert: None, is_beyond_limit: true };
        }
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
            // Neither OpenSSL nor the socket reports an error: the stream has ended.
            return end_of_stream(self.stack, self.openssl).into();
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
        SocketError {
            alert: errors.errors().iter().find_map(|error| alert(error.reason_code())),
            ..text.as_str().into()
        }
    }

    /// The TLS session, if there is one.
    pub(crate) fn ssl(&self) -> Option<&SslRef> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => Some(stream.ssl()),
        }
    }

    /// The certificate the server showed.
    pub(crate) fn server_certificate(&self) -> Option<X509> {
        self.ssl().and_then(SslRef::peer_certificate)
    }

    /// Ends the connection as the stack does: LuaSec sends TLS's close_notify, a cosocket just closes.
    pub(crate) async fn close(mut self) {
        if let (Transport::Tls(stream), Stack::Luasec) = (&mut self.transport, self.stack) {
            // The server may be gone already, or never answer: nothing is left to do in either case.
            let _ = tokio::time::timeout(self.timeout, stream.shutdown()).await;
        }
    }
}

async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if limit == Duration::MAX { Some(future.await) } else { tokio::time::timeout(limit, future).await.ok() }
}

/// Why a handshake failed.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// It took too long.
    Timeout,
    /// OpenSSL or the socket failed.
    Failed(SocketError),
}

/// A stack's text for a server that closes without ending TLS.
fn end_of_stream(stack: Stack, openssl: OpensslLine) -> &'static str {
    match stack {
        // Older OpenSSL takes it for an error of the system's, and LuaSec finds none.
        Stack::Luasec if openssl >= OpensslLine(3, 0) => "unexpected eof while reading",
        _ => "closed",
    }
}

/// A stack's text for an error of the system's.
fn system_error(stack: Stack, error: &io::Error) -> SocketError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match (stack, error.kind()) {
        // LuaSocket has one word for every way in which a connection may be gone.
        (_, UnexpectedEof) | (Stack::Luasec, ConnectionReset | BrokenPipe | ConnectionAborted) => "closed".into(),
        // The system's words, without what Rust adds to them.
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase().as_str().into(),
    }
}

/// OpenSSL's number for errors of the system.
const ERR_LIB_SYS: i32 = 2;
/// That for errors of its providers, which are new in OpenSSL 3.0.
const ERR_LIB_PROV: i32 = 57;

/// The first error's reason, as `ERR_reason_error_string(ERR_get_error())` returns it: `(null)` for the system's own.
pub(crate) fn reason(errors: &ErrorStack, openssl: OpensslLine) -> String {
    let is_known =
        |error: &&openssl::error::Error| openssl >= OpensslLine(3, 0) || error.library_code() != ERR_LIB_PROV;
    let first = errors.errors().iter().find(is_known).and_then(openssl::error::Error::reason);
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

/// The alert behind the reason of an error: OpenSSL's reasons for received alerts are their numbers plus a thousand.
fn alert(reason: i32) -> Option<&'static str> {
    ALERTS.into_iter().find(|(number, _)| reason == number + 1000).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use openssl::ssl::{SslContext, SslMethod};
    use rstest::rstest;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    /// A socket whose peer writes `bytes` and closes, or stays silent.
    async fn socket(stack: Stack, bytes: &'static [u8], closes: bool) -> Socket {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(bytes).await.expect("written");
            if !closes {
                std::future::pending::<()>().await;
            }
        });
        let limit = Duration::from_millis(200);
        Socket::connect("127.0.0.1", port, stack, OpensslLine(3, 4), limit, None).await.expect("connected")
    }

    #[tokio::test]
    async fn bytes_are_received_in_the_pieces_that_are_asked_for() {
        let mut socket = socket(Stack::Cosocket, b"abc", true).await;
        assert_eq!(socket.receive(1).await.expect("a byte"), &b"a"[..]);
        assert_eq!(socket.receive(2).await.expect("two bytes"), &b"bc"[..]);
        assert_eq!(socket.receive(1).await, Err("closed".into()));
    }

    fn session() -> TlsSession {
        let context = SslContext::builder(SslMethod::tls_client()).expect("a context").build();
        TlsSession { ssl: Ssl::new(&context).expect("a session"), refuses_from: None }
    }

    #[rstest]
    #[case(Stack::Luasec, None)]
    #[case(Stack::Cosocket, Some(b'X'))]
    #[tokio::test]
    async fn what_comes_with_the_answer_to_the_request_for_tls(#[case] stack: Stack, #[case] kept: Option<u8>) {
        let mut socket = socket(stack, b"SX", true).await;
        socket.receive(1).await.expect("a byte");
        let (mut socket, _) = socket.handshake(session()).await;
        assert_eq!(socket.receive(1).await.ok().map(|byte| byte[0]), kept);
    }

    /// Whether the system refuses to write, or has nothing to read.
    #[rstest]
    #[case(Stack::Luasec, "closed")]
    #[case(Stack::Cosocket, "connection reset by peer")]
    #[tokio::test]
    async fn a_handshake_that_is_reset_has_the_systems_error(
        #[case] stack: Stack,
        #[case] text: &str,
        #[values(true, false)] before: bool,
    ) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let resetting = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            if !before {
                stream.readable().await.expect("a ClientHello");
            }
            stream.set_zero_linger().expect("a reset");
        });
        let limit = Duration::from_secs(5);
        let socket = Socket::connect("127.0.0.1", port, stack, OpensslLine(3, 4), limit, None).await;
        if before {
            resetting.await.expect("the server");
        }
        let (_, done) = socket.expect("connected").handshake(session()).await;
        assert!(matches!(&done, Err(HandshakeError::Failed(error)) if error.text == text), "{done:?}");
    }

    #[tokio::test]
    async fn an_old_version_that_is_refused_has_openssl_s_text() {
        let socket = socket(Stack::Luasec, b"\x16\x03\x02\0\x01\0", false).await;
        let (_, done) = socket.handshake(TlsSession { refuses_from: Some(1), ..session() }).await;
        assert!(matches!(&done, Err(HandshakeError::Failed(error)) if error.text == OLD_SIGNATURE), "{done:?}");
    }

    #[tokio::test]
    async fn a_silent_server_runs_into_the_limit() {
        assert_eq!(socket(Stack::Luasec, b"", false).await.receive(1).await, Err("timeout".into()));
    }

    #[tokio::test]
    async fn nobody_listening_is_a_refused_connection() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let limit = Duration::from_secs(1);
        let error = Socket::connect("127.0.0.1", port, Stack::Luasec, OpensslLine(3, 4), limit, None).await.err();
        assert_eq!(error.map(|error| error.text).as_deref(), Some("connection refused"));
    }

    #[rstest]
    #[case(Stack::Luasec, io::ErrorKind::ConnectionReset, "closed")]
    #[case(Stack::Luasec, io::ErrorKind::BrokenPipe, "closed")]
    #[case(Stack::Cosocket, io::ErrorKind::UnexpectedEof, "closed")]
    fn a_connection_that_is_gone_has_a_text(#[case] stack: Stack, #[case] kind: io::ErrorKind, #[case] text: &str) {
        assert_eq!(system_error(stack, &kind.into()), text.into());
    }

    #[rstest]
    #[case(Stack::Luasec, OpensslLine(3, 0), "unexpected eof while reading")]
    #[case(Stack::Luasec, OpensslLine(1, 1), "closed")]
    #[case(Stack::Cosocket, OpensslLine(3, 0), "closed")]
    fn the_end_of_a_handshake_has_a_text(#[case] stack: Stack, #[case] line: OpensslLine, #[case] text: &str) {
        assert_eq!(end_of_stream(stack, line), text);
    }

    #[test]
    fn openssl_numbers_the_alerts_that_it_receives() {
        assert_eq!(
            [1040, 1116, 40, 1000].map(alert),
            [Some("handshake_failure"), Some("certificate_required"), None, None]
        );
    }

    #[tokio::test]
    async fn each_stack_has_its_words_for_a_negative_number_of_bytes() {
        let [luasec, cosocket] = [Stack::Luasec, Stack::Cosocket].map(|stack| socket(stack, b"", true));
        assert!(luasec.await.negative_count().ends_with("(invalid receive pattern)"));
        assert!(cosocket.await.negative_count().ends_with("(bad pattern argument)"));
    }

    #[tokio::test]
    async fn a_server_may_send_as_much_again_for_each_query() {
        let mut socket = socket(Stack::Cosocket, b"abc", false).await;
        socket.receive(3).await.expect("three bytes");
        let allowance = |socket: &Socket| socket.tcp().allowance();
        assert_eq!(allowance(&socket), limits::BYTES - 3);
        socket.renew_allowance();
        assert_eq!(allowance(&socket), limits::BYTES);
    }

    #[test]
    fn openssl_1_1_1_has_no_providers_that_report_errors() {
        let padded = openssl::symm::decrypt(openssl::symm::Cipher::aes_128_cbc(), &[0; 16], Some(&[0; 16]), &[0; 16]);
        let stacks = [padded.expect_err("wrong padding"), X509::from_pem(b"").expect_err("no PEM")];
        stacks.iter().flat_map(ErrorStack::errors).for_each(openssl::error::Error::put);
        let errors = ErrorStack::get();
        assert_eq!(reason(&errors, OpensslLine(3, 0)), "bad decrypt");
        assert_eq!(reason(&errors, OpensslLine(1, 1)), "no start line");
    }

    #[test]
    fn a_cosocket_has_the_systems_text_in_lower_case() {
        let error = io::Error::from_raw_os_error(104);
        assert_eq!(system_error(Stack::Cosocket, &error), "connection reset by peer".into());
    }
}
