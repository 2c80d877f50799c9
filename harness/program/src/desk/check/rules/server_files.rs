//! The server's certificate, key, CAs and revocation lists.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::ssl::{SslContext, SslMethod};
use openssl::x509::{X509, X509Crl};

use super::super::catalog::Code;
use super::super::configuration::Paths;
use super::super::fault::{Fault, Severity};
use super::super::material::{self, Named};
use super::super::server::{PostgresqlConf, Server};
use super::ServerFiles;

/// The security level that OpenSSL has by default since 3.2, and on Debian and Red Hat before.
const LEVEL: u32 = 2;

/// Checks the settings and the files they name, if the server speaks TLS. What is wrong with a server certificate that
/// no Kong verifies keeps none from connecting.
pub(super) fn check(server: &Server, days: u32, is_verified: bool, faults: &mut Vec<Fault>) -> ServerFiles {
    let Some(conf) = &server.conf else { return ServerFiles::default() };
    faults.extend(settings(conf));
    if !conf.is_on("ssl") {
        return ServerFiles::default();
    }
    let certificate = certificates(conf, "ssl_cert_file", Some("server.crt"), faults);
    if let (Some(chain), Some(named)) = (&certificate, named(conf, "ssl_cert_file", Some("server.crt"))) {
        let weighed = |fault: Fault| if is_verified { fault } else { fault.with_severity(Severity::Warning) };
        let validities = chain.iter().filter_map(|certificate| material::validity(certificate, days, named));
        faults.extend(validities.map(weighed));
        faults.extend(chain.first().and_then(|leaf| material::weak(leaf, LEVEL, named, "OpenSSL's default")));
        if let Some(leaf) = chain.first().filter(|leaf| !material::uses(leaf).server) {
            let what =
                format!("ssl_cert_file names a certificate that is not for servers: {}", material::subject(leaf));
            faults.push(weighed(Fault::new(Code::WrongPurpose, named.place, what)));
        }
    }
    key(conf, certificate.as_deref(), faults);
    let ca = certificates(conf, "ssl_ca_file", None, faults);
    if let (Some(ca), Some(named)) = (&ca, named(conf, "ssl_ca_file", None)) {
        if !ca.iter().any(material::is_self_signed) {
            let is_ca = ca.iter().any(|certificate| material::uses(certificate).ca);
            let code = if is_ca { Code::IntermediateWithoutRoot } else { Code::LeafAsCa };
            let what = format!("ssl_ca_file has no root: {}", named.path);
            faults.push(Fault::new(code, named.place, what));
        }
        faults.extend(ca.iter().filter_map(|certificate| material::validity(certificate, days, named)));
    }
    if let Some(named) = named(conf, "ssl_dh_params_file", None) {
        faults.extend(content(conf, named).err());
    }
    let lists = revocation(conf, faults);
    ServerFiles { certificate, ca, lists }
}

fn settings(conf: &PostgresqlConf) -> Vec<Fault> {
    const VERSIONS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    let mut faults = Vec::new();
    let at = |value: &str| VERSIONS.iter().position(|known| known.eq_ignore_ascii_case(value));
    let limits = ["ssl_min_protocol_version", "ssl_max_protocol_version"];
    for name in limits {
        if let Some(value) = conf.get(name).filter(|value| at(value).is_none()) {
            let what = format!("invalid value for parameter \"{name}\": \"{value}\"");
            faults.push(Fault::new(Code::ServerSetting, conf.place_of(name), what));
        }
    }
    if let [Some(min), Some(max)] = limits.map(|name| conf.get(name).and_then(at))
        && min > max
    {
        let what = "ssl_min_protocol_version is above ssl_max_protocol_version";
        faults.push(Fault::new(Code::ServerSetting, conf.place_of(limits[0]), what));
    }
    let has_unknown_ciphers = |ciphers: &str| {
        SslContext::builder(SslMethod::tls()).is_ok_and(|mut builder| builder.set_cipher_list(ciphers).is_err())
    };
    if let Some(ciphers) = conf.get("ssl_ciphers").filter(|ciphers| has_unknown_ciphers(ciphers)) {
        let what = format!("ssl_ciphers names no cipher suite that OpenSSL knows: {ciphers}");
        faults.push(Fault::new(Code::ServerSetting, conf.place_of("ssl_ciphers"), what));
    }
    for (place, path) in &conf.not_found {
        let what = format!("a file is included that is not there: {}", path.display());
        faults.push(Fault::new(Code::FileNotLookedAt, place, what));
    }
    faults
}

fn named<'a>(conf: &'a PostgresqlConf, name: &'a str, default: Option<&'static str>) -> Option<Named<'a>> {
    let path = conf.get(name).or(default)?;
    Some(Named { name, path, place: conf.place_of(name) })
}

/// The content of a file. One that is not there may be missing only here: postgresql.conf may lie in another folder
/// than the data, or on another machine.
fn content(conf: &PostgresqlConf, named: Named<'_>) -> Result<Vec<u8>, Fault> {
    let file = conf.path(named.path);
    let is_certain = if Path::new(named.path).is_absolute() {
        file.parent().is_some_and(Path::exists)
    } else {
        conf.is_in_data_directory() || conf.get(named.name).is_some()
    };
    material::read(named, &file, &Paths { of_container: !is_certain, ..Paths::default() })
}

fn certificates(
    conf: &PostgresqlConf,
    name: &str,
    default: Option<&'static str>,
    faults: &mut Vec<Fault>,
) -> Option<Vec<X509>> {
    let named = named(conf, name, default)?;
    match content(conf, named).and_then(|bytes| material::certificates(named, &bytes)) {
        Ok(certificates) => Some(certificates),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

fn key(conf: &PostgresqlConf, certificate: Option<&[X509]>, faults: &mut Vec<Fault>) {
    let Some(named) = named(conf, "ssl_key_file", Some("server.key")) else { return };
    let bytes = match content(conf, named) {
        Ok(bytes) => bytes,
        Err(fault) => return faults.push(fault),
    };
    faults.extend(mode(conf, named));
    match material::key(named, &bytes) {
        Ok(key) => faults.extend(certificate.and_then(|chain| material::mismatch(chain, &key, named))),
        Err(fault) if fault.code == Code::KeyEncrypted && conf.get("ssl_passphrase_command").is_some() => {}
        Err(fault) => faults.push(fault),
    }
}

/// PostgreSQL's rule: a key of the database user must have no permissions for group and others; one of root's may be readable by the group.
fn mode(conf: &PostgresqlConf, named: Named<'_>) -> Option<Fault> {
    let metadata = std::fs::metadata(conf.path(named.path)).ok()?;
    let mode = metadata.mode() & 0o777;
    let of_root = metadata.uid() == 0;
    let forbidden = if of_root { 0o037 } else { 0o077 };
    if mode & forbidden != 0 {
        let what = format!("private key file \"{}\" has group or world access (mode {mode:04o})", named.path);
        return Some(Fault::new(Code::ServerKeyMode, named.place, what));
    }
    // Which groups the server is in is unknown here, other than that root's is not one of them.
    let unreadable = of_root && (metadata.gid() == 0 || mode & 0o040 == 0);
    unreadable.then(|| {
        let what = format!("the key is root's (mode {mode:04o}): the server can read it only through its group");
        Fault::new(Code::ServerKeyOfRoot, named.place, what).with_severity(Severity::Note)
    })
}

/// Checks the revocation lists, and says where they are if there are any.
fn revocation(conf: &PostgresqlConf, faults: &mut Vec<Fault>) -> Option<PathBuf> {
    const BEGIN: &str = "-----BEGIN X509 CRL-----";
    let named = named(conf, "ssl_crl_file", None)?;
    let bytes = match content(conf, named) {
        Ok(bytes) => bytes,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let lists: Vec<_> = text
        .split(BEGIN)
        .skip(1)
        .filter_map(|part| X509Crl::from_pem(format!("{BEGIN}{part}").as_bytes()).ok())
        .collect();
    if lists.is_empty() {
        let what = format!("ssl_crl_file names a file without a revocation list in PEM: {}", named.path);
        faults.push(Fault::new(Code::ServerSetting, named.place, what));
        return None;
    }
    let now = Asn1Time::days_from_now(0).ok()?;
    let is_expired = |list: &X509Crl| list.next_update().is_some_and(|ends| *ends < now);
    let issuer = |list: &X509Crl| list.issuer_name().to_der().ok();
    for list in &lists {
        // OpenSSL takes the newer one of two.
        let has_newer = lists.iter().any(|other| !is_expired(other) && issuer(other) == issuer(list));
        if let Some(ends) = list.next_update().filter(|_| is_expired(list) && !has_newer) {
            let issuer = certificate_trees::oneline(list.issuer_name());
            let what = format!("the revocation list of {issuer} has expired on {ends}: {}", named.path);
            faults.push(Fault::new(Code::CrlExpired, named.place, what));
        }
    }
    Some(conf.path(named.path))
}
