//! How a proxy behaves towards one connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kong_pg_scenarios::vocabulary::Behaviour;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::TcpStream;

use super::tamper::{Sender, tamper};
use super::tls::{self, Accepted};
use super::upstream::Upstream;

/// PostgreSQL's SSLRequest message.
const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
/// An error in PostgreSQL's protocol.
const ERROR: &[u8] = b"E\0\0\0\x2bSFATAL\0VFATAL\0C08P01\0Mno such luck\0\0";
/// The text of Azure's gateway, as Kong's support article on pg_ssl_version quotes it.
const VERSION_REFUSED: &str =
    "TLS version used does not meet minimal requirements for this server. Please use a higher TLS version and retry.";
/// A request for the password in clear text.
const PASSWORD_REQUEST: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

/// Serves one connection to its end.
pub(super) async fn serve(
    behaviour: Behaviour,
    stream: TcpStream,
    upstream: Upstream,
    acceptor: Option<Arc<ServerConfig>>,
) {
    // There is nobody to report an error to; the client notices the end.
    let _ = try_serve(behaviour, stream, upstream, acceptor).await;
}

async fn try_serve(
    behaviour: Behaviour,
    mut stream: TcpStream,
    upstream: Upstream,
    acceptor: Option<Arc<ServerConfig>>,
) -> io::Result<()> {
    let request = &mut [0; 8];
    match behaviour {
        Behaviour::IsSilent => return drain(&mut stream).await,
        Behaviour::ClosesAtOnce => return end(stream).await,
        Behaviour::PassesThrough => return forward(stream, upstream.connect().await?).await,
        Behaviour::Dribbles => return dribble(stream, upstream.connect().await?).await,
        Behaviour::TakesTlsAtOnce => return end_tls(stream, upstream, acceptor, false).await,
        _ => stream.read_exact(request).await?,
    };
    match behaviour {
        Behaviour::AnswersNo => {
            stream.write_all(b"N").await?;
            forward(stream, upstream.connect().await?).await
        }
        Behaviour::AnswersNoAndCloses => send_and_end(stream, b"N").await,
        Behaviour::AnswersAnError => send_and_end(stream, ERROR).await,
        Behaviour::AnswersHttp => send_and_end(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
        Behaviour::AnswersYesAndCloses => send_and_end(stream, b"S").await,
        Behaviour::AnswersYesAndIsSilent => {
            stream.write_all(b"S").await?;
            drain(&mut stream).await
        }
        Behaviour::AnswersYesAndTalksGarbage => {
            stream.write_all(b"S").await?;
            stream.read_u8().await?;
            send_and_end(stream, &[b'?'; 64]).await
        }
        Behaviour::ResetsInTheHandshake => {
            stream.write_all(b"S").await?;
            stream.read_u8().await?;
            // Closing now sends a reset instead of the end of the stream.
            stream.set_zero_linger()
        }
        Behaviour::StuffsAnError => stuff(stream, upstream, ERROR).await,
        Behaviour::StuffsAPasswordRequest => stuff(stream, upstream, PASSWORD_REQUEST).await,
        Behaviour::AltersClientData | Behaviour::AltersServerData => {
            let server = ask_for_tls(&upstream).await?;
            stream.write_all(b"S").await?;
            let of = if behaviour == Behaviour::AltersClientData { Sender::Client } else { Sender::Server };
            tamper(stream, server, of).await
        }
        Behaviour::RoutesByName | Behaviour::EndsTls => {
            stream.write_all(b"S").await?;
            end_tls(stream, upstream, acceptor, behaviour == Behaviour::RoutesByName).await
        }
        Behaviour::RefusesTheVersionInsideTls => {
            stream.write_all(b"S").await?;
            refuse_inside_tls(stream, acceptor).await
        }
        Behaviour::IsSilent
        | Behaviour::ClosesAtOnce
        | Behaviour::PassesThrough
        | Behaviour::Dribbles
        | Behaviour::TakesTlsAtOnce => Ok(()),
    }
}

/// A connection to the server, which has agreed to TLS.
async fn ask_for_tls(upstream: &Upstream) -> io::Result<TcpStream> {
    let mut server = upstream.connect().await?;
    server.write_all(SSL_REQUEST).await?;
    match server.read_u8().await? {
        b'S' => Ok(server),
        _ => Err(io::Error::other("the server does not speak TLS")),
    }
}

/// Terminates TLS, and starts a TLS connection of its own to the server.
async fn end_tls(
    stream: TcpStream,
    upstream: Upstream,
    acceptor: Option<Arc<ServerConfig>>,
    named_only: bool,
) -> io::Result<()> {
    let config = acceptor.ok_or_else(|| io::Error::other("no certificate to show"))?;
    match tls::accept(stream, config, named_only).await? {
        Accepted::Tls(mut client) => {
            let mut server = tls::connect(ask_for_tls(&upstream).await?).await?;
            let copied = copy_bidirectional(&mut client, &mut server).await.map(drop);
            // A client may leave without close_notify; a proxy sends one all the same.
            server.shutdown().await?;
            copied
        }
        Accepted::NoTls(stream) => end(stream).await,
    }
}

/// Ends TLS, and answers whatever the client sends with an error.
async fn refuse_inside_tls(stream: TcpStream, acceptor: Option<Arc<ServerConfig>>) -> io::Result<()> {
    let config = acceptor.ok_or_else(|| io::Error::other("no certificate to show"))?;
    let Accepted::Tls(mut client) = tls::accept(stream, config, false).await? else { return Ok(()) };
    client.read_u8().await?;
    let body = format!("SFATAL\0VFATAL\0C28000\0M{VERSION_REFUSED}\0\0");
    let length = u32::try_from(body.len() + 4).map_err(io::Error::other)?;
    client.write_all(&[b"E", &length.to_be_bytes()[..], body.as_bytes()].concat()).await?;
    client.shutdown().await?;
    copy(&mut client, &mut tokio::io::sink()).await.map(drop)
}

/// Appends bytes to the server's answer, in the same segment.
async fn stuff(mut stream: TcpStream, upstream: Upstream, bytes: &[u8]) -> io::Result<()> {
    let server = ask_for_tls(&upstream).await?;
    stream.write_all(&[b"S", bytes].concat()).await?;
    forward(stream, server).await
}

async fn forward(mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn send_and_end(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    end(stream).await
}

/// Ends the stream, and reads until the client ends its own: closing with unread data would send a reset, which
/// overtakes what was sent before.
async fn end(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    drain(&mut stream).await
}

async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    copy(stream, &mut tokio::io::sink()).await.map(drop)
}

async fn dribble(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async { copy(&mut from_client, &mut to_server).await.map(drop) };
    tokio::select! {
        done = up => done,
        done = byte_by_byte(&mut from_server, &mut to_client) => done,
    }
}

async fn byte_by_byte(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let byte = from.read_u8().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        to.write_all(&[byte]).await?;
    }
}
