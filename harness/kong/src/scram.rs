//! SCRAM-SHA-256 as pgmoon does it: with channel binding whenever the server offers that.

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::X509Ref;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};

use super::driver::Fault;
use super::profile::Binding;
use super::protocol::{Message, Session, server_error};
use crate::Stage;

/// What pgmoon says of every end but a good one; the server's own words are not shown.
const UNSUCCESSFUL: &str = "authentication exchange unsuccessful";

/// Authenticates after the server has asked for SASL.
pub(super) async fn authenticate(
    session: &mut Session,
    request: &Message,
    password: &[u8],
    certificate: Option<&X509Ref>,
    binding: Binding,
) -> Result<(), Fault> {
    let offered: Vec<_> = request.rest().split(|byte| *byte == 0).collect();
    let offers = |mechanism: &str| offered.contains(&mechanism.as_bytes());
    let (mechanism, channel) = if offers(SCRAM_SHA_256_PLUS) {
        let hash = certificate.map(|certificate| end_point(certificate, binding)).transpose()?.unwrap_or_default();
        (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))
    } else if offers(SCRAM_SHA_256) {
        (SCRAM_SHA_256, ChannelBinding::unsupported())
    } else {
        let names = String::from_utf8_lossy(request.rest()).into_owned();
        return Err(Fault::raised(Stage::Auth, &format!("unsupported SCRAM mechanism name: {names}")));
    };
    let unsuccessful = || Fault::returned(Stage::Auth, UNSUCCESSFUL);
    let mut scram = ScramSha256::new(password, channel);
    let first = scram.message();
    let length = i32::try_from(first.len()).unwrap_or(i32::MAX).to_be_bytes();
    session.answer(&[mechanism.as_bytes(), b"\0", &length, first].concat()).await?;

    let challenge = session.receive().await?;
    match (challenge.kind, challenge.code()) {
        (b'R', Some(11)) => scram.update(challenge.rest()).map_err(|_| unsuccessful())?,
        (b'E', _) => return Err(server_error(Stage::Auth, &challenge)),
        _ => return Err(unsuccessful()),
    }
    session.answer(scram.message()).await?;

    let end = session.receive().await?;
    let refused = || Fault { sqlstate: server_error(Stage::Auth, &end).sqlstate, ..unsuccessful() };
    match (end.kind, end.code()) {
        (b'R', Some(12)) => scram.finish(end.rest()).map_err(|_| unsuccessful())?,
        (b'E', _) => return Err(refused()),
        _ => return Err(unsuccessful()),
    }
    session.accepted().await
}

/// `tls-server-end-point`: the hash of the server's certificate, with the digest it is signed with.
fn end_point(certificate: &X509Ref, binding: Binding) -> Result<Vec<u8>, Fault> {
    let signature = certificate.signature_algorithm().object().nid();
    let digest = match signature {
        _ if binding == Binding::NoSession => None,
        // MD5 and SHA-1 are taken for SHA-256 here, says RFC 5929.
        Nid::MD5WITHRSAENCRYPTION | Nid::SHA1WITHRSAENCRYPTION | Nid::SHA256WITHRSAENCRYPTION => {
            Some(MessageDigest::sha256())
        }
        Nid::SHA224WITHRSAENCRYPTION => Some(MessageDigest::sha224()),
        Nid::SHA384WITHRSAENCRYPTION => Some(MessageDigest::sha384()),
        Nid::SHA512WITHRSAENCRYPTION => Some(MessageDigest::sha512()),
        Nid::ECDSA_WITH_SHA256 if binding != Binding::Rsa => Some(MessageDigest::sha256()),
        Nid::ECDSA_WITH_SHA384 if binding != Binding::Rsa => Some(MessageDigest::sha384()),
        Nid::ECDSA_WITH_SHA512 if binding != Binding::Rsa => Some(MessageDigest::sha512()),
        _ => None,
    };
    let digest = digest.ok_or_else(|| {
        let name = signature.long_name().unwrap_or_default().to_lowercase();
        Fault::raised(Stage::Auth, &binding.raises().replace("{signature}", &name))
    })?;
    let hash = certificate.digest(digest).map_err(|errors| Fault::raised(Stage::Auth, &errors.to_string()))?;
    Ok(hash.to_vec())
}
