//! RSA-PSS signatures. Neither rcgen nor the openssl crate signs certificates with them, so a certificate that is
//! signed already gets another signature, and the algorithm's identifier in both places in which it has one.

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::X509;
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, DERWriter, Tag};

use super::PkiError;

/// The same certificate, signed with RSA-PSS.
pub(super) fn sign(certificate: &X509, signer: &PKey<Private>, digest: MessageDigest) -> Result<X509, PkiError> {
    let parts = to_be_signed(&certificate.to_der()?)?;
    let to_sign = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for (position, part) in parts.iter().enumerate() {
                // The algorithm follows the version and the serial number.
                if position == 2 { algorithm(writer.next(), digest) } else { writer.next().write_der(part) }
            }
        });
    });
    let mut pss = Signer::new(digest, signer)?;
    pss.set_rsa_padding(Padding::PKCS1_PSS)?;
    pss.set_rsa_mgf1_md(digest)?;
    pss.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    let signature = pss.sign_oneshot_to_vec(&to_sign)?;
    let whole = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(&to_sign);
            algorithm(writer.next(), digest);
            writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    });
    Ok(X509::from_der(&whole)?)
}

/// The fields of the `TBSCertificate`.
fn to_be_signed(certificate: &[u8]) -> ASN1Result<Vec<Vec<u8>>> {
    yasna::parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the path of the method is not general enough over lifetimes"
            )]
            let parts = reader.next().collect_sequence_of(|reader| reader.read_der())?;
            reader.next().read_der()?;
            reader.next().read_der()?;
            Ok(parts)
        })
    })
}

/// `id-RSASSA-PSS` with its parameters (RFC 4055): the digest, MGF1 with the same digest, a salt of its length.
fn algorithm(writer: DERWriter<'_>, digest: MessageDigest) {
    const PSS: &[u64] = &[1, 2, 840, 113_549, 1, 1, 10];
    const MGF1: &[u64] = &[1, 2, 840, 113_549, 1, 1, 8];
    let hash = if digest.type_() == Nid::SHA384 { 2 } else { 1 };
    let hash = [2, 16, 840, 1, 101, 3, 4, 2, hash];
    writer.write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(PSS));
        writer.next().write_sequence(|writer| {
            writer.next().write_tagged(Tag::context(0), |writer| name(writer, &hash));
            writer.next().write_tagged(Tag::context(1), |writer| {
                writer.write_sequence(|writer| {
                    writer.next().write_oid(&ObjectIdentifier::from_slice(MGF1));
                    name(writer.next(), &hash);
                });
            });
            writer.next().write_tagged(Tag::context(2), |writer| writer.write_u64(digest.size() as u64));
        });
    });
}

fn name(writer: DERWriter<'_>, hash: &[u64]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(hash));
        writer.next().write_null();
    });
}
