//! Keys, certificates, chains and revocation lists, made anew in every run.
//!
//! A [`Tree`] says what there is; a [`Forge`] makes what is asked for and remembers it, so that a run pays only for
//! the certificates its cells use. Three sources make them: `rcgen` the usual ones, OpenSSL those that no modern
//! library makes (X.509 version 1, SHA-1, small keys, RSA-PSS), and the documents' own commands.

mod forge;
mod format;
mod guide;
mod pss;
mod sign;
mod spec;
mod tree;

pub use forge::slashed;
pub use forge::{Certificate, Forge};
pub use format::Format;
pub use guide::{Guide, Made};
pub use spec::{CertificateSpec, CrlSpec, KeyType, Signature, Usage, Validity};
pub use tree::{Artifact, Tree};

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A name that nothing in the tree makes.
    #[error("the certificates of this case have no `{0}`")]
    Unknown(String),
    /// A certificate that is, in the end, signed by itself through others.
    #[error("`{0}` is its own issuer by way of others")]
    Circle(String),
    /// The documents' recipe failed.
    #[error("the documents' recipe failed: {0}")]
    Recipe(String),
    /// A folder for the recipe could not be made.
    #[error("no folder for the documents' recipe: {0}")]
    Folder(#[from] std::io::Error),
    /// OpenSSL refused.
    #[error("OpenSSL cannot make it: {0}")]
    Openssl(#[from] openssl::error::ErrorStack),
    /// rcgen refused.
    #[error("rcgen cannot make it: {0}")]
    Rcgen(#[from] rcgen::Error),
}
