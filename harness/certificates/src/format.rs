//! The encoding of a key, a certificate or a revocation list in its file.

use serde::Deserialize;

/// The encoding of a key, a certificate or a revocation list in its file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// PEM, and for keys PKCS#8: `BEGIN PRIVATE KEY`.
    #[default]
    Pem,
    /// The traditional form of a key: `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY`.
    Traditional,
    /// A key encrypted with the passphrase `kong`: `BEGIN ENCRYPTED PRIVATE KEY`.
    Encrypted,
    /// DER.
    Der,
}
