//! The words for what is left.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that outlived its cell or its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Leak {
    /// A process.
    Process {
        /// Its number.
        pid: i32,
        /// Its command line.
        command: String,
        /// The TCP ports that it listens on, with their addresses.
        listens: Vec<String>,
    },
    /// A TCP port that the program itself still listens on.
    Port {
        /// With its address.
        address: String,
    },
    /// A container.
    Container {
        /// Its id.
        id: String,
    },
    /// A file or a folder.
    File {
        /// Its path, or its name in the folder for temporary files that a client was given.
        path: String,
    },
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, command, listens } => {
                write!(f, "process {pid} ({command})")?;
                if listens.is_empty() { Ok(()) } else { write!(f, ", which listens on {}", listens.join(" and ")) }
            }
            Self::Port { address } => write!(f, "port {address}, on which this program listens"),
            Self::Container { id } => write!(f, "container {}", id.get(..12).unwrap_or(id)),
            Self::File { path } => write!(f, "file {path}"),
        }
    }
}
