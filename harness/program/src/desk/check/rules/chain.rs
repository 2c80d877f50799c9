//! The server's certificate against what Kong trusts.

use openssl::nid::Nid;
use openssl::x509::{X509, X509PurposeId};

use super::super::catalog::Code;
use super::super::configuration::Configuration;
use super::super::fault::{Fault, Severity};
use super::super::material::{self, Trust};
use super::super::server::Server;
use super::{KongFiles, ServerFiles};

pub(super) fn check(kong: &Configuration, files: &KongFiles, server: &Server, found: &ServerFiles) -> Vec<Fault> {
    let Some(chain) = found.certificate.as_deref().filter(|_| kong.main.ssl) else { return Vec::new() };
    let mut faults = Vec::new();
    faults.extend(verify(kong, files, chain, found.ca.as_deref()));
    faults.extend(binding(kong, server, chain));
    faults
}

fn verify(kong: &Configuration, files: &KongFiles, chain: &[X509], ca: Option<&[X509]>) -> Option<Fault> {
    let trusted = files.trusted.as_deref().filter(|_| kong.main.verify)?;
    // A server whose file holds its own certificate alone completes the chain from ssl_ca_file.
    let completed = if chain.len() == 1 { ca.unwrap_or_default() } else { &[] };
    let sent: Vec<_> = chain.iter().chain(completed).cloned().collect();
    let place = kong.place_of("lua_ssl_trusted_certificate");
    let leaf = material::subject(chain.first()?);
    let level = kong.main.security_level;
    if let Err((number, text)) = material::verify(&sent, Trust::of(trusted), X509PurposeId::SSL_SERVER, (None, level)) {
        if material::is_of_the_certificate_itself(number) {
            return None;
        }
        let what = format!("Kong does not accept the server's certificate {leaf} ({number}: {text})");
        return Some(Fault::new(Code::ServerNotVerified, place, what));
    }
    let depth = kong.main.depth;
    material::verify(&sent, Trust::of(trusted), X509PurposeId::SSL_SERVER, (Some(depth), level)).err().map(|_| {
        let what = format!("the chain of {leaf} has more intermediates than lua_ssl_verify_depth = {depth}");
        Fault::new(Code::ChainTooDeep, kong.place_of("lua_ssl_verify_depth"), what)
    })
}

/// SCRAM over TLS is bound to the certificate, by the digest of its signature; some signatures have none.
fn binding(kong: &Configuration, server: &Server, chain: &[X509]) -> Option<Fault> {
    let (_, lines) = server.hba.as_ref()?;
    let main = &kong.main;
    let by_scram = lines.iter().any(|line| {
        line.method == "scram-sha-256" && line.is_for(true) && line.names(&main.database, &main.user) != Some(false)
    });
    kong.get("pg_password").filter(|_| by_scram)?;
    let leaf = chain.first()?;
    let algorithm = leaf.signature_algorithm().object().nid();
    let ed448 = Nid::from_raw(1088);
    let ed25519 = Nid::from_raw(1087);
    let ecdsa = [Nid::ECDSA_WITH_SHA224, Nid::ECDSA_WITH_SHA256, Nid::ECDSA_WITH_SHA384, Nid::ECDSA_WITH_SHA512];
    // Enterprise's driver knows no ECDSA as far as it has been measured; newer ones may.
    let is_ecdsa = !kong.is_oss() && ecdsa.contains(&algorithm);
    if !is_ecdsa && ![Nid::RSASSAPSS, ed25519, ed448].contains(&algorithm) {
        return None;
    }
    let name = algorithm.long_name().unwrap_or("its algorithm");
    let what = format!("SCRAM cannot be bound to a certificate that is signed with {name}");
    let place = server.conf.as_ref().map_or(&kong.place, |conf| conf.place_of("ssl_cert_file"));
    let fault = Fault::new(Code::UnboundSignature, place, what);
    Some(if is_ecdsa { fault.with_severity(Severity::Note) } else { fault })
}
