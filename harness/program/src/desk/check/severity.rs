//! How bad a fault is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a fault is. Only errors and warnings make a configuration a faulty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Kong or the server will not start, or Kong will not connect.
    Error,
    /// It connects, or may connect, but not as the configuration suggests.
    Warning,
    /// Worth knowing; nothing has to be changed.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}
