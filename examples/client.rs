//! A client for `kong-pg-tls run --client-command`: tokio-postgres over OpenSSL. What it is asked, and what it may
//! answer, is in `docs/client-protocol.md`.

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use openssl::ssl::{Ssl, SslConnector, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use tokio_postgres::config::{Config, SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, NoTls, TlsConnect, TlsStream};
use tokio_postgres::{Client, SimpleQueryMessage};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The line for a cell, as far as it is of interest here.
#[derive(Deserialize)]
struct Cell {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
    timeout_ms: u64,
    tls: bool,
    tls_required: bool,
    tls_verify: bool,
    tls_versions: Vec<String>,
    trusted: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let mut open: Option<Client> = None;
    for line in io::stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let answer = match line["kind"].as_str() {
            Some("connect") => {
                open = None;
                match connect(&serde_json::from_value(line)?).await {
                    Ok((client, answer)) => {
                        open = Some(client);
                        answer
                    }
                    Err(error) => refused(&*error),
                }
            }
            Some("again") => match &open {
                Some(client) => match version(client).await {
                    Ok(version) => json!({ "outcome": "connected", "server_version_num": version }),
                    Err(error) => refused(&error),
                },
                None => json!({ "outcome": "refused", "error": "no connection is open" }),
            },
            Some("close") => {
                open = None;
                json!({ "outcome": "closed" })
            }
            _ => json!({ "outcome": "unsupported" }),
        };
        println!("{answer}");
    }
    Ok(())
}

fn refused(error: &dyn std::error::Error) -> Value {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    json!({ "outcome": "refused", "error": format!("{error}{cause}") })
}

async fn connect(cell: &Cell) -> Result<(Client, Value), Fault> {
    let limit = Duration::from_millis(cell.timeout_ms);
    let (client, tls) = tokio::time::timeout(limit, log_in(cell)).await??;
    let pid: i32 = ask(&client, "SELECT pg_backend_pid()").await?.parse()?;
    let server_version_num = version(&client).await?;
    let answer = json!({ "outcome": "connected", "pid": pid, "server_version_num": server_version_num, "tls": tls });
    Ok((client, answer))
}

async fn log_in(cell: &Cell) -> Result<(Client, Option<String>), Fault> {
    let mut stream = TcpStream::connect((cell.host.as_str(), cell.port)).await?;
    let mut config = Config::new();
    config.user(&cell.user).dbname(&cell.database);
    if let Some(password) = &cell.password {
        config.password(password);
    }
    if !cell.tls || !ask_for_tls(&mut stream, cell.tls_required).await? {
        let (client, connection) = config.ssl_mode(SslMode::Disable).connect_raw(stream, NoTls).await?;
        tokio::spawn(connection);
        return Ok((client, None));
    }
    let mut stream = SslStream::new(tls(cell)?, stream)?;
    Pin::new(&mut stream).connect().await?;
    let version = stream.ssl().version_str().to_owned();
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let (client, connection) = config.connect_raw(InTls(stream), Ready).await?;
    tokio::spawn(connection);
    Ok((client, Some(version)))
}

async fn ask_for_tls(stream: &mut TcpStream, required: bool) -> Result<bool, Fault> {
    stream.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f").await?;
    match stream.read_u8().await? {
        b'S' => Ok(true),
        b'N' if !required => Ok(false),
        _ => Err("the server does not speak TLS".into()),
    }
}

fn tls(cell: &Cell) -> Result<Ssl, Fault> {
    let version = |name: &String| match name.as_str() {
        "TLSv1.3" => SslVersion::TLS1_3,
        "TLSv1.2" => SslVersion::TLS1_2,
        "TLSv1.1" => SslVersion::TLS1_1,
        _ => SslVersion::TLS1,
    };
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(cell.tls_versions.first().map(version))?;
    builder.set_max_proto_version(cell.tls_versions.last().map(version))?;
    builder.set_verify(if cell.tls_verify { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
    if let Some(trusted) = cell.trusted.as_ref().filter(|_| cell.tls_verify) {
        builder.set_ca_file(trusted)?;
    }
    if let (Some(certificate), Some(key)) = (&cell.certificate, &cell.key) {
        builder.set_certificate_chain_file(certificate)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
    }
    Ok(builder.build().configure()?.use_server_name_indication(false).verify_hostname(false).into_ssl(&cell.host)?)
}

async fn version(client: &Client) -> Result<String, tokio_postgres::Error> {
    ask(client, "SHOW server_version_num").await
}

async fn ask(client: &Client, question: &str) -> Result<String, tokio_postgres::Error> {
    let messages = client.simple_query(question).await?;
    let answer = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(answer.unwrap_or_default().to_owned())
}

/// A stream that speaks TLS already, for a driver that would begin with it.
struct InTls(SslStream<TcpStream>);

/// What hands it over.
struct Ready;

impl TlsConnect<InTls> for Ready {
    type Stream = InTls;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<InTls>>;
    fn connect(self, stream: InTls) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}

impl TlsStream for InTls {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for InTls {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for InTls {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
