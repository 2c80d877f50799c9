//! TLS at either side of a proxy: rustls towards Kong, as in a modern proxy.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use certificate_trees::Certificate;

/// A TLS server configuration that presents a certificate.
pub(super) fn acceptor(certificate: &Certificate) -> io::Result<Arc<ServerConfig>> {
    let chain = vec![CertificateDer::from(certificate.x509.to_der()?)];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.key.private_key_to_pkcs8()?));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    config.map(Arc::new).map_err(io::Error::other)
}

/// The protocol that a client speaks.
pub(super) enum Accepted {
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// Something else; it has been sent an alert.
    NoTls(TcpStream),
}

/// Ends TLS. `named_only` closes the connection of a client that names no server.
pub(super) async fn accept(stream: TcpStream, config: Arc<ServerConfig>, named_only: bool) -> io::Result<Accepted> {
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(error) => return acceptor.take_io().map(Accepted::NoTls).ok_or(error),
    };
    if named_only && start.client_hello().server_name().is_none() {
        return Err(io::Error::other("the client names no server"));
    }
    start.into_stream(config).await.map(|stream| Accepted::Tls(Box::new(stream)))
}

/// Begins TLS towards the server without verifying it, as a proxy beside the server rarely does.
pub(super) async fn connect(stream: TcpStream) -> io::Result<Pin<Box<SslStream<TcpStream>>>> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    let mut stream = Box::pin(SslStream::new(Ssl::new(&context.build())?, stream)?);
    stream.as_mut().connect().await.map_err(io::Error::other)?;
    Ok(stream)
}
