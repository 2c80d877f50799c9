//! A TLS handshake without a login, to see what the server sends.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::plan::Plan;

/// What the server answers to the question whether it speaks TLS.
#[derive(Debug)]
pub enum Answer {
    /// The host's name leads nowhere: why.
    Unresolved(String),
    /// There is no connection, or no answer: why.
    Unreachable(String),
    /// Yes, and then this.
    Tls(Sent),
    /// Yes, and then no handshake comes about: why.
    NoHandshake(HandshakeError),
    /// It has no TLS.
    No,
    /// Something that no PostgreSQL says: what it looks like.
    Strange(String),
}

/// Why no handshake comes about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It takes too long.
    #[error("the handshake is not done within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// OpenSSL cannot begin.
    #[error(transparent)]
    OpenSsl(#[from] ErrorStack),
    /// It fails.
    #[error(transparent)]
    Tls(#[from] openssl::ssl::Error),
}

/// What the server sent in the handshake.
#[derive(Debug)]
pub struct Sent {
    /// The TLS version.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// Its certificates, in the order in which they came.
    pub chain: Vec<X509>,
}

/// Opens a connection and asks for TLS. The answer is one byte.
///
/// # Errors
/// There is no connection, or no answer.
pub(super) async fn ask(plan: &Plan) -> Result<(TcpStream, Option<u8>), Answer> {
    let (host, port) = (plan.settings.host.as_str(), plan.settings.port);
    let resolved = within(plan.limit, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<_> = match resolved {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Err(Answer::Unresolved(format!("{host} cannot be resolved: {}", reason(&error)))),
    };
    let connected = within(plan.limit, TcpStream::connect(addresses.as_slice())).await;
    let mut stream = connected
        .map_err(|error| Answer::Unreachable(format!("no connection to {host}:{port}: {}", reason(&error))))?;
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let mut answer = [0];
    let asked = async {
        stream.write_all(&request).await?;
        stream.read(&mut answer).await
    };
    match within(plan.limit, asked).await {
        Ok(0) => Ok((stream, None)),
        Ok(_) => Ok((stream, Some(answer[0]))),
        Err(error) => Err(Answer::Unreachable(format!("no answer to the question for TLS: {}", reason(&error)))),
    }
}

pub(super) async fn within<T>(limit: Duration, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(limit, doing).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing within {} s", limit.as_secs_f32()))),
    }
}

fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().replace("failed to lookup address information: ", "")
}

pub(super) async fn probe(plan: &Plan) -> Answer {
    let (mut stream, answer) = match ask(plan).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    match answer {
        Some(b'S') => match handshake(stream, plan.limit).await {
            Ok(sent) => Answer::Tls(sent),
            Err(why) => Answer::NoHandshake(why),
        },
        Some(b'N') => Answer::No,
        None => Answer::Strange("it closes the connection".into()),
        Some(first) => {
            let mut rest = vec![first];
            // What it says may help to tell what it is; if it says no more, the first byte has to do.
            let _ = within(plan.limit.min(Duration::from_secs(1)), stream.read_buf(&mut rest)).await;
            Answer::Strange(describe(&rest))
        }
    }
}

/// What an answer looks like.
fn describe(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(60).collect();
    match bytes {
        [b'E', ..] => format!("it answers with an error: {text}"),
        [b'H', b'T', b'T', b'P', ..] => format!("it speaks HTTP: {text}"),
        [0x15 | 0x16, 3, ..] => "it speaks TLS at once, without being asked as PostgreSQL is".into(),
        _ => format!("it answers something that no PostgreSQL says: {text}"),
    }
}

/// A handshake that takes any certificate.
async fn handshake(stream: TcpStream, limit: Duration) -> Result<Sent, HandshakeError> {
    let ssl = || {
        let mut builder = SslContext::builder(SslMethod::tls_client())?;
        builder.set_verify(SslVerifyMode::NONE);
        // To see certificates that Kong refuses.
        builder.set_security_level(0);
        Ssl::new(&builder.build())
    };
    let ssl = ssl()?;
    let mut stream = SslStream::new(ssl, stream)?;
    let shaken = tokio::time::timeout(limit, Pin::new(&mut stream).connect()).await;
    match shaken {
        Err(_) => return Err(HandshakeError::Timeout(limit)),
        Ok(Err(error)) => return Err(error.into()),
        Ok(Ok(())) => {}
    }
    let ssl = stream.ssl();
    let chain = ssl.peer_cert_chain().map(|chain| chain.iter().map(ToOwned::to_owned).collect());
    let cipher = ssl.current_cipher().map(|cipher| cipher.name().to_owned()).unwrap_or_default();
    Ok(Sent { version: ssl.version_str().to_owned(), cipher, chain: chain.unwrap_or_default() })
}
