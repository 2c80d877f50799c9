use serde::{Deserialize, Serialize};

/// The encoding of a key, a certificate or a CRL in its file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// PEM; keys as PKCS#8, `BEGIN PRIVATE KEY`.
    #[default]
    Pem,
    /// PEM; keys in their traditional form, `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY`.
    Traditional,
    /// PEM; keys encrypted with the passphrase of their certificate, `BEGIN ENCRYPTED PRIVATE KEY`.
    Encrypted,
    /// DER.
    Der,
}
