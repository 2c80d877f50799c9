//! Certificates that rules about both sides look at.

use std::path::PathBuf;

use openssl::x509::X509;

/// Certificates of Kong's that could be read.
#[derive(Debug, Default)]
pub(super) struct KongFiles {
    /// Those that Kong trusts; `None` if not all could be read, or they are the system's.
    pub(super) trusted: Option<Vec<X509>>,
    /// The client certificate and what is sent with it.
    pub(super) client: Option<Vec<X509>>,
}

/// Certificates of the server's that could be read.
#[derive(Debug, Default)]
pub(super) struct ServerFiles {
    /// The server certificate and what is sent with it.
    pub(super) certificate: Option<Vec<X509>>,
    /// The CAs for client certificates.
    pub(super) ca: Option<Vec<X509>>,
    /// The file with their revocation lists.
    pub(super) lists: Option<PathBuf>,
}
