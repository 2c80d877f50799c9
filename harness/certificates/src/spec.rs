//! What a certificate or a revocation list is like, as a suite says it.

use serde::Deserialize;

/// A certificate. What is not said is as in the one it is like, or as the defaults named here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CertificateSpec {
    /// The certificate of the tree that it is a variation of; it has a key of its own all the same.
    pub like: Option<String>,
    /// The certificate whose key signs it; its own, if none is named.
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
    pub usage: Option<Vec<Usage>>,
    /// When it is valid; now by default.
    pub valid: Option<Validity>,
    /// Its key; RSA-2048 by default.
    pub key: Option<KeyType>,
    /// What its issuer signs with; SHA-256 by default.
    pub signature: Option<Signature>,
    /// The X.509 version; 3 by default. A version 1 certificate has no extensions.
    #[cfg_attr(feature = "schemars", schemars(range(min = 1, max = 3)))]
    pub version: Option<u8>,
}

impl CertificateSpec {
    /// This one, with what it does not say taken from another.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            like: other.like.clone(),
            issuer: self.issuer.clone().or_else(|| other.issuer.clone()),
            subject: self.subject.clone().or_else(|| other.subject.clone()),
            san: self.san.clone().or_else(|| other.san.clone()),
            ca: self.ca.or(other.ca),
            usage: self.usage.clone().or_else(|| other.usage.clone()),
            valid: self.valid.or(other.valid),
            key: self.key.or(other.key),
            signature: self.signature.or(other.signature),
            version: self.version.or(other.version),
        }
    }
}

/// An extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Usage {
    /// A TLS server.
    #[serde(rename = "serverAuth")]
    ServerAuth,
    /// A TLS client.
    #[serde(rename = "clientAuth")]
    ClientAuth,
}

/// When a certificate or a revocation list is valid, seen from the moment it is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// From yesterday on.
    #[default]
    Now,
    /// Until yesterday.
    Expired,
    /// From tomorrow on.
    NotYet,
}

/// A type of key, with its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// RSA with 2048 bits, what `openssl req` makes by default.
    #[default]
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 1024 bits, too small for OpenSSL's default security level.
    #[serde(rename = "rsa-1024")]
    Rsa1024,
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// Ed25519.
    Ed25519,
}

/// What an issuer signs with. Ed25519 keys have a digest of their own, whatever is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
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
    /// RSA-PSS with SHA-256.
    PssSha256,
    /// RSA-PSS with SHA-384.
    PssSha384,
}

/// A certificate revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CrlSpec {
    /// The CA that signs it.
    pub issuer: String,
    /// The certificates it revokes.
    #[serde(default)]
    pub revoked: Vec<String>,
    /// When it is valid; now by default.
    #[serde(default)]
    pub valid: Validity,
}
