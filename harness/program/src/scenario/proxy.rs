//! What stands between Kong and the server, and how it behaves.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::vocabulary::Behaviour;

/// What stands between Kong and the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// How it behaves.
    pub does: Behaviour,
    /// The certificate of the tree that it shows, where it ends TLS itself.
    pub with: Option<String>,
}
