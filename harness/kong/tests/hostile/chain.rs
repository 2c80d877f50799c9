//! Certificates as no authority issues them.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::BasicConstraints;
use openssl::x509::{X509, X509Builder, X509Extension, X509Name};

/// A server's certificate, what follows it, and the root above.
pub(crate) struct Chain {
    pub(crate) key: PKey<Private>,
    pub(crate) leaf: X509,
    pub(crate) intermediates: Vec<X509>,
    pub(crate) root: X509,
}

impl Chain {
    /// With so many intermediates, and so many bytes in a comment of the leaf.
    pub(crate) fn new(intermediates: usize, comment: usize) -> Self {
        let key = key();
        let root = certificate("root", &key, None, 0);
        let mut chain = vec![root.clone()];
        for number in 1..=intermediates {
            let issuer = chain.last().map(|issuer| (issuer, &key));
            chain.push(certificate(&format!("intermediate {number}"), &key, issuer, 0));
        }
        let leaf = certificate("127.0.0.1", &key, chain.last().map(|issuer| (issuer, &key)), comment);
        let intermediates = chain.drain(1..).rev().collect();
        Self { key, leaf, intermediates, root }
    }
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a group");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn certificate(name: &str, key: &PKey<Private>, issuer: Option<(&X509, &PKey<Private>)>, comment: usize) -> X509 {
    let mut subject = X509Name::builder().expect("a name");
    subject.append_entry_by_text("CN", name).expect("a name");
    let subject = subject.build();
    let mut builder: X509Builder = X509::builder().expect("a certificate");
    builder.set_version(2).expect("a version");
    let mut serial = BigNum::new().expect("a number");
    serial.pseudo_rand(64, openssl::bn::MsbOption::ONE, false).expect("a number");
    builder.set_serial_number(&serial.to_asn1_integer().expect("a number")).expect("a number");
    builder.set_subject_name(&subject).expect("a name");
    builder.set_issuer_name(issuer.map_or(&subject, |(issuer, _)| issuer.subject_name())).expect("a name");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(1).expect("a time")).expect("a time");
    builder.set_pubkey(key).expect("a key");
    if comment > 0 {
        #[expect(deprecated, reason = "there is no other way to make this extension")]
        let comment = X509Extension::new_nid(None, None, Nid::NETSCAPE_COMMENT, &"x".repeat(comment));
        builder.append_extension(comment.expect("an extension")).expect("an extension");
    } else if name != "127.0.0.1" {
        let authority = BasicConstraints::new().critical().ca().build().expect("an extension");
        builder.append_extension(authority).expect("an extension");
    }
    builder.sign(issuer.map_or(key, |(_, key)| key), MessageDigest::sha256()).expect("a signature");
    builder.build()
}
