//! TLS through LuaSec: it verifies during the handshake, reports the first reason OpenSSL gives, and loads its files
//! only when the server has said that it speaks TLS.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::X509VerifyResult;

use super::driver::Fault;
use super::profile::AnyVersion;
use super::settings::{self, Settings};
use super::socket::{HandshakeError, Socket, TlsSession, reason};
use super::start::Kong;
use crate::OpensslLine;
use crate::Stage;

/// The whole of LuaSec's part.
pub(super) async fn handshake(socket: Socket, kong: &Kong, trusted: Option<&Path>) -> (Socket, Result<(), Fault>) {
    let session = match session(kong, trusted) {
        Ok(session) => session,
        Err(text) => return (socket, Err(Fault::returned(Stage::Handshake, &text))),
    };
    let (socket, done) = socket.handshake(session).await;
    let Err(error) = done else { return (socket, Ok(())) };
    let x509 = socket.ssl().map(openssl::ssl::SslRef::verify_result).filter(|result| *result != X509VerifyResult::OK);
    let fault = match error {
        HandshakeError::Timeout => Fault::returned(Stage::Handshake, "timeout"),
        HandshakeError::Failed(error) => Fault { alert: error.alert, ..Fault::returned(Stage::Handshake, &error.text) },
    };
    (socket, Err(Fault { x509: x509.map(|result| result.as_raw()), ..fault }))
}

/// A session that imitates an OpenSSL which offers old versions on every security level, if that is the driver's.
fn session(kong: &Kong, trusted: Option<&Path>) -> Result<TlsSession, String> {
    let (settings, openssl) = (&kong.settings, kong.profile.openssl);
    let (min, max) = versions(&settings.ssl_version, kong.profile.any_version)?;
    let offers_old = kong.profile.offers_old_versions(settings.security_level);
    let refuses_from = min.old_number().filter(|_| offers_old);
    let excluded = if kong.profile.driver.has_tls_1_0() { SslOptions::empty() } else { SslOptions::NO_TLSV1 };
    let context = context(settings, trusted, (min.into(), max.into()), excluded, openssl)?;
    let mut ssl = Ssl::new(&context).map_err(|errors| reason(&errors, openssl))?;
    if refuses_from.is_some() {
        ssl.set_security_level(0);
    }
    Ok(TlsSession { ssl, refuses_from })
}

/// Builds the context in LuaSec's order, which decides which of several faults is told.
fn context(
    settings: &Settings,
    trusted: Option<&Path>,
    (min, max): (SslVersion, SslVersion),
    excluded: SslOptions,
    openssl: OpensslLine,
) -> Result<SslContext, String> {
    let plain = |errors: ErrorStack| reason(&errors, openssl);
    let mut builder = SslContext::builder(SslMethod::tls_client()).map_err(plain)?;
    builder.set_min_proto_version(Some(min)).map_err(plain)?;
    builder.set_max_proto_version(Some(max)).map_err(plain)?;
    builder.set_options(SslOptions::ALL | SslOptions::NO_SSLV2 | SslOptions::NO_SSLV3 | excluded);
    builder.set_security_level(settings.security_level);
    load_certificate(&mut builder, settings, openssl)?;
    if let Some(file) = trusted {
        let failed = |errors: ErrorStack| format!("error loading CA locations ({})", reason(&errors, openssl));
        builder.set_ca_file(file).map_err(failed)?;
    }
    builder.set_verify(if settings.ssl_verify { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
    Ok(builder.build())
}

fn load_certificate(builder: &mut SslContextBuilder, settings: &Settings, openssl: OpensslLine) -> Result<(), String> {
    // OpenSSL would read as root what Kong cannot.
    let unreadable = |path: &Path| settings::read(path).is_err();
    if let Some(key) = &settings.ssl_cert_key {
        if unreadable(key) {
            return Err("error loading private key ((null))".into());
        }
        let failed = |errors: ErrorStack| format!("error loading private key ({})", reason(&errors, openssl));
        builder.set_private_key_file(key, SslFiletype::PEM).map_err(failed)?;
    }
    if let Some(certificate) = &settings.ssl_cert {
        if unreadable(certificate) {
            return Err("error loading certificate ((null))".into());
        }
        let failed = |errors: ErrorStack| format!("error loading certificate ({})", reason(&errors, openssl));
        builder.set_certificate_chain_file(certificate).map_err(failed)?;
        if settings.ssl_cert_key.is_some() {
            builder.check_private_key().map_err(|_| "private key does not match public key".to_owned())?;
        }
    }
    Ok(())
}

/// A version of TLS.
#[derive(Debug, Clone, Copy)]
enum Version {
    V1_0,
    V1_1,
    V1_2,
    V1_3,
}

impl Version {
    /// TLS's own number for a version that signs with what OpenSSL's default security level forbids.
    fn old_number(self) -> Option<u8> {
        match self {
            Self::V1_0 => Some(1),
            Self::V1_1 => Some(2),
            Self::V1_2 | Self::V1_3 => None,
        }
    }
}

impl From<Version> for SslVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V1_0 => Self::TLS1,
            Version::V1_1 => Self::TLS1_1,
            Version::V1_2 => Self::TLS1_2,
            Version::V1_3 => Self::TLS1_3,
        }
    }
}

fn versions(name: &str, any: AnyVersion) -> Result<(Version, Version), String> {
    let only = |version| Ok((version, version));
    match name {
        "tlsv1" => only(Version::V1_0),
        "tlsv1_1" => only(Version::V1_1),
        "tlsv1_2" => only(Version::V1_2),
        "tlsv1_3" => only(Version::V1_3),
        "any" if any == AnyVersion::From1_0 => Ok((Version::V1_0, Version::V1_3)),
        "any" => Ok((Version::V1_1, Version::V1_3)),
        other => Err(format!("invalid protocol ({other})")),
    }
}
