//! TLS on an nginx cosocket: nginx's OpenSSL context, lua-nginx-module's handshake.
//!
//! The certificate is looked at after the handshake, which a callback lets pass whatever is wrong; what is reported is
//! the last fault seen, with its number. The server is sent no alert, and has the client's certificate by then.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslVerifyMode};
use openssl::x509::{X509, X509VerifyResult};

use super::driver::Fault;
use super::profile::Driver;
use super::settings::{self, Settings};
use super::socket::{HandshakeError, Socket, TlsSession, reason};
use super::spelling::to_release_wording;
use super::start::Kong;
use crate::OpensslLine;
use crate::Stage;

/// nginx sends the certificates of the client's file and never completes the chain itself.
const NO_AUTO_CHAIN: SslMode = SslMode::from_bits_retain(0x8);
/// nginx takes an end without a goodbye for an end.
const IGNORE_UNEXPECTED_EOF: SslOptions = SslOptions::from_bits_retain(1 << 7);

/// The client certificate and key, as pgmoon reads them before it connects.
#[derive(Default)]
pub(super) struct ClientCertificate {
    chain: Option<Vec<X509>>,
    key: Option<PKey<Private>>,
}

impl ClientCertificate {
    /// Reads both files. pgmoon raises where it cannot.
    pub(super) fn read(settings: &Settings) -> Result<Self, Fault> {
        let read = |path: &Path| {
            let nothing = "attempt to get length of local 'pem' (a nil value)";
            settings::read(path).map_err(|_| Fault::raised(Stage::Configure, nothing))
        };
        let key = settings.ssl_cert_key.as_deref().map(|path| {
            // Without a terminal to ask on, an encrypted key is one that cannot be read.
            let key = PKey::private_key_from_pem_callback(&read(path)?, |_| Ok(0));
            key.map_err(|_| Fault::raised(Stage::Configure, "PEM_read_bio_PrivateKey() failed"))
        });
        let chain = settings.ssl_cert.as_deref().map(|path| {
            let failed = Fault::raised(Stage::Configure, "PEM_read_bio_X509_AUX() failed");
            X509::stack_from_pem(&read(path)?).ok().filter(|chain| !chain.is_empty()).ok_or(failed)
        });
        Ok(Self { key: key.transpose()?, chain: chain.transpose()? })
    }
}

/// nginx's part: what fails here keeps it from starting at all.
pub(super) fn context(settings: &Settings, trusted: Option<&Path>, openssl: OpensslLine) -> Result<SslContext, Fault> {
    let build = || -> Result<SslContextBuilder, ErrorStack> {
        let mut builder = SslContext::builder(SslMethod::tls_client())?;
        builder.set_mode(SslMode::RELEASE_BUFFERS | NO_AUTO_CHAIN);
        builder.set_options(SslOptions::NO_COMPRESSION | IGNORE_UNEXPECTED_EOF | excluded(&settings.protocols));
        builder.set_min_proto_version(None)?;
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_security_level(settings.security_level);
        Ok(builder)
    };
    let mut builder = build().map_err(|errors| Fault::raised(Stage::Configure, &reason(&errors, openssl)))?;
    if let Some(file) = trusted {
        builder.set_verify_callback(SslVerifyMode::NONE, |_, _| true);
        builder.set_verify_depth(settings.verify_depth);
        builder.set_ca_file(file).map_err(|errors| {
            let why = nginx_reasons(&errors, openssl);
            let text = format!("SSL_CTX_load_verify_locations(\"{}\") failed (SSL: {why})", file.display());
            Fault::raised(Stage::Configure, &text)
        })?;
    }
    Ok(builder.build())
}

/// OpenSSL's errors as nginx logs them, all of them.
fn nginx_reasons(errors: &ErrorStack, openssl: OpensslLine) -> String {
    let told = errors.errors().iter().map(|error| {
        let (library, reason) = (error.library().unwrap_or_default(), error.reason().unwrap_or_default());
        let data = error.data().map(|data| format!(":{data}")).unwrap_or_default();
        format!("error:{:08X}:{library}::{}{data}", error.code(), to_release_wording(reason, openssl))
    });
    told.collect::<Vec<_>>().join(" ")
}

/// The versions that `lua_ssl_protocols` does not name.
fn excluded(protocols: &str) -> SslOptions {
    let all = [
        ("TLSv1", SslOptions::NO_TLSV1),
        ("TLSv1.1", SslOptions::NO_TLSV1_1),
        ("TLSv1.2", SslOptions::NO_TLSV1_2),
        ("TLSv1.3", SslOptions::NO_TLSV1_3),
    ];
    let named = |name: &str| protocols.split_whitespace().any(|protocol| protocol == name);
    all.into_iter().filter(|(name, _)| !named(name)).fold(SslOptions::NO_SSLV3, |options, (_, no)| options | no)
}

/// lua-nginx-module's part.
pub(super) async fn handshake(
    socket: Socket,
    context: &SslContext,
    certificate: &ClientCertificate,
    kong: &Kong,
) -> (Socket, Result<(), Fault>) {
    let settings = &kong.settings;
    // Kong's handshake of that time reads another option than its driver sets.
    let on_1_21_4 = kong.profile.driver == Driver::KongOn1_21_4;
    let mut ssl = match present(context, certificate, on_1_21_4) {
        Ok(ssl) => ssl,
        Err(fault) => return (socket, Err(fault)),
    };
    let offers = |version| settings.protocols.split_whitespace().any(|protocol| protocol == version);
    let first = if offers("TLSv1") { Some(1) } else { offers("TLSv1.1").then_some(2) };
    let refuses_from = first.filter(|_| kong.profile.offers_old_versions(settings.security_level));
    if refuses_from.is_some() {
        ssl.set_security_level(0);
    }
    let (socket, done) = socket.handshake(TlsSession { ssl, refuses_from }).await;
    let result = match done {
        Err(HandshakeError::Timeout) => Err(Fault::returned(Stage::Handshake, "timeout")),
        Err(HandshakeError::Failed(error)) => {
            Err(Fault { alert: error.alert, ..Fault::returned(Stage::Handshake, "handshake failed") })
        }
        Ok(()) if settings.ssl_verify && !on_1_21_4 => verdict(&socket, kong.profile.openssl),
        Ok(()) => Ok(()),
    };
    (socket, result)
}

/// A TLS session with the client's certificate.
fn present(context: &SslContext, certificate: &ClientCertificate, own_handshake: bool) -> Result<Ssl, Fault> {
    let returned = |text: &'static str| move |_: ErrorStack| Fault::returned(Stage::Handshake, text);
    let mut ssl = Ssl::new(context).map_err(returned("handshake failed"))?;
    let ClientCertificate { chain: Some(chain), key } = certificate else { return Ok(ssl) };
    let Some(key) = key else {
        return Err(if own_handshake {
            Fault::returned(Stage::Handshake, "client certificate must be supplied with corresponding private key")
        } else {
            Fault::raised(Stage::Handshake, "client certificate supplied without corresponding private key")
        });
    };
    let certificate_failed = returned("ssl set client certificate failed");
    for (position, certificate) in chain.iter().enumerate() {
        let set = match position {
            0 => ssl.set_certificate(certificate),
            _ => ssl.add_chain_cert(certificate.clone()),
        };
        set.map_err(&certificate_failed)?;
    }
    ssl.set_private_key(key).map_err(returned("ssl set client private key failed"))?;
    Ok(ssl)
}

fn verdict(socket: &Socket, openssl: OpensslLine) -> Result<(), Fault> {
    let result = socket.ssl().map_or(X509VerifyResult::OK, openssl::ssl::SslRef::verify_result);
    if result == X509VerifyResult::OK {
        return Ok(());
    }
    let code = result.as_raw();
    let fault =
        Fault::returned(Stage::Verify, &format!("{code}: {}", to_release_wording(result.error_string(), openssl)));
    Err(Fault { x509: Some(code), ..fault })
}
