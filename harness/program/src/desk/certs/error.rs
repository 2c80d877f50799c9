//! What can go wrong with certificates for a user.

use certificate_trees::PkiError;

use crate::desk::export::FolderError;

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// They cannot be made.
    #[error(transparent)]
    Certificates(#[from] PkiError),
    /// They cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The tree has no certificate of this name.
    #[error("the tree {tree} has no certificate called `{name}`; root-only, intermediate and self-signed have")]
    Incomplete {
        /// The tree.
        tree: String,
        /// The certificate.
        name: &'static str,
    },
    /// The guide's commands have names of their own.
    #[error("the commands of Kong's guide have names and dates of their own; use {0} for yours")]
    OfTheGuide(String),
}
