use serde::{Deserialize, Serialize};

/// A certificate. What is left out is taken from the certificate it is `like`, or has the default given here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CertificateSpec {
    /// The certificate of the tree that it is a variation of. Its key is its own all the same.
    pub like: Option<String>,
    /// The certificate whose key signs it; self-signed by default.
    pub issuer: Option<String>,
    /// The subject, `/CN=kong` or `/O=Acme/OU=gw/CN=kong`.
    #[cfg_attr(feature = "schemars", schemars(regex(pattern = "^(/[A-Z]+=.+)+$")))]
    pub subject: Option<String>,
    /// Subject alternative names, `DNS:localhost` or `IP:127.0.0.1`; none by default.
    #[cfg_attr(feature = "schemars", schemars(inner(regex(pattern = "^(DNS|IP):.+$"))))]
    pub san: Option<Vec<String>>,
    /// Whether it is a CA certificate; no by default.
    pub ca: Option<bool>,
    /// The extended key usages; no such extension by default.
    pub usage: Option<Vec<ExtendedKeyUsage>>,
    /// The key usages; no such extension by default.
    pub key_usage: Option<Vec<KeyUsage>>,
    /// The validity period; `now` by default.
    pub valid: Option<Validity>,
    /// The type of its key; `rsa-2048` by default.
    pub key: Option<KeyType>,
    /// The passphrase of its key in a file in which the key is encrypted; `kong` by default.
    #[cfg_attr(feature = "schemars", schemars(length(min = 1)))]
    pub passphrase: Option<String>,
    /// The algorithm with which its issuer signs it; `sha256` by default.
    pub signature: Option<Signature>,
    /// The X.509 version; 3 by default. A version 1 certificate has no extensions.
    #[cfg_attr(feature = "schemars", schemars(range(min = 1, max = 3)))]
    pub version: Option<u8>,
}

impl CertificateSpec {
    /// This description, with what it leaves out taken from another.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            like: other.like.clone(),
            issuer: self.issuer.clone().or_else(|| other.issuer.clone()),
            subject: self.subject.clone().or_else(|| other.subject.clone()),
            san: self.san.clone().or_else(|| other.san.clone()),
            ca: self.ca.or(other.ca),
            usage: self.usage.clone().or_else(|| other.usage.clone()),
            key_usage: self.key_usage.clone().or_else(|| other.key_usage.clone()),
            valid: self.valid.or(other.valid),
            key: self.key.or(other.key),
            passphrase: self.passphrase.clone().or_else(|| other.passphrase.clone()),
            signature: self.signature.or(other.signature),
            version: self.version.or(other.version),
        }
    }
}

/// An extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum ExtendedKeyUsage {
    /// A TLS server.
    #[serde(rename = "serverAuth")]
    ServerAuth,
    /// A TLS client.
    #[serde(rename = "clientAuth")]
    ClientAuth,
}

/// A key usage (RFC 5280, section 4.2.1.3). The extension is marked critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum KeyUsage {
    /// Signatures, as in every TLS handshake with an ephemeral key exchange.
    DigitalSignature,
    /// Key transport with RSA.
    KeyEncipherment,
    /// Key agreement.
    KeyAgreement,
    /// Signatures of certificates.
    KeyCertSign,
    /// Signatures of revocation lists.
    #[serde(rename = "cRLSign")]
    CrlSign,
}

/// The validity period of a certificate or a CRL, relative to the time at which it is issued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// From yesterday, for 366 days.
    #[default]
    Now,
    /// Until yesterday, from 29 days before.
    Expired,
    /// From tomorrow, for 364 days.
    NotYet,
    /// Days before (negative) or after the time of issue.
    #[serde(untagged)]
    Days(Days),
}

/// A validity period in days relative to the time of issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Days {
    /// `notBefore` of a certificate, `thisUpdate` of a CRL; -1 by default.
    #[serde(default = "yesterday")]
    pub from: i16,
    /// `notAfter` of a certificate, `nextUpdate` of a CRL.
    pub to: i16,
}

fn yesterday() -> i16 {
    -1
}

impl Validity {
    /// Valid from yesterday until a number of days from now.
    #[must_use]
    pub fn for_days(to: i16) -> Self {
        Self::Days(Days { from: yesterday(), to })
    }

    /// The first and the last day, relative to the time of issue.
    #[must_use]
    pub fn days(self) -> Days {
        match self {
            Self::Now => Days { from: -1, to: 365 },
            Self::Expired => Days { from: -30, to: -1 },
            Self::NotYet => Days { from: 1, to: 365 },
            Self::Days(days) => days,
        }
    }
}

/// A type of key, with its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// RSA with 2048 bits, the default of `openssl req`.
    #[default]
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 1024 bits, too small for OpenSSL's default security level.
    #[serde(rename = "rsa-1024")]
    Rsa1024,
    /// RSA with 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// ECDSA on P-521.
    #[serde(rename = "ecdsa-p521")]
    EcdsaP521,
    /// Ed25519.
    Ed25519,
}

/// The digest, and for RSA the padding, with which an issuer signs. Ed25519 issuers ignore it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// MD5, for RSA issuers only; refused by OpenSSL's default security level.
    Md5,
    /// SHA-1, refused by OpenSSL's default security level.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA3-256.
    #[serde(rename = "sha3-256")]
    Sha3_256,
    /// RSA-PSS with SHA-256.
    PssSha256,
    /// RSA-PSS with SHA-384.
    PssSha384,
}

/// A certificate revocation list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CrlSpec {
    /// The CA that signs it. rcgen must support its key: not `rsa-1024` and not `ecdsa-p521`.
    pub issuer: String,
    /// The certificates it revokes.
    #[serde(default)]
    pub revoked: Vec<String>,
    /// How many certificates it revokes besides these: serial numbers of certificates that nobody has. Lists of public
    /// CAs have hundreds of thousands.
    #[serde(default)]
    pub others: u32,
    /// Its `thisUpdate` and `nextUpdate`; `now` by default.
    #[serde(default)]
    pub valid: Validity,
    /// Its CRL number; 1 by default. A newer list of the same CA should have a higher one (RFC 5280, section 5.2.3).
    #[cfg_attr(feature = "schemars", schemars(range(min = 1)))]
    pub number: Option<u32>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#""expired""#, Validity::Expired)]
    #[case(r#""not-yet""#, Validity::NotYet)]
    #[case(r#"{"to": 90}"#, Validity::for_days(90))]
    #[case(r#"{"from": -20, "to": -10}"#, Validity::Days(Days { from: -20, to: -10 }))]
    fn a_validity_is_a_word_or_days(#[case] json: &str, #[case] expected: Validity) {
        assert_eq!(serde_json::from_str::<Validity>(json).expect("a validity"), expected);
    }

    #[rstest]
    #[case(r#""soon""#)]
    #[case(r#"{"until": 90}"#)]
    #[case(r#"{"from": 1}"#)]
    fn another_word_is_not_a_validity(#[case] json: &str) {
        assert!(serde_json::from_str::<Validity>(json).is_err());
    }

    #[test]
    fn algorithms_and_usages_have_the_names_of_their_standards() {
        let json = r#"{"key": "ecdsa-p521", "signature": "sha3-256", "key_usage": ["digitalSignature", "cRLSign"]}"#;
        let spec: CertificateSpec = serde_json::from_str(json).expect("a description");
        assert_eq!((spec.key, spec.signature), (Some(KeyType::EcdsaP521), Some(Signature::Sha3_256)));
        assert_eq!(spec.key_usage, Some(vec![KeyUsage::DigitalSignature, KeyUsage::CrlSign]));
    }

    #[test]
    fn a_variation_takes_from_the_original_what_it_leaves_out() {
        let original = CertificateSpec {
            issuer: Some("root".into()),
            key: Some(KeyType::EcdsaP521),
            key_usage: Some(vec![KeyUsage::DigitalSignature]),
            passphrase: Some("secret".into()),
            ..CertificateSpec::default()
        };
        let variation = CertificateSpec { key: Some(KeyType::Rsa3072), ..CertificateSpec::default() };
        assert_eq!(variation.or(&original), CertificateSpec { key: Some(KeyType::Rsa3072), ..original.clone() });
    }
}
