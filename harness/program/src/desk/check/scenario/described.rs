//! Certificates described, so that others like them can be made: with the same names, dates and extensions, issued by one
//! another as they are, and with keys of their own.

use std::collections::BTreeMap;

use certificate_trees::{CertificateSpec, Days, ExtendedKeyUsage, KeyType, KeyUsage, Signature, Validity, oneline};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private};
use openssl::x509::X509;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::super::material::{common_name, is_issued_by, is_self_signed, uses};

/// Certificates by name, each as it is and as it is described.
#[derive(Default)]
pub(super) struct Described {
    all: Vec<(String, X509, CertificateSpec)>,
    keys: BTreeMap<String, CertificateSpec>,
}

impl Described {
    /// The name of a certificate; the same for the same one.
    pub(super) fn add(&mut self, certificate: &X509) -> String {
        let known = self.all.iter().find(|(_, other, _)| other.to_der().ok() == certificate.to_der().ok());
        if let Some((name, ..)) = known {
            return name.clone();
        }
        let name = self.free_name(&slug(&common_name(certificate).unwrap_or_default()));
        self.all.push((name.clone(), certificate.clone(), spec(certificate)));
        name
    }

    /// The name of the certificate that a key belongs to: one that is known, or one that is made for it.
    pub(super) fn add_key(&mut self, key: &PKey<Private>) -> String {
        let is_of = |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(key));
        if let Some((name, ..)) = self.all.iter().find(|(_, certificate, _)| is_of(certificate)) {
            return name.clone();
        }
        let name = self.free_name("key-of-no-certificate");
        let spec =
            CertificateSpec { subject: Some("/CN=nobody".into()), key: key_type(key), ..CertificateSpec::default() };
        self.keys.insert(name.clone(), spec);
        name
    }

    /// The certificates with their issuers. One that is not among them is made up, so that the chain ends as it does.
    pub(super) fn finish(mut self) -> BTreeMap<String, CertificateSpec> {
        let mut strangers = BTreeMap::<String, String>::new();
        for number in 0..self.all.len() {
            let certificate = self.all[number].1.clone();
            if is_self_signed(&certificate) {
                continue;
            }
            let issuer = self.all.iter().find(|(_, other, _)| is_issued_by(&certificate, other));
            let name = if let Some((name, ..)) = issuer {
                name.clone()
            } else {
                let free = self.free_name(&format!("issuer-of-{}", self.all[number].0));
                strangers.entry(oneline(certificate.issuer_name())).or_insert(free).clone()
            };
            self.all[number].2.issuer = Some(name);
        }
        let mut all = self.keys;
        all.extend(self.all.into_iter().map(|(name, _, spec)| (name, spec)));
        all.extend(strangers.into_iter().map(|(subject, name)| {
            (name, CertificateSpec { subject: supported(&subject), ca: Some(true), ..CertificateSpec::default() })
        }));
        all
    }

    /// The first CA, to issue a certificate by it.
    pub(super) fn ca(&self) -> Option<String> {
        self.all.iter().find(|(_, certificate, _)| uses(certificate).ca).map(|(name, ..)| name.clone())
    }

    fn free_name(&self, wanted: &str) -> String {
        let is_taken = |name: &str| self.all.iter().any(|(taken, ..)| taken == name) || self.keys.contains_key(name);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| !is_taken(name)).unwrap_or_default()
    }
}

/// A name for a file.
pub(super) fn slug(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = text.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let name = name.trim_matches(['-', '.', '_']);
    if name.is_empty() { "certificate".to_owned() } else { name.to_owned() }
}

fn spec(certificate: &X509) -> CertificateSpec {
    let mut spec = CertificateSpec {
        subject: supported(&oneline(certificate.subject_name())),
        ca: Some(uses(certificate).ca),
        valid: Some(validity(certificate)),
        key: certificate.public_key().ok().and_then(|key| key_type(&key)),
        signature: signature(certificate),
        version: u8::try_from(certificate.version() + 1).ok().filter(|version| *version < 3),
        ..CertificateSpec::default()
    };
    let der = certificate.to_der().unwrap_or_default();
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else { return spec };
    let names = parsed.subject_alternative_name().ok().flatten();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
        GeneralName::IPAddress([a, b, c, d]) => Some(format!("IP:{a}.{b}.{c}.{d}")),
        _ => None,
    };
    spec.san = names.map(|names| names.value.general_names.iter().filter_map(name).collect());
    spec.usage = parsed.extended_key_usage().ok().flatten().map(|usage| {
        let usages = [
            (usage.value.server_auth, ExtendedKeyUsage::ServerAuth),
            (usage.value.client_auth, ExtendedKeyUsage::ClientAuth),
        ];
        usages.into_iter().filter(|(is_set, _)| *is_set).map(|(_, usage)| usage).collect()
    });
    spec.key_usage = parsed.key_usage().ok().flatten().map(|usage| {
        let usages = [
            (usage.value.digital_signature(), KeyUsage::DigitalSignature),
            (usage.value.key_encipherment(), KeyUsage::KeyEncipherment),
            (usage.value.key_agreement(), KeyUsage::KeyAgreement),
            (usage.value.key_cert_sign(), KeyUsage::KeyCertSign),
            (usage.value.crl_sign(), KeyUsage::CrlSign),
        ];
        usages.into_iter().filter(|(is_set, _)| *is_set).map(|(_, usage)| usage).collect()
    });
    spec
}

/// A subject with the attributes that certificates can be made with here.
fn supported(subject: &str) -> Option<String> {
    let is_known = |part: &&str| ["CN=", "O=", "OU=", "C=", "L=", "ST="].iter().any(|known| part.starts_with(known));
    let mut kept = String::new();
    let mut keeps = false;
    for part in subject.split('/').skip(1) {
        // A value may have slashes in it.
        let is_attribute = part.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase()));
        keeps = if is_attribute { is_known(&part) } else { keeps };
        if keeps {
            kept.push('/');
            kept.push_str(part);
        }
    }
    (!kept.is_empty()).then_some(kept)
}

fn validity(certificate: &X509) -> Validity {
    let days = |time: &Asn1TimeRef| {
        let difference = Asn1Time::days_from_now(0).and_then(|now| now.diff(time));
        let days = difference.map_or(0, |difference| difference.days + difference.secs.signum());
        i16::try_from(days).unwrap_or(if days < 0 { i16::MIN } else { i16::MAX })
    };
    Validity::Days(Days { from: days(certificate.not_before()), to: days(certificate.not_after()) })
}

fn key_type<T: HasPublic>(key: &PKeyRef<T>) -> Option<KeyType> {
    match (key.id(), key.bits()) {
        (Id::RSA, ..=1024) => Some(KeyType::Rsa1024),
        (Id::RSA, ..=2048) => Some(KeyType::Rsa2048),
        (Id::RSA, ..=3072) => Some(KeyType::Rsa3072),
        (Id::RSA, _) => Some(KeyType::Rsa4096),
        (Id::EC, ..=256) => Some(KeyType::EcdsaP256),
        (Id::EC, ..=384) => Some(KeyType::EcdsaP384),
        (Id::EC, _) => Some(KeyType::EcdsaP521),
        (Id::ED25519, _) => Some(KeyType::Ed25519),
        _ => None,
    }
}

fn signature(certificate: &X509) -> Option<Signature> {
    let algorithm = certificate.signature_algorithm().object().nid();
    let known = [
        (Nid::MD5WITHRSAENCRYPTION, Signature::Md5),
        (Nid::SHA1WITHRSAENCRYPTION, Signature::Sha1),
        (Nid::SHA384WITHRSAENCRYPTION, Signature::Sha384),
        (Nid::SHA512WITHRSAENCRYPTION, Signature::Sha512),
        (Nid::ECDSA_WITH_SHA384, Signature::Sha384),
        (Nid::ECDSA_WITH_SHA512, Signature::Sha512),
    ];
    known.into_iter().find(|(nid, _)| *nid == algorithm).map(|(_, signature)| signature)
}
