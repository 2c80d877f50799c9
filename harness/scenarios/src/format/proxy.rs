//! A proxy between Kong and the server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::Behaviour;

/// A proxy between Kong and the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// How it behaves.
    pub does: Behaviour,
    /// The certificate of the tree that it shows, where it terminates TLS itself.
    pub certificate: Option<String>,
}
