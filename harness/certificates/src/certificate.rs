use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509NameRef};

use super::PkiError;

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub x509: X509,
    /// Its private key.
    pub key: PKey<Private>,
}

impl Certificate {
    /// The subject as PostgreSQL prints it: `/CN=kong`.
    #[must_use]
    pub fn subject(&self) -> String {
        oneline(self.x509.subject_name())
    }

    /// The issuer as PostgreSQL prints it.
    #[must_use]
    pub fn issuer(&self) -> String {
        oneline(self.x509.issuer_name())
    }

    /// The serial number as PostgreSQL prints it, in decimal.
    ///
    /// # Errors
    ///
    /// If OpenSSL is out of memory.
    pub fn serial(&self) -> Result<String, PkiError> {
        Ok(self.x509.serial_number().to_bn()?.to_dec_str()?.to_string())
    }
}

/// A name in the format of OpenSSL's `X509_NAME_oneline`, which PostgreSQL prints: `/O=Acme/CN=kong`.
#[must_use]
pub fn oneline(name: &X509NameRef) -> String {
    let part = |entry: &openssl::x509::X509NameEntryRef| {
        let value = String::from_utf8_lossy(entry.data().as_slice()).into_owned();
        format!("/{}={value}", entry.object().nid().short_name().unwrap_or("?"))
    };
    name.entries().map(part).collect()
}
