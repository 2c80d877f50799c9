//! `differences.yaml`: where clients other than Kong legitimately behave differently.

use kong_pg_client::Stack;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::PostgresRange;

/// What `differences.yaml` holds: clients that are not Kong, each with the places where it behaves differently.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferencesFile {
    /// Kong's real driver on Debian's stacks.
    #[serde(default)]
    pub pgmoon: Vec<DifferenceEntry>,
    /// PostgreSQL's own client library.
    #[serde(default)]
    pub libpq: Vec<DifferenceEntry>,
    /// The strict modern client.
    #[serde(default)]
    pub rustls: Vec<DifferenceEntry>,
    /// An external program.
    #[serde(default)]
    pub command: Vec<DifferenceEntry>,
}

/// A place where a client behaves differently from Kong.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceEntry {
    /// Globs for the ids of the cases, `scenario/path::case-slug`; all, if not given.
    #[serde(default)]
    pub cells: Vec<String>,
    /// On this of Kong's stacks only.
    pub stack: Option<Stack>,
    /// On these PostgreSQL majors only.
    pub postgres: Option<PostgresRange>,
    /// Only where Kong says one of these.
    #[serde(default)]
    pub kong: Vec<String>,
    /// Only where the client says one of these.
    #[serde(default)]
    pub says: Vec<String>,
    /// What the client does.
    pub does: Divergence,
    /// Why that is right for it.
    pub because: String,
}

/// What a client does, where Kong does something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Divergence {
    /// It connects, or in another way than Kong.
    Connects,
    /// It does not connect.
    Refuses,
    /// It has no counterpart for what is asked for.
    Unsupported,
}
