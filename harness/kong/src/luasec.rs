//! TLS through LuaSec: it verifies during the handshake, reports the first reason OpenSSL gives, and loads its files
//! only when the server has agreed to TLS.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::X509VerifyResult;

use crate::ca_file;
use crate::openssl_line::OpensslLine;
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::settings::{self, Settings};
use crate::socket::{HandshakeError, Socket, TlsSession, reason};
use crate::stage::Stage;
use crate::tap::{Tap, log_secrets};

/// Why there is no TLS session to shake hands with. The texts are LuaSec's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum SessionError {
    #[error("invalid protocol ({0})")]
    Version(String),
    #[error("error loading private key ({0})")]
    Key(String),
    #[error("error loading certificate ({0})")]
    Certificate(String),
    #[error("private key does not match public key")]
    Mismatch,
    #[error("error loading CA locations ({0})")]
    Trusted(String),
    #[error("{0}")]
    Openssl(String),
}

/// LuaSec's word for an error of the system's, in which OpenSSL finds no reason.
const NO_REASON: &str = "(null)";

/// The whole of LuaSec's part.
pub(crate) async fn handshake(
    socket: Socket,
    trusted: Option<&Path>,
    settings: &Settings,
    profile: &Profile,
    tap: Option<&Tap>,
) -> (Socket, Result<(), Refusal>) {
    let session = match session(trusted, settings, profile, tap) {
        Ok(session) => session,
        Err(error) => return (socket, Err(Refusal::returned(Stage::Handshake, &error.to_string()))),
    };
    let (socket, done) = socket.handshake(session).await;
    let Err(error) = done else { return (socket, Ok(())) };
    let x509 = socket.ssl().map(openssl::ssl::SslRef::verify_result).filter(|result| *result != X509VerifyResult::OK);
    let refusal = match error {
        HandshakeError::Timeout => Refusal::returned(Stage::Handshake, "timeout"),
        HandshakeError::Failed(error) => error.into_refusal(Stage::Handshake, ""),
    };
    (socket, Err(Refusal { x509: x509.map(|result| result.as_raw()), ..refusal }))
}

/// A session that imitates an OpenSSL which offers old versions on every security level, if that is the driver's.
fn session(
    trusted: Option<&Path>,
    settings: &Settings,
    profile: &Profile,
    tap: Option<&Tap>,
) -> Result<TlsSession, SessionError> {
    let (min, max) = versions(&settings.ssl_version, profile)?;
    let refuses_from = old_number(min).filter(|_| profile.offers_old_versions(settings.security_level));
    let excluded = if profile.driver.has_tls_1_0() { SslOptions::empty() } else { SslOptions::NO_TLSV1 };
    let mut builder = context(settings, trusted, (min, max), excluded, profile.openssl)?;
    log_secrets(&mut builder, tap);
    let mut ssl =
        Ssl::new(&builder.build()).map_err(|errors| SessionError::Openssl(reason(&errors, profile.openssl)))?;
    if refuses_from.is_some() {
        ssl.set_security_level(0);
    }
    Ok(TlsSession { ssl, refuses_from })
}

/// Builds the context in LuaSec's order, which decides which of several faults is reported.
fn context(
    settings: &Settings,
    trusted: Option<&Path>,
    (min, max): (SslVersion, SslVersion),
    excluded: SslOptions,
    openssl: OpensslLine,
) -> Result<SslContextBuilder, SessionError> {
    let plain = |errors: ErrorStack| SessionError::Openssl(reason(&errors, openssl));
    let mut builder = SslContext::builder(SslMethod::tls_client()).map_err(plain)?;
    builder.set_min_proto_version(Some(min)).map_err(plain)?;
    builder.set_max_proto_version(Some(max)).map_err(plain)?;
    builder.set_options(SslOptions::ALL | SslOptions::NO_SSLV2 | SslOptions::NO_SSLV3 | excluded);
    builder.set_security_level(settings.security_level);
    if let Some(groups) = settings.group.as_deref().or_else(|| openssl.groups()) {
        builder.set_groups_list(groups).map_err(plain)?;
    }
    load_certificate(&mut builder, settings, openssl)?;
    if let Some(file) = trusted {
        let failed = |errors: ErrorStack| SessionError::Trusted(reason(&errors, openssl));
        ca_file::load(&mut builder, file, &ca_file::read(file)).map_err(failed)?;
    }
    builder.set_verify(if settings.ssl_verify { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
    Ok(builder)
}

/// What OpenSSL says of an encrypted key where there is no terminal to ask on, as in Kong.
const NO_TERMINAL: &str = "processing error";

/// Whether OpenSSL asks for the passphrase of a key. It would ask on our terminal, and wait there.
fn needs_passphrase(key: &[u8]) -> bool {
    let mut asked = false;
    // Only whether the callback is called matters.
    let _ = PKey::private_key_from_pem_callback(key, |_| {
        asked = true;
        Ok(0)
    });
    asked
}

fn load_certificate(
    builder: &mut SslContextBuilder,
    settings: &Settings,
    openssl: OpensslLine,
) -> Result<(), SessionError> {
    // As root, OpenSSL would read what Kong cannot. A directory can be opened: OpenSSL finds no key in it.
    let read = |path: &Path| if path.is_dir() { Ok(Vec::new()) } else { settings::read_as_kong(path) };
    if let Some(key) = &settings.ssl_cert_key {
        let content = read(key).map_err(|_| SessionError::Key(NO_REASON.into()))?;
        if needs_passphrase(&content) {
            return Err(SessionError::Key(NO_TERMINAL.into()));
        }
        let failed = |errors: ErrorStack| SessionError::Key(reason(&errors, openssl));
        builder.set_private_key_file(key, SslFiletype::PEM).map_err(failed)?;
    }
    if let Some(certificate) = &settings.ssl_cert {
        if read(certificate).is_err() {
            return Err(SessionError::Certificate(NO_REASON.into()));
        }
        let failed = |errors: ErrorStack| SessionError::Certificate(reason(&errors, openssl));
        builder.set_certificate_chain_file(certificate).map_err(failed)?;
        if settings.ssl_cert_key.is_some() {
            builder.check_private_key().map_err(|_| SessionError::Mismatch)?;
        }
    }
    Ok(())
}

/// TLS's own number for a version that signs with what OpenSSL's default security level forbids: 1 is TLS 1.0.
fn old_number(version: SslVersion) -> Option<u8> {
    match version {
        SslVersion::TLS1 => Some(1),
        SslVersion::TLS1_1 => Some(2),
        _ => None,
    }
}

/// The oldest and the newest version for a word of LuaSec's. `sslv23` is its old word for `any`.
fn versions(name: &str, profile: &Profile) -> Result<(SslVersion, SslVersion), SessionError> {
    let only = |version| Ok((version, version));
    match name {
        "tlsv1" => only(SslVersion::TLS1),
        "tlsv1_1" => only(SslVersion::TLS1_1),
        "tlsv1_2" => only(SslVersion::TLS1_2),
        "tlsv1_3" => only(SslVersion::TLS1_3),
        "any" | "sslv23" if profile.any_is_from_1_0() => Ok((SslVersion::TLS1, SslVersion::TLS1_3)),
        "any" | "sslv23" => Ok((SslVersion::TLS1_1, SslVersion::TLS1_3)),
        other => Err(SessionError::Version(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_context_has_the_options_of_luasec() {
        let settings = Settings::sample("", &"3.14-enterprise".parse().expect("a release"), "/");
        let versions = (SslVersion::TLS1_1, SslVersion::TLS1_3);
        let builder = context(&settings, None, versions, SslOptions::NO_TLSV1, OpensslLine(3, 2)).expect("a context");
        let options = SslOptions::ALL | SslOptions::NO_SSLV2 | SslOptions::NO_SSLV3 | SslOptions::NO_TLSV1;
        assert!(builder.options().contains(options), "{:?}", builder.options());
    }

    #[test]
    fn an_encrypted_key_needs_a_passphrase() {
        let key = PKey::generate_ed25519().expect("a key");
        let encrypted = key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"kong");
        assert!(needs_passphrase(&encrypted.expect("a key")));
        assert!(!needs_passphrase(&key.private_key_to_pem_pkcs8().expect("a key")) && !needs_passphrase(b"none"));
    }

    #[test]
    fn old_versions_have_numbers() {
        let versions = [SslVersion::TLS1, SslVersion::TLS1_1, SslVersion::TLS1_2, SslVersion::TLS1_3];
        assert_eq!(versions.map(old_number), [Some(1), Some(2), None, None]);
    }

    #[rstest]
    #[case("pgmoon-kong-2.2.0", "any", Ok((SslVersion::TLS1, SslVersion::TLS1_3)))]
    #[case("pgmoon-kong-2.2.0", "sslv23", Ok((SslVersion::TLS1, SslVersion::TLS1_3)))]
    #[case("pgmoon-leafo-1.16.0", "sslv23", Ok((SslVersion::TLS1_1, SslVersion::TLS1_3)))]
    #[case("3.1-enterprise", "tlsv1_2", Ok((SslVersion::TLS1_2, SslVersion::TLS1_2)))]
    #[case("3.1-enterprise", "tlsv1.2", Err(SessionError::Version("tlsv1.2".into())))]
    fn luasec_knows_its_words(
        #[case] release: &str,
        #[case] name: &str,
        #[case] expected: Result<(SslVersion, SslVersion), SessionError>,
    ) {
        let profile: Profile = crate::releases::Releases::built_in().find(release).expect("a release");
        assert_eq!(versions(name, &profile), expected);
    }
}
