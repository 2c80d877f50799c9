//! Certificates and keys as Kong and PostgreSQL would load them, and what is wrong with them.

use std::io;
use std::path::Path;

use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContext, SslFiletype, SslMethod};
use openssl::stack::Stack;
use openssl::x509::store::{X509Lookup, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509StoreContext};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::catalog::Code;
use super::configuration::Paths;
use super::fault::{Fault, Place, Severity};

/// A file that a setting names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    /// The setting.
    pub(super) name: &'a str,
    /// The path as it is written.
    pub(super) path: &'a str,
    /// Where it is written.
    pub(super) place: &'a Place,
}

impl Named<'_> {
    fn fault(self, code: Code, what: &str) -> Fault {
        Fault::new(code, self.place, format!("{} {what}: {}", self.name, self.path))
    }
}

/// Reads a file as its reader would, who does not run as root.
pub(super) fn read(named: Named<'_>, file: &Path, paths: &Paths) -> Result<Vec<u8>, Fault> {
    if paths.is_uncertain(file) {
        return Err(named.fault(Code::FileNotLookedAt, "names a file of a container that is not on this machine"));
    }
    match kong_pg_client::read_as_kong(file) {
        Ok(bytes) if bytes.is_empty() => Err(named.fault(Code::FileEmpty, "names an empty file")),
        Ok(bytes) => Ok(bytes),
        Err(_) if file.is_dir() => Err(named.fault(Code::FileIsFolder, "names a folder")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(named.fault(Code::FileUnreadable, "names a file that cannot be read"))
        }
        Err(_) => Err(named.fault(Code::FileMissing, "names a file that is not there")),
    }
}

/// The certificates in a file.
pub(super) fn certificates(named: Named<'_>, bytes: &[u8]) -> Result<Vec<X509>, Fault> {
    match X509::stack_from_pem(bytes) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ if X509::from_der(bytes).is_ok() => Err(named.fault(Code::FileIsDer, "names a certificate in DER")),
        _ => Err(named.fault(Code::NoCertificate, "names a file without a certificate in PEM")),
    }
}

/// The private key in a file; one with a passphrase counts as none, as Kong cannot be asked for it.
pub(super) fn key(named: Named<'_>, bytes: &[u8]) -> Result<PKey<Private>, Fault> {
    PKey::private_key_from_pem_callback(bytes, |_| Ok(0)).map_err(|_| {
        let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        if has("ENCRYPTED") {
            named.fault(Code::KeyEncrypted, "names a key with a passphrase")
        } else if PKey::private_key_from_der(bytes).is_ok() {
            named.fault(Code::FileIsDer, "names a key in DER")
        } else {
            named.fault(Code::NoKey, "names a file without a private key in PEM")
        }
    })
}

/// Whether a key is that of the first certificate; if not, a fault that names the one it belongs to.
pub(super) fn mismatch(certificates: &[X509], key: &PKey<Private>, named: Named<'_>) -> Option<Fault> {
    let is_of = |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(key));
    let first = certificates.first()?;
    if is_of(first) {
        return None;
    }
    let fault = named.fault(Code::KeyMismatch, &format!("is not the key of the certificate {}", subject(first)));
    let other = certificates.iter().position(is_of);
    Some(match other {
        Some(at) => fault.with_fix(format!(
            "Put the certificate {} first in its file; it is number {} there.",
            subject(&certificates[at]),
            at + 1
        )),
        None => fault,
    })
}

/// The subject, as PostgreSQL writes it.
pub(super) fn subject(certificate: &X509) -> String {
    let name = certificate_trees::oneline(certificate.subject_name());
    if name.is_empty() { "without a subject".into() } else { name }
}

/// The common name; PostgreSQL takes the last, if there are several.
pub(super) fn common_name(certificate: &X509) -> Option<String> {
    let entry = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).last()?;
    Some(String::from_utf8_lossy(entry.data().as_slice()).into_owned())
}

/// Whether a certificate is signed with its own key.
pub(super) fn is_self_signed(certificate: &X509) -> bool {
    let same_name = certificate.issuer_name().to_der().ok() == certificate.subject_name().to_der().ok();
    same_name && certificate.public_key().is_ok_and(|key| certificate.verify(&key).unwrap_or(false))
}

/// Whether a certificate was issued by another one.
pub(super) fn is_issued_by(certificate: &X509, issuer: &X509) -> bool {
    certificate.issuer_name().to_der().ok() == issuer.subject_name().to_der().ok()
        && issuer.public_key().is_ok_and(|key| certificate.verify(&key).unwrap_or(false))
}

/// What its extensions say a certificate is for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uses {
    /// It is a CA's.
    pub(super) ca: bool,
    /// It is for servers; without an extension it is for anything.
    pub(super) server: bool,
    /// It is for clients.
    pub(super) client: bool,
}

/// Reads the extensions of a certificate.
pub(super) fn uses(certificate: &X509) -> Uses {
    let Ok(der) = certificate.to_der() else { return Uses::default() };
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else { return Uses::default() };
    let ca = parsed.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    let extended = parsed.extended_key_usage().ok().flatten().map(|usage| usage.value);
    let allows = |one: bool, any: bool| one || any;
    let (server, client) = extended
        .map_or((true, true), |usage| (allows(usage.server_auth, usage.any), allows(usage.client_auth, usage.any)));
    Uses { ca, server, client }
}

/// What is wrong with the time at which a certificate is valid.
pub(super) fn validity(certificate: &X509, days: u32, named: Named<'_>) -> Option<Fault> {
    let now = Asn1Time::days_from_now(0).ok()?;
    let soon = Asn1Time::days_from_now(days).ok()?;
    let (begins, ends) = (certificate.not_before(), certificate.not_after());
    let (code, what) = if *ends < now {
        (Code::CertificateExpired, format!("the certificate {} has expired on {ends}", subject(certificate)))
    } else if *begins > now {
        (Code::CertificateNotYetValid, format!("the certificate {} is not valid before {begins}", subject(certificate)))
    } else if *ends < soon {
        (Code::CertificateExpiring, format!("the certificate {} expires on {ends}", subject(certificate)))
    } else {
        return None;
    };
    Some(Fault::new(code, named.place, format!("{}: {what}: {}", named.name, named.path)))
}

/// Whether OpenSSL refuses a certificate at a security level, and in which words.
pub(super) fn weakness(certificate: &X509, level: u32) -> Option<String> {
    let mut builder = SslContext::builder(SslMethod::tls()).ok()?;
    builder.set_security_level(level);
    let error = builder.set_certificate(certificate).err()?;
    error.errors().first().and_then(openssl::error::Error::reason).map(str::to_owned)
}

/// A fault for a certificate that is too weak for a security level.
pub(super) fn weak(certificate: &X509, level: u32, named: Named<'_>, of: &str) -> Option<Fault> {
    let why = weakness(certificate, level)?;
    let what = format!(
        "{}: the certificate {} is too weak for security level {level}, that of {of} ({why}): {}",
        named.name,
        subject(certificate),
        named.path
    );
    Some(Fault::new(Code::WeakCertificate, named.place, what))
}

/// What certificates are verified by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust<'a> {
    /// The CAs.
    pub(super) certificates: &'a [X509],
    /// A file with a revocation list of every CA. OpenSSL trusts the certificates in it as well.
    pub(super) lists: Option<&'a Path>,
}

impl<'a> Trust<'a> {
    /// Without revocation lists.
    pub(super) fn of(certificates: &'a [X509]) -> Self {
        Self { certificates, lists: None }
    }
}

/// Verifies a certificate as OpenSSL does in a handshake. `depth` is how many intermediates may be between it and its
/// root.
///
/// # Errors
/// OpenSSL's number and text of the first fault.
pub(super) fn verify(
    chain: &[X509],
    trust: Trust<'_>,
    purpose: X509PurposeId,
    (depth, level): (Option<u32>, u32),
) -> Result<(), (i32, String)> {
    let Some((leaf, intermediates)) = chain.split_first() else { return Ok(()) };
    let run = || {
        let mut store = X509StoreBuilder::new()?;
        for certificate in trust.certificates {
            // One that is there twice is refused, and does no harm.
            let _ = store.add_cert(certificate.clone());
        }
        let mut parameters = X509VerifyParam::new()?;
        if let Some(lists) = trust.lists {
            let lookup = store.add_lookup(X509Lookup::file())?;
            // There may be no certificates in it.
            let _ = lookup.load_cert_file(lists, SslFiletype::PEM);
            lookup.load_crl_file(lists, SslFiletype::PEM)?;
            parameters.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
        }
        parameters.set_purpose(purpose)?;
        parameters.set_auth_level(i32::try_from(level).unwrap_or(2));
        if let Some(depth) = depth {
            parameters.set_depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        store.set_param(&parameters)?;
        let mut sent = Stack::new()?;
        for certificate in intermediates {
            sent.push(certificate.clone())?;
        }
        X509StoreContext::new()?.init(&store.build(), leaf, &sent, |context| {
            let verified = context.verify_cert()?;
            let error = context.error();
            Ok((verified, error.as_raw(), error.error_string().to_owned()))
        })
    };
    match run() {
        Ok((true, ..)) => Ok(()),
        Ok((false, number, text)) => Err((number, text)),
        Err(errors) => Err((-1, errors.to_string())),
    }
}

/// Whether OpenSSL's number is about time or purpose, which rules of their own look at.
pub(super) fn is_of_the_certificate_itself(number: i32) -> bool {
    matches!(number, 9 | 10 | 26)
}

/// A fault that is no more than a note because it has no effect as things stand.
pub(super) fn unless(effective: bool, fault: Fault) -> Fault {
    if effective { fault } else { fault.with_severity(Severity::Note) }
}
