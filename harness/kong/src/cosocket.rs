//! TLS on an nginx cosocket: nginx's OpenSSL context, lua-nginx-module's handshake.
//!
//! The certificate is checked after the handshake, in which a callback accepts it whatever is wrong; the report is the
//! last fault seen, with its number. The server is sent no alert, and has the client's certificate by then.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslVerifyMode};
use openssl::x509::{X509, X509VerifyResult};

use crate::ca_file;
use crate::openssl_line::OpensslLine;
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::settings::{self, Settings};
use crate::socket::{HandshakeError, Socket, TlsSession, reason};
use crate::stage::Stage;
use crate::tap::{Tap, log_secrets};
use crate::wording::to_release_wording;

/// The versions that nginx's directive takes, in any case, and OpenSSL's options that exclude them.
const PROTOCOLS: [(&str, SslOptions); 6] = [
    ("SSLv2", SslOptions::NO_SSLV2),
    ("SSLv3", SslOptions::NO_SSLV3),
    ("TLSv1", SslOptions::NO_TLSV1),
    ("TLSv1.1", SslOptions::NO_TLSV1_1),
    ("TLSv1.2", SslOptions::NO_TLSV1_2),
    ("TLSv1.3", SslOptions::NO_TLSV1_3),
];

/// The client certificate, as pgmoon reads it before it connects.
#[derive(Default)]
pub(crate) enum ClientCertificate {
    /// No certificate is set, whether or not a key is.
    #[default]
    Absent,
    /// A certificate is set and no key; pgmoon reads neither file then.
    WithoutKey,
    /// Both are set and have been read.
    Pair { chain: Vec<X509>, key: PKey<Private> },
}

impl ClientCertificate {
    /// Reads both files if both are set. pgmoon raises where it cannot.
    pub(crate) fn read(settings: &Settings) -> Result<Self, Refusal> {
        let (certificate, key) = match (&settings.ssl_cert, &settings.ssl_cert_key) {
            (None, _) => return Ok(Self::Absent),
            (Some(_), None) => return Ok(Self::WithoutKey),
            (Some(certificate), Some(key)) => (certificate, key),
        };
        let raised = |text| Refusal::raised(Stage::Configure, text);
        let read = |path: &Path| {
            settings::read_as_kong(path).map_err(|_| raised("attempt to get length of local 'pem' (a nil value)"))
        };
        // Without a terminal to ask on, an encrypted key is one that cannot be read.
        let key = PKey::private_key_from_pem_callback(&read(key)?, |_| Ok(0));
        let key = key.map_err(|_| raised("PEM_read_bio_PrivateKey() failed"))?;
        // The first certificate is the client's, and what follows its chain; they are read by two functions.
        let certificates = read(certificate)?;
        X509::from_pem(&certificates).map_err(|_| raised("PEM_read_bio_X509_AUX() failed"))?;
        let chain = X509::stack_from_pem(&certificates).map_err(|_| raised("PEM_read_bio_X509() failed"))?;
        Ok(Self::Pair { chain, key })
    }
}

/// All that decides what a context is like.
#[derive(PartialEq, Eq)]
struct Inputs {
    excluded: SslOptions,
    verify_depth: u32,
    security_level: u32,
    group: Option<String>,
    openssl: OpensslLine,
    trusted: Option<Vec<u8>>,
}

/// The contexts that were made last. Many a Kong is started with what another had, and to make one took a tenth of the
/// processor time of the clients of a run.
static MADE: Mutex<VecDeque<(Inputs, SslContext)>> = Mutex::new(VecDeque::new());
/// How many are kept.
const KEPT: usize = 32;

/// nginx's part: what fails here keeps it from starting at all.
pub(crate) fn context(
    settings: &Settings,
    trusted: Option<&Path>,
    openssl: OpensslLine,
    tap: Option<&Tap>,
) -> Result<SslContext, Refusal> {
    let emergency = |text: &str| Refusal::raised(Stage::Configure, text);
    let verify_depth = verify_depth(&settings.verify_depth).map_err(emergency)?;
    let excluded = excluded(&settings.protocols).map_err(|word| emergency(&format!("invalid value \"{word}\"")))?;
    let inputs = Inputs {
        excluded,
        verify_depth,
        security_level: settings.security_level,
        group: settings.group.clone(),
        openssl,
        trusted: trusted.map(ca_file::read),
    };
    let made = || MADE.lock().unwrap_or_else(PoisonError::into_inner);
    // A tap belongs to one Kong.
    let known = made().iter().find(|(of, _)| tap.is_none() && *of == inputs).map(|(_, context)| context.clone());
    if let Some(known) = known {
        return Ok(known);
    }
    let mut builder = builder(settings, excluded, openssl).map_err(|errors| emergency(&reason(&errors, openssl)))?;
    log_secrets(&mut builder, tap);
    if let Some((file, content)) = trusted.zip(inputs.trusted.as_deref()) {
        builder.set_verify_callback(SslVerifyMode::NONE, |_, _| true);
        builder.set_verify_depth(verify_depth);
        ca_file::load(&mut builder, file, content).map_err(|errors| {
            let why = nginx_reasons(&errors, openssl);
            emergency(&format!("SSL_CTX_load_verify_locations(\"{}\") failed (SSL: {why})", file.display()))
        })?;
    }
    let context = builder.build();
    if tap.is_none() {
        let mut made = made();
        made.push_front((inputs, context.clone()));
        made.truncate(KEPT);
    }
    Ok(context)
}

/// A context that verifies nothing. nginx sends the certificates of the client's file and never completes the chain itself,
/// and takes an end of the stream without close_notify for an ordinary end.
fn builder(settings: &Settings, excluded: SslOptions, openssl: OpensslLine) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    builder.set_mode(SslMode::RELEASE_BUFFERS | SslMode::NO_AUTO_CHAIN);
    builder.set_options(SslOptions::NO_COMPRESSION | SslOptions::IGNORE_UNEXPECTED_EOF | excluded);
    builder.set_min_proto_version(None)?;
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_security_level(settings.security_level);
    if let Some(groups) = settings.group.as_deref().or_else(|| openssl.groups()) {
        builder.set_groups_list(groups)?;
    }
    Ok(builder)
}

/// The argument of nginx's `lua_ssl_verify_depth`, or why nginx does not start.
fn verify_depth(argument: &str) -> Result<u32, &'static str> {
    match argument {
        "" => Err("invalid number of arguments in \"lua_ssl_verify_depth\" directive"),
        number => number.parse().map_err(|_| "\"lua_ssl_verify_depth\" directive invalid number"),
    }
}

/// The versions that the arguments of nginx's `lua_ssl_protocols` do not name, or the argument that it does not know.
fn excluded(arguments: &str) -> Result<SslOptions, &str> {
    let mut excluded = PROTOCOLS.into_iter().fold(SslOptions::empty(), |options, (_, no)| options | no);
    for argument in arguments.split_whitespace() {
        let known = PROTOCOLS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(argument));
        excluded.remove(known.ok_or(argument)?.1);
    }
    Ok(excluded)
}

/// OpenSSL's errors as nginx logs them, all of them.
fn nginx_reasons(errors: &ErrorStack, openssl: OpensslLine) -> String {
    let reasons = errors.errors().iter().map(|error| {
        let (library, reason) = (error.library().unwrap_or_default(), error.reason().unwrap_or_default());
        let data = error.data().map(|data| format!(":{data}")).unwrap_or_default();
        format!("error:{:08X}:{library}::{}{data}", error.code(), to_release_wording(reason, openssl))
    });
    reasons.collect::<Vec<_>>().join(" ")
}

/// lua-nginx-module's part.
pub(crate) async fn handshake(
    socket: Socket,
    context: &SslContext,
    certificate: &ClientCertificate,
    settings: &Settings,
    profile: &Profile,
) -> (Socket, Result<(), Refusal>) {
    let never_verifies = profile.driver.never_verifies();
    let mut ssl = match present(context, certificate, never_verifies) {
        Ok(ssl) => ssl,
        Err(refusal) => return (socket, Err(refusal)),
    };
    let offers = |version: &str| settings.protocols.split_whitespace().any(|name| name.eq_ignore_ascii_case(version));
    let first = if offers("TLSv1") { Some(1) } else { offers("TLSv1.1").then_some(2) };
    let refuses_from = first.filter(|_| profile.offers_old_versions(settings.security_level));
    if refuses_from.is_some() {
        ssl.set_security_level(0);
    }
    let (socket, done) = socket.handshake(TlsSession { ssl, refuses_from }).await;
    let result = match done {
        Err(HandshakeError::Timeout) => Err(Refusal::returned(Stage::Handshake, "timeout")),
        Err(HandshakeError::Failed(error)) if error.is_beyond_limit => Err(error.into_refusal(Stage::Handshake, "")),
        Err(HandshakeError::Failed(error)) => {
            Err(Refusal { alert: error.alert, ..Refusal::returned(Stage::Handshake, "handshake failed") })
        }
        Ok(()) if settings.ssl_verify && !never_verifies => check(&socket, profile.openssl),
        Ok(()) => Ok(()),
    };
    (socket, result)
}

/// A TLS session with the client's certificate. Kong's handshake of OpenResty 1.21.4 returns what others raise.
fn present(context: &SslContext, certificate: &ClientCertificate, of_1_21_4: bool) -> Result<Ssl, Refusal> {
    let returned = |text: &'static str| move |_: ErrorStack| Refusal::returned(Stage::Handshake, text);
    let mut ssl = Ssl::new(context).map_err(returned("handshake failed"))?;
    let (chain, key) = match certificate {
        ClientCertificate::Absent => return Ok(ssl),
        ClientCertificate::WithoutKey if of_1_21_4 => {
            let text = "client certificate must be supplied with corresponding private key";
            return Err(Refusal::returned(Stage::Handshake, text));
        }
        ClientCertificate::WithoutKey => {
            let text = "client certificate supplied without corresponding private key";
            return Err(Refusal::raised(Stage::Handshake, text));
        }
        ClientCertificate::Pair { chain, key } => (chain, key),
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

/// Checks the server's certificate.
fn check(socket: &Socket, openssl: OpensslLine) -> Result<(), Refusal> {
    let result = socket.ssl().map_or(X509VerifyResult::OK, openssl::ssl::SslRef::verify_result);
    if result == X509VerifyResult::OK {
        return Ok(());
    }
    let code = result.as_raw();
    let text = format!("{code}: {}", to_release_wording(result.error_string(), openssl));
    Err(Refusal { x509: Some(code), ..Refusal::returned(Stage::Verify, &text) })
}

#[cfg(test)]
mod tests {
    use certificate_trees::{Authority, CertificateSpec, KeyType, Tree};
    use rstest::rstest;

    use super::*;

    fn settings(conf: &str) -> Settings {
        Settings::sample(conf, &"3.14-enterprise".parse().expect("a release"), "/")
    }

    #[test]
    fn a_context_has_the_options_of_nginx() {
        let mut builder = builder(&settings(""), SslOptions::NO_TLSV1, OpensslLine(3, 2)).expect("a context");
        let options = SslOptions::NO_COMPRESSION | SslOptions::IGNORE_UNEXPECTED_EOF | SslOptions::NO_TLSV1;
        assert!(builder.options().contains(options), "{:?}", builder.options());
        let modes = builder.set_mode(SslMode::empty());
        assert!(modes.contains(SslMode::RELEASE_BUFFERS | SslMode::NO_AUTO_CHAIN), "{modes:?}");
    }

    #[test]
    fn a_context_is_made_anew_when_the_trusted_file_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("trusted.crt");
        let authority = Authority::new(folder.path().to_owned());
        let trusted = |key| {
            let root = CertificateSpec { key: Some(key), ..CertificateSpec::default() };
            let tree = Tree { certificates: [("root".to_owned(), root)].into(), ..Tree::default() };
            std::fs::write(&file, authority.file(&tree, "root.crt").expect("a certificate")).expect("a file");
            let context = context(&settings(""), Some(&file), OpensslLine(3, 2), None).expect("a context");
            context.cert_store().all_certificates().iter().map(|root| root.to_der().expect("DER")).collect::<Vec<_>>()
        };
        let (first, second) = (trusted(KeyType::EcdsaP256), trusted(KeyType::EcdsaP384));
        assert_ne!(first, second);
        assert_eq!(trusted(KeyType::EcdsaP256), first);
    }

    #[test]
    fn nginx_says_why_it_does_not_start() {
        let empty = tempfile::NamedTempFile::new().expect("a file");
        let refusal = context(&settings(""), Some(empty.path()), OpensslLine(3, 2), None).expect_err("a refusal");
        let file = empty.path().display();
        let why = "error:05800088:x509 certificate routines::no certificate or crl found";
        assert_eq!(refusal.text, format!("SSL_CTX_load_verify_locations(\"{file}\") failed (SSL: {why})"));
    }

    #[test]
    fn a_certificate_without_a_key_is_an_error_of_the_release() {
        let without = ClientCertificate::read(&settings("pg_ssl_cert = /missing")).expect("neither is read");
        assert!(matches!(without, ClientCertificate::WithoutKey));
        assert!(matches!(ClientCertificate::read(&settings("")).expect("none"), ClientCertificate::Absent));
        let context = context(&settings(""), None, OpensslLine(3, 2), None).expect("a context");
        let text = |of_1_21_4| present(&context, &without, of_1_21_4).err().map(|refusal| refusal.text);
        assert_eq!(text(false).as_deref(), Some("client certificate supplied without corresponding private key"));
        let of_1_21_4 = "client certificate must be supplied with corresponding private key";
        assert_eq!(text(true).as_deref(), Some(of_1_21_4));
    }

    #[rstest]
    #[case("TLSv1.2 TLSv1.3", Ok(SslOptions::NO_SSLV3 | SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1))]
    #[case("tlsv1.3", Ok(SslOptions::NO_SSLV3 | SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1 | SslOptions::NO_TLSV1_2))]
    #[case("TLSv1.2 TLSv1.4", Err("TLSv1.4"))]
    #[case("TLSv1.2,TLSv1.3", Err("TLSv1.2,TLSv1.3"))]
    fn nginx_knows_its_words(#[case] arguments: &str, #[case] expected: Result<SslOptions, &str>) {
        assert_eq!(excluded(arguments), expected.map(|options| options | SslOptions::NO_SSLV2));
    }

    #[rstest]
    #[case("5", Ok(5))]
    #[case("", Err("invalid number of arguments in \"lua_ssl_verify_depth\" directive"))]
    #[case("1.5", Err("\"lua_ssl_verify_depth\" directive invalid number"))]
    #[case("-1", Err("\"lua_ssl_verify_depth\" directive invalid number"))]
    fn nginx_reads_a_depth(#[case] argument: &str, #[case] expected: Result<u32, &'static str>) {
        assert_eq!(verify_depth(argument), expected);
    }
}
