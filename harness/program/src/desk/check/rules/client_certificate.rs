//! Kong's client certificate: pg_ssl_cert and pg_ssl_cert_key.

use openssl::x509::{X509, X509PurposeId};

use super::super::catalog::Code;
use super::super::configuration::{Configuration, Setting};
use super::super::fault::{Fault, Severity};
use super::super::material::{self, Named, Trust};
use super::{KongFiles, ServerFiles};

/// Checks the two files, and returns the certificates that Kong sends.
pub(super) fn check(kong: &Configuration, days: u32, faults: &mut Vec<Fault>) -> Option<Vec<X509>> {
    if !kong.main.ssl {
        return None;
    }
    let get = |key: &str| kong.get(key).filter(|_| !kong.profile.ignores(key));
    match (get("pg_ssl_cert"), get("pg_ssl_cert_key")) {
        (None, None) => None,
        (Some(certificate), None) => {
            let what = format!("{} is set, and pg_ssl_cert_key is not", certificate.name);
            faults.push(Fault::new(Code::CertificateWithoutKey, &certificate.place, what));
            load(certificate, kong, days, faults)
        }
        (None, Some(key)) => {
            let what = format!("{} is set, and pg_ssl_cert is not", key.name);
            faults.push(Fault::new(Code::KeyWithoutCertificate, &key.place, what));
            None
        }
        (Some(certificate), Some(key)) => {
            let chain = load(certificate, kong, days, faults);
            match load_key(key, kong) {
                Some(Ok(private)) => {
                    let named = named(key).filter(|_| chain.is_some());
                    let fault = named.and_then(|named| material::mismatch(chain.as_deref()?, &private, named));
                    faults.extend(fault);
                }
                Some(Err(fault)) => faults.push(fault),
                None => {}
            }
            chain
        }
    }
}

/// The file of a setting, unless the setting itself is wrong already.
fn named(setting: &Setting) -> Option<Named<'_>> {
    let path = setting.text().filter(|path| !path.starts_with(['\'', '"']) && !path.ends_with(['\'', '"']))?;
    Some(Named { name: &setting.name, path, place: &setting.place })
}

fn load_key(
    setting: &Setting,
    kong: &Configuration,
) -> Option<Result<openssl::pkey::PKey<openssl::pkey::Private>, Fault>> {
    let named = named(setting)?;
    let bytes = material::read(named, &kong.paths.resolve(named.path), &kong.paths);
    Some(bytes.and_then(|bytes| material::key(named, &bytes)))
}

fn load(setting: &Setting, kong: &Configuration, days: u32, faults: &mut Vec<Fault>) -> Option<Vec<X509>> {
    let named = named(setting)?;
    let bytes = material::read(named, &kong.paths.resolve(named.path), &kong.paths);
    let chain = match bytes.and_then(|bytes| material::certificates(named, &bytes)) {
        Ok(chain) => chain,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let leaf = chain.first()?;
    faults.extend(chain.iter().filter_map(|certificate| material::validity(certificate, days, named)));
    if !material::uses(leaf).client {
        let what = format!(
            "{} names a certificate that is not for clients ({}): {}",
            named.name,
            material::subject(leaf),
            named.path
        );
        faults.push(Fault::new(Code::WrongPurpose, named.place, what));
    }
    if let Some(name) = material::common_name(leaf).filter(|name| *name != kong.main.user) {
        let what = format!("the client certificate is {name}'s, and Kong logs in as {}", kong.main.user);
        faults.push(Fault::new(Code::NameMismatch, named.place, what).with_severity(Severity::Note));
    }
    let of = format!("the OpenSSL of {}", kong.profile);
    faults.extend(material::weak(leaf, kong.main.security_level, named, &of));
    Some(chain)
}

/// Whether the server can follow the chain from what Kong sends.
pub(super) fn check_chain(kong: &Configuration, files: &KongFiles, server: Option<&ServerFiles>) -> Option<Fault> {
    let chain = files.client.as_deref()?;
    let setting = kong.get("pg_ssl_cert")?;
    let named = named(setting)?;
    let leaf = chain.first()?;
    let trusted = files.trusted.as_deref().unwrap_or_default();
    let incomplete = |where_from: &str| {
        let issuer = certificate_trees::oneline(leaf.issuer_name());
        let what = format!(
            "{} lacks the intermediate {issuer}: LuaSec completes the chain from {where_from}, a cosocket does not",
            named.path
        );
        Fault::new(Code::ClientChainIncomplete, named.place, what)
    };
    let completed: Vec<_> = chain.iter().chain(trusted).cloned().collect();
    let level = (None, 2);
    if let Some((server, ca)) = server.and_then(|server| Some((server, server.ca.as_deref()?))) {
        let trust = Trust { certificates: ca, lists: server.lists.as_deref() };
        let (number, text) = material::verify(chain, trust, X509PurposeId::SSL_CLIENT, level).err()?;
        // A list that has expired is reported where the lists are looked at.
        if material::is_of_the_certificate_itself(number) || number == 12 {
            return None;
        }
        if material::verify(&completed, trust, X509PurposeId::SSL_CLIENT, level).is_ok() {
            return Some(incomplete("lua_ssl_trusted_certificate"));
        }
        let what = format!(
            "the server does not accept the certificate {} by its {} ({number}: {text})",
            material::subject(leaf),
            if server.lists.is_some() { "ssl_ca_file and ssl_crl_file" } else { "ssl_ca_file" },
        );
        let fault = Fault::new(Code::ClientNotVerified, named.place, what);
        Some(match number {
            3 => fault.with_fix("Put the current revocation list of every CA of the chain into ssl_crl_file."),
            11 | 12 => fault.with_fix("Put a revocation list into ssl_crl_file that is valid today."),
            23 => fault.with_fix("Give Kong a certificate that is not on the revocation list."),
            _ => fault,
        })
    } else {
        let last = chain.last()?;
        let issuer = trusted.iter().find(|other| material::is_issued_by(last, other))?;
        (!material::is_self_signed(issuer) && !material::is_self_signed(last))
            .then(|| incomplete("lua_ssl_trusted_certificate"))
    }
}
