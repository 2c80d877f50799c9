//! The CAs whose certificates a server asks for. OpenSSL's bindings do not show them, so another handshake is made.

use std::sync::{Arc, Mutex, PoisonError};

use openssl::x509::X509Name;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::Plan;
use super::probe::{ask, within};
use crate::client::AcceptAny;

/// Keeps what the server asks for, and has no certificate for it.
#[derive(Debug, Default)]
struct Asked(Mutex<Option<Vec<String>>>);

impl ResolvesClientCert for Asked {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = |der: &&[u8]| X509Name::from_der(der).ok().map(|name| certificate_trees::oneline(&name));
        let names = authorities.iter().filter_map(name).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The names of the CAs; `None` if the server asks for no certificate.
pub(super) async fn ask_for_authorities(plan: &Plan) -> Option<Vec<String>> {
    let (stream, answer) = ask(plan).await.ok()?;
    answer.filter(|answer| *answer == b'S')?;
    let asked = Arc::new(Asked::default());
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let config = builder
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        // Nothing is sent over this connection.
        .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        .with_client_cert_resolver(asked.clone());
    let name = ServerName::try_from("postgresql").ok()?;
    // A server that refuses the lack of a certificate has asked for one before.
    let _ = within(plan.limit, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    asked.0.lock().unwrap_or_else(PoisonError::into_inner).take()
}
