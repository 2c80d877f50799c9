//! Signatures: by rcgen where it supports the algorithms, else by OpenSSL.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{self, BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Extension, X509NameBuilder};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};

use super::description::{CertificateSpec, CrlSpec, Days, ExtendedKeyUsage, KeyType, KeyUsage, Signature, Validity};
use super::{Certificate, PkiError, rsa_pss};

/// A new key.
pub(super) fn generate(key_type: KeyType) -> Result<PKey<Private>, ErrorStack> {
    let ec = |curve| PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(curve)?)?);
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits)?);
    match key_type {
        KeyType::Rsa1024 => rsa(1024),
        KeyType::Rsa2048 => rsa(2048),
        KeyType::Rsa3072 => rsa(3072),
        KeyType::Rsa4096 => rsa(4096),
        KeyType::EcdsaP256 => ec(Nid::X9_62_PRIME256V1),
        KeyType::EcdsaP384 => ec(Nid::SECP384R1),
        KeyType::EcdsaP521 => ec(Nid::SECP521R1),
        KeyType::Ed25519 => PKey::generate_ed25519(),
    }
}

/// A certificate for a key, signed by the issuer or, without one, by itself.
pub(super) fn certificate(
    spec: &CertificateSpec,
    key: PKey<Private>,
    issuer: Option<&Certificate>,
) -> Result<Certificate, PkiError> {
    let signer = issuer.map_or(&key, |issuer| &issuer.key);
    let signature = spec.signature.unwrap_or_default();
    // rcgen issues version 3 only, and reads the subject's key as well as the signer's.
    let subject = rcgen_key(&key)?.filter(|_| spec.version.unwrap_or(3) == 3);
    let x509 = match (rcgen_algorithm(signer, signature), subject) {
        (Some(algorithm), Some(subject)) => by_rcgen(spec, &subject, &key, issuer, algorithm)?,
        _ => by_openssl(spec, &key, issuer)?,
    };
    let is_rsa_pss = matches!(signature, Signature::PssSha256 | Signature::PssSha384);
    let x509 = if is_rsa_pss { rsa_pss::sign(&x509, signer, digest(signer, signature))? } else { x509 };
    Ok(Certificate { x509, key })
}

/// A revocation list in PEM. The openssl crate cannot make any; rcgen signs with SHA-256, or P-384 with SHA-384.
pub(super) fn crl(spec: &CrlSpec, issuer: &Certificate, revoked: &[Certificate]) -> Result<Vec<u8>, PkiError> {
    let algorithm = rcgen_algorithm(&issuer.key, Signature::Sha256)
        .or_else(|| rcgen_algorithm(&issuer.key, Signature::Sha384))
        .ok_or(rcgen::Error::UnsupportedSignatureAlgorithm)?;
    let (this_update, next_update) = period(spec.valid);
    let revoked = revoked.iter().map(|certificate| Ok(certificate.x509.serial_number().to_bn()?.to_vec()));
    let serials: Vec<_> =
        revoked.chain((0..spec.others).map(|number| Ok(unused_serial(number)))).collect::<Result<_, ErrorStack>>()?;
    let entry = |serial: Vec<u8>| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&serial),
        revocation_time: this_update,
        reason_code: None,
        invalidity_date: None,
    };
    let revoked_certs = serials.into_iter().map(entry).collect();
    // Verifiers match the list's authority key identifier with the issuer's subject key identifier.
    let key_identifier = issuer.x509.subject_key_id().map(|id| id.as_slice().to_vec());
    let list = CertificateRevocationListParams {
        this_update,
        next_update,
        crl_number: SerialNumber::from(u64::from(spec.number.unwrap_or(1))),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: key_identifier.map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified),
    };
    Ok(list.signed_by(&rcgen_issuer(issuer, algorithm)?)?.pem()?.into_bytes())
}

fn period(valid: Validity) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    let Days { from, to } = valid.days();
    (now + Duration::days(from.into()), now + Duration::days(to.into()))
}

/// The algorithm with which rcgen signs; `None` where it cannot.
fn rcgen_algorithm(key: &PKey<Private>, signature: Signature) -> Option<&'static SignatureAlgorithm> {
    match (key.id(), key.bits(), signature) {
        (Id::ED25519, ..) => Some(&rcgen::PKCS_ED25519),
        (Id::EC, 256, Signature::Sha256) => Some(&rcgen::PKCS_ECDSA_P256_SHA256),
        (Id::EC, 384, Signature::Sha384) => Some(&rcgen::PKCS_ECDSA_P384_SHA384),
        (Id::RSA, 2048.., Signature::Sha256) => Some(&rcgen::PKCS_RSA_SHA256),
        (Id::RSA, 2048.., Signature::Sha384) => Some(&rcgen::PKCS_RSA_SHA384),
        (Id::RSA, 2048.., Signature::Sha512) => Some(&rcgen::PKCS_RSA_SHA512),
        _ => None,
    }
}

fn rcgen_key_pair(key: &PKey<Private>, algorithm: &'static SignatureAlgorithm) -> Result<KeyPair, PkiError> {
    let pem = key.private_key_to_pem_pkcs8()?;
    Ok(KeyPair::from_pkcs8_pem_and_sign_algo(&String::from_utf8_lossy(&pem), algorithm)?)
}

/// The key as rcgen reads it; `None` where it cannot.
fn rcgen_key(key: &PKey<Private>) -> Result<Option<KeyPair>, PkiError> {
    let algorithm = rcgen_algorithm(key, Signature::Sha256).or_else(|| rcgen_algorithm(key, Signature::Sha384));
    algorithm.map(|algorithm| rcgen_key_pair(key, algorithm)).transpose()
}

fn rcgen_issuer(
    issuer: &Certificate,
    algorithm: &'static SignatureAlgorithm,
) -> Result<Issuer<'static, KeyPair>, PkiError> {
    let der = issuer.x509.to_der()?.into();
    Ok(Issuer::from_ca_cert_der(&der, rcgen_key_pair(&issuer.key, algorithm)?)?)
}

/// A subject alternative name as its type, `DNS` or `IP`, and its value.
fn alternative_name(name: &str) -> Result<(&str, &str), PkiError> {
    name.split_once(':')
        .filter(|(kind, value)| match *kind {
            "DNS" => !value.is_empty(),
            "IP" => value.parse::<std::net::IpAddr>().is_ok(),
            _ => false,
        })
        .ok_or_else(|| PkiError::SubjectAlternativeName(name.to_owned()))
}

fn by_rcgen(
    spec: &CertificateSpec,
    subject_key: &KeyPair,
    key: &PKey<Private>,
    issuer: Option<&Certificate>,
    algorithm: &'static SignatureAlgorithm,
) -> Result<X509, PkiError> {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = period(spec.valid.unwrap_or_default());
    params.serial_number = Some(SerialNumber::from_slice(&serial()?.to_vec()));
    params.distinguished_name = DistinguishedName::new();
    for (name, value) in subject(spec) {
        let kind = match name {
            "CN" => DnType::CommonName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            "C" => DnType::CountryName,
            "L" => DnType::LocalityName,
            _ => DnType::StateOrProvinceName,
        };
        params.distinguished_name.push(kind, value);
    }
    for name in spec.san.iter().flatten() {
        params.subject_alt_names.push(match alternative_name(name)? {
            ("IP", address) => {
                let address = address.parse().map_err(|_| PkiError::SubjectAlternativeName(name.clone()))?;
                SanType::IpAddress(address)
            }
            (_, host) => SanType::DnsName(host.to_owned().try_into()?),
        });
    }
    if spec.ca == Some(true) {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    } else {
        params.is_ca = IsCa::ExplicitNoCa;
    }
    let extended = spec.usage.iter().flatten();
    params.extended_key_usages = extended
        .map(|usage| match usage {
            ExtendedKeyUsage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    let usages = spec.key_usage.iter().flatten();
    params.key_usages = usages
        .map(|usage| match usage {
            KeyUsage::DigitalSignature => KeyUsagePurpose::DigitalSignature,
            KeyUsage::KeyEncipherment => KeyUsagePurpose::KeyEncipherment,
            KeyUsage::KeyAgreement => KeyUsagePurpose::KeyAgreement,
            KeyUsage::KeyCertSign => KeyUsagePurpose::KeyCertSign,
            KeyUsage::CrlSign => KeyUsagePurpose::CrlSign,
        })
        .collect();
    params.use_authority_key_identifier_extension = true;
    let made = match issuer {
        None => params.self_signed(&rcgen_key_pair(key, algorithm)?)?,
        Some(issuer) => params.signed_by(subject_key, &rcgen_issuer(issuer, algorithm)?)?,
    };
    Ok(X509::from_der(made.der())?)
}

fn by_openssl(spec: &CertificateSpec, key: &PKey<Private>, issuer: Option<&Certificate>) -> Result<X509, PkiError> {
    let mut name = X509NameBuilder::new()?;
    for (part, value) in subject(spec) {
        name.append_entry_by_text(part, value)?;
    }
    let name = name.build();
    let (from, to) = period(spec.valid.unwrap_or_default());
    let version = spec.version.unwrap_or(3);
    let mut builder = X509::builder()?;
    builder.set_version(i32::from(version) - 1)?;
    builder.set_serial_number(&*serial()?.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.x509.subject_name()))?;
    builder.set_not_before(&*Asn1Time::from_unix(from.unix_timestamp())?)?;
    builder.set_not_after(&*Asn1Time::from_unix(to.unix_timestamp())?)?;
    builder.set_pubkey(key)?;
    if version == 3 {
        let mut constraints = BasicConstraints::new();
        if spec.ca == Some(true) {
            constraints.ca();
        }
        builder.append_extension(constraints.critical().build()?)?;
        if let Some(usages) = &spec.usage {
            builder.append_extension(extended_key_usage(usages)?)?;
        }
        if let Some(usages) = spec.key_usage.as_ref().filter(|usages| !usages.is_empty()) {
            builder.append_extension(key_usage(usages)?)?;
        }
        if let Some(names) = spec.san.as_ref().filter(|names| !names.is_empty()) {
            let mut extension = SubjectAlternativeName::new();
            for name in names {
                match alternative_name(name)? {
                    ("IP", address) => extension.ip(address),
                    (_, host) => extension.dns(host),
                };
            }
            let extension = extension.build(&builder.x509v3_context(issuer.map(|issuer| &*issuer.x509), None))?;
            builder.append_extension(extension)?;
        }
    }
    let signer = issuer.map_or(key, |issuer| &issuer.key);
    builder.sign(signer, digest(signer, spec.signature.unwrap_or_default()))?;
    Ok(builder.build())
}

fn extended_key_usage(usages: &[ExtendedKeyUsage]) -> Result<X509Extension, ErrorStack> {
    let mut extension = extension::ExtendedKeyUsage::new();
    for usage in usages {
        match usage {
            ExtendedKeyUsage::ServerAuth => extension.server_auth(),
            ExtendedKeyUsage::ClientAuth => extension.client_auth(),
        };
    }
    extension.build()
}

fn key_usage(usages: &[KeyUsage]) -> Result<X509Extension, ErrorStack> {
    let mut extension = extension::KeyUsage::new();
    extension.critical();
    for usage in usages {
        match usage {
            KeyUsage::DigitalSignature => extension.digital_signature(),
            KeyUsage::KeyEncipherment => extension.key_encipherment(),
            KeyUsage::KeyAgreement => extension.key_agreement(),
            KeyUsage::KeyCertSign => extension.key_cert_sign(),
            KeyUsage::CrlSign => extension.crl_sign(),
        };
    }
    extension.build()
}

fn digest(signer: &PKey<Private>, signature: Signature) -> MessageDigest {
    match signature {
        _ if signer.id() == Id::ED25519 => MessageDigest::null(),
        Signature::Md5 => MessageDigest::md5(),
        Signature::Sha1 => MessageDigest::sha1(),
        Signature::Sha224 => MessageDigest::sha224(),
        Signature::Sha256 | Signature::PssSha256 => MessageDigest::sha256(),
        Signature::Sha384 | Signature::PssSha384 => MessageDigest::sha384(),
        Signature::Sha512 => MessageDigest::sha512(),
        Signature::Sha3_256 => MessageDigest::sha3_256(),
    }
}

/// The attributes of a subject such as `/O=Acme/CN=kong`.
fn subject(spec: &CertificateSpec) -> impl Iterator<Item = (&str, &str)> {
    let subject = spec.subject.as_deref().unwrap_or_default();
    // A value may contain slashes: `/CN=spiffe://example.com/kong` is one attribute.
    let begins = |place: &usize| {
        let name = subject[place + 1..].split('=').next().unwrap_or_default();
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase())
    };
    let starts: Vec<_> = subject.match_indices('/').map(|(place, _)| place).filter(begins).collect();
    let ends: Vec<_> = starts.iter().skip(1).copied().chain([subject.len()]).collect();
    starts.into_iter().zip(ends).filter_map(|(start, end)| subject[start + 1..end].split_once('='))
}

fn serial() -> Result<BigNum, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(63, openssl::bn::MsbOption::ONE, false)?;
    Ok(serial)
}

/// A serial number that [`serial`] does not make: it is longer. Those of a list are in no order, as in real ones.
fn unused_serial(number: u32) -> Vec<u8> {
    // Multiplication by an odd number gives each number another result.
    let scattered = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [&[1; 8][..], &scattered.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/CN=kong", &[("CN", "kong")])]
    #[case("/O=Acme/OU=gateways/CN=kong", &[("O", "Acme"), ("OU", "gateways"), ("CN", "kong")])]
    #[case("/CN=spiffe://example.com/ns/kong", &[("CN", "spiffe://example.com/ns/kong")])]
    fn a_value_in_a_subject_may_contain_slashes(#[case] text: &str, #[case] expected: &[(&str, &str)]) {
        let spec = CertificateSpec { subject: Some(text.to_owned()), ..CertificateSpec::default() };
        assert_eq!(subject(&spec).collect::<Vec<_>>(), expected);
    }
}
