//! A strict client: tokio-postgres over rustls, with rustls' own verification of the server, its name
//! included. It shows what a server's certificates are worth outside Kong.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use kong_pg_client::Stage;
use kong_pg_client::{Refusal, combine};
use kong_pg_scenarios::vocabulary::TlsVersion;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::X509;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};
use tokio_rustls::TlsConnector;
use tokio_rustls::client;

use ::rustls::client::danger::ServerCertVerifier;
use ::rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use ::rustls::crypto::ring;
use ::rustls::pki_types::pem::PemObject;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use ::rustls::version::{TLS12, TLS13};
use ::rustls::{ClientConfig, NamedGroup, RootCertStore, SupportedProtocolVersion};

use super::accept_any::AcceptAny;
use super::limited::Limited;
use super::{Attempt, Client, ClientError, Established, Open, Repeater, Task, Tuning, translate};

/// In process, and so always here.
pub(super) struct RustlsClient;

#[async_trait]
impl Client for RustlsClient {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let tls = if task.settings.ssl { Some(configuration(task, Tuning::default())?) } else { None };
        let mut seen = Seen::default();
        let result = connect_in_time(task, tls, false, &mut seen).await;
        let result = result.map(|session| Established::open(session.pid, session));
        Ok(Attempt {
            result,
            connections: Some(usize::from(seen.stage != Stage::Connect)),
            certificate: seen.certificate,
        })
    }

    async fn repeater(&self, task: &Task, tuning: Tuning) -> Result<Box<dyn Repeater>, ClientError> {
        let tls = if task.settings.ssl { Some(configuration(task, tuning)?) } else { None };
        let tls = tls.transpose().map_err(|error| ClientError::environment("configure rustls", error))?;
        Ok(Box::new(Configured { task: task.clone(), tls, direct: tuning.direct, open: None }))
    }

    fn about(&self) -> String {
        "built in: tokio-postgres over rustls, verifying with webpki".into()
    }
}

/// A client with its files read.
struct Configured {
    task: Task,
    tls: Option<Arc<ClientConfig>>,
    direct: bool,
    open: Option<Session>,
}

#[async_trait]
impl Repeater for Configured {
    async fn connect(&mut self) -> Result<i32, Refusal> {
        let tls = self.tls.clone().map(Ok);
        let session = connect_in_time(&self.task, tls, self.direct, &mut Seen::default()).await?;
        Ok(self.open.insert(session).pid)
    }

    async fn disconnect(&mut self) -> bool {
        if let Some(session) = self.open.take() {
            Box::new(session).close().await;
        }
        true
    }
}

/// How far an attempt has come, and what it has seen.
struct Seen {
    stage: Stage,
    certificate: Option<X509>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { stage: Stage::Connect, certificate: None }
    }
}

/// A configuration of rustls, or why it cannot use the client's files.
type Tls = Result<Arc<ClientConfig>, TlsFilesError>;

/// Why rustls cannot use its files.
#[derive(Debug, thiserror::Error)]
enum TlsFilesError {
    #[error("a file of the client certificate is missing")]
    Missing,
    #[error("the key of the client certificate is encrypted")]
    Encrypted,
    #[error("{}", .0.text)]
    Trusted(Refusal),
    #[error(transparent)]
    Pem(#[from] ::rustls::pki_types::pem::Error),
    #[error(transparent)]
    Rustls(#[from] ::rustls::Error),
    #[error(transparent)]
    Verifier(#[from] VerifierBuilderError),
}

async fn connect_in_time(task: &Task, tls: Option<Tls>, direct: bool, seen: &mut Seen) -> Result<Session, Refusal> {
    let limit = Duration::from_millis(task.settings.timeout_ms);
    match tokio::time::timeout(limit, connect(task, tls, direct, seen)).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::in_other_words(seen.stage, &format!("not done after {} ms", limit.as_millis()))),
    }
}

async fn connect(task: &Task, tls: Option<Tls>, direct: bool, seen: &mut Seen) -> Result<Session, Refusal> {
    let settings = &task.settings;
    let io = |stage| move |error: io::Error| Refusal::in_other_words(stage, &error.to_string());
    let stream = TcpStream::connect((settings.host.as_str(), settings.port)).await.map_err(io(Stage::Connect))?;
    // A startup message must not wait for the acknowledgement of the handshake's last flight.
    let _ = stream.set_nodelay(true);
    let mut stream = Limited::new(stream);
    let mut config = Config::new();
    config.user(&settings.user).dbname(&settings.database);
    if let Some(password) = &settings.password {
        config.password(password);
    }
    seen.stage = Stage::SslRequest;
    let in_tls = match tls {
        Some(tls) if direct || ask_for_tls(&mut stream, settings.ssl_required).await? => Some(tls),
        _ => None,
    };
    let Some(tls) = in_tls else {
        seen.stage = Stage::Auth;
        let (client, connection) =
            config.ssl_mode(SslMode::Disable).connect_raw(stream, NoTls).await.map_err(|error| refusal(&error))?;
        return Session::begin(client, connection).await;
    };
    seen.stage = Stage::Handshake;
    let config_of_tls = tls.map_err(|error| Refusal::in_other_words(Stage::Configure, &error.to_string()))?;
    let name = ServerName::try_from(settings.host.clone());
    let name = name.map_err(|error| Refusal::in_other_words(Stage::Configure, &error.to_string()))?;
    let stream = TlsConnector::from(config_of_tls).connect(name, stream).await.map_err(io(Stage::Handshake))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| X509::from_der(chain.first()?).ok());
    seen.certificate.clone_from(&certificate);
    seen.stage = Stage::Auth;
    // The server has been asked already, and the stream is ready.
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let ready = ReadyStream { stream, certificate };
    let (client, connection) = config.connect_raw(ready, HandOver).await.map_err(|error| refusal(&error))?;
    Session::begin(client, connection).await
}

/// Asks as Kong does: whatever is not `S` means plaintext, unless TLS is required.
async fn ask_for_tls(stream: &mut Limited, required: bool) -> Result<bool, Refusal> {
    let refused = |text: &str| Refusal::in_other_words(Stage::SslRequest, text);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(|error| refused(&error.to_string()))?;
    match stream.read_u8().await.map_err(|error| refused(&error.to_string()))? {
        b'S' => Ok(true),
        b'N' if !required => Ok(false),
        b'N' => Err(refused("the server does not speak TLS")),
        other => Err(refused(&format!("the server answers {:?} when it is asked for TLS", char::from(other)))),
    }
}

fn configuration(task: &Task, tuning: Tuning) -> Result<Tls, ClientError> {
    let of = |version: TlsVersion| -> Option<&'static SupportedProtocolVersion> {
        match version {
            TlsVersion::V1_2 => Some(&TLS12),
            TlsVersion::V1_3 => Some(&TLS13),
            _ => None,
        }
    };
    let offered = translate::offered(&task.settings, &task.profile, task.stack)?;
    let versions: Vec<_> = offered.into_iter().filter_map(of).collect();
    if versions.is_empty() {
        return Err(ClientError::Unsupported("rustls speaks TLS 1.2 and TLS 1.3 only".into()));
    }
    let client = client_certificate(task)?;
    let built = build(task, &versions, tuning.group, client).map(|mut config| {
        if tuning.direct {
            // Without it, a server takes a connection that begins with TLS for one of another protocol.
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Arc::new(config)
    });
    Ok(built)
}

/// The client's certificates and its key; nothing, if there are none.
type Own = Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>;

/// Both files are needed: without either rustls shows nothing.
fn client_certificate(task: &Task) -> Result<Result<Own, TlsFilesError>, ClientError> {
    let (Some(certificate), Some(key)) = (&task.settings.ssl_cert, &task.settings.ssl_cert_key) else {
        return Ok(Ok(None));
    };
    let (Some(certificate), Some(key)) = (translate::read(certificate)?, translate::read(key)?) else {
        return Ok(Err(TlsFilesError::Missing));
    };
    if key.windows(9).any(|word| word == b"ENCRYPTED") {
        return Ok(Err(TlsFilesError::Encrypted));
    }
    let read = || {
        let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>()?;
        Ok(Some((chain, PrivateKeyDer::from_pem_slice(&key)?)))
    };
    Ok(read())
}

fn build(
    task: &Task,
    versions: &[&'static SupportedProtocolVersion],
    group: Option<&str>,
    client: Result<Own, TlsFilesError>,
) -> Result<ClientConfig, TlsFilesError> {
    let mut provider = ring::default_provider();
    if let Some(group) = group {
        provider.kx_groups.retain(|offered| openssl_name(offered.name()) == Some(group));
    }
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let verifier: Arc<dyn ServerCertVerifier> = if task.settings.ssl_verify {
        let mut roots = RootCertStore::empty();
        if let Some(trusted) = combine(&task.settings).map_err(TlsFilesError::Trusted)? {
            for certificate in CertificateDer::pem_file_iter(trusted)? {
                roots.add(certificate?)?;
            }
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?
    } else {
        Arc::new(AcceptAny(provider))
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match client? {
        Some((chain, key)) => Ok(builder.with_client_auth_cert(chain, key)?),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn openssl_name(group: NamedGroup) -> Option<&'static str> {
    match group {
        NamedGroup::X25519 => Some("X25519"),
        NamedGroup::secp256r1 => Some("P-256"),
        NamedGroup::secp384r1 => Some("P-384"),
        _ => None,
    }
}

/// A stream in TLS already.
struct ReadyStream {
    stream: client::TlsStream<Limited>,
    certificate: Option<X509>,
}

impl AsyncRead for ReadyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ReadyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl TlsStream for ReadyStream {
    /// RFC 5929: the digest of the certificate's own signature, SHA-256 where that is weaker.
    fn channel_binding(&self) -> ChannelBinding {
        let digest = |certificate: &X509| {
            let signature = certificate.signature_algorithm().object().nid().signature_algorithms()?;
            let digest = match signature.digest {
                Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
                other => MessageDigest::from_nid(other)?,
            };
            certificate.digest(digest).ok().map(|digest| digest.to_vec())
        };
        self.certificate
            .as_ref()
            .and_then(digest)
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// Hands the stream over as it is.
struct HandOver;

impl TlsConnect<ReadyStream> for HandOver {
    type Stream = ReadyStream;
    type Error = io::Error;
    type Future = Ready<io::Result<ReadyStream>>;

    fn connect(self, stream: ReadyStream) -> Self::Future {
        ready(Ok(stream))
    }
}

/// An error of tokio-postgres, without its introduction where there is a cause.
fn refusal(error: &tokio_postgres::Error) -> Refusal {
    if let Some(server) = error.as_db_error() {
        let text = format!("{}: {}", server.severity(), server.message());
        return Refusal { sqlstate: Some(server.code().code().into()), ..Refusal::in_other_words(Stage::Auth, &text) };
    }
    let source = std::error::Error::source(error).map(ToString::to_string);
    Refusal::in_other_words(Stage::Auth, &source.unwrap_or_else(|| error.to_string()))
}

/// An open connection.
struct Session {
    client: tokio_postgres::Client,
    /// What drives it; it ends with this value.
    connection: JoinSet<()>,
    pid: i32,
}

impl Session {
    async fn begin(
        client: tokio_postgres::Client,
        connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
    ) -> Result<Self, Refusal> {
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // A failure also ends the next query.
            let _ = connection.await;
        });
        let mut session = Self { client, connection: driver, pid: 0 };
        session.pid = session.ask("SELECT pg_backend_pid()").await?.parse().unwrap_or_default();
        session.ask("SHOW server_version_num").await?;
        Ok(session)
    }

    async fn ask(&self, question: &str) -> Result<String, Refusal> {
        let messages = self.client.simple_query(question).await;
        let messages = messages.map_err(|error| Refusal { stage: Stage::Query, ..refusal(&error) })?;
        let answer = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(answer.unwrap_or_default().to_owned())
    }
}

#[async_trait]
impl Open for Session {
    async fn ask_again(&mut self) -> Result<(), Refusal> {
        self.ask("SHOW server_version_num").await.map(drop)
    }

    async fn close(self: Box<Self>) {
        let Self { client, mut connection, .. } = *self;
        drop(client);
        connection.join_next().await;
    }
}
