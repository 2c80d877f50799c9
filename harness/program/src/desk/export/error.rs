//! What can go wrong in an export.

use certificate_trees::PkiError;

use super::folder::FolderError;
use super::format::Format;

/// Why a cell cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Its certificates cannot be made.
    #[error(transparent)]
    Certificates(#[from] PkiError),
    /// It cannot be said in this format.
    #[error("{format} cannot have it: {why}")]
    NotPossible {
        /// The format.
        format: Format,
        /// Why not.
        why: String,
    },
    /// It cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It is no YAML.
    #[error("cannot write YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// It is no tree of values.
    #[error("cannot write YAML: {0}")]
    Value(#[from] serde_json::Error),
}
