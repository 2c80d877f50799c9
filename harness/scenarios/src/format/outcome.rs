//! Expectations, as a scenario file writes them.

use std::fmt;

use indexmap::IndexMap;
use kong_pg_client::Stage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::TlsVersion;

/// What must happen when Kong connects: an outcome of `outcomes.yaml`, or one spelled out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expect {
    /// The name of an outcome of `outcomes.yaml`, without arguments.
    Named(String),
    /// An outcome of `outcomes.yaml` with its arguments, or one spelled out, for both of Kong's stacks or for each.
    Spelled(Box<SpelledExpect>),
}

/// What must happen when Kong connects: `NAME: { ARGUMENT: VALUE }` of `outcomes.yaml`, an outcome spelled out, or one
/// for each of Kong's two stacks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SpelledExpect {
    /// Kong connects, on both stacks.
    pub connects: Option<Connects>,
    /// Kong does not connect, on either stack.
    pub refused: Option<Refused>,
    /// Kong waits without end, on both stacks.
    pub hangs: Option<Hangs>,
    /// What happens where LuaSec speaks: while nginx starts.
    pub luasec: Option<Outcome>,
    /// What happens where an nginx cosocket speaks: in the workers, and on the newer command line.
    pub cosocket: Option<Outcome>,
    /// What happens with the open-source edition, where that is something else.
    pub oss: Option<Expect>,
    /// An outcome of `outcomes.yaml` with its arguments.
    #[serde(flatten)]
    pub named: IndexMap<String, Arguments>,
}

/// What must happen on one stack: an outcome of `outcomes.yaml`, or one spelled out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// The name of an outcome of `outcomes.yaml`, without arguments.
    Named(String),
    /// An outcome of `outcomes.yaml` with its arguments, or one spelled out.
    Spelled(Box<SpelledOutcome>),
}

/// What must happen on one stack: `NAME: { ARGUMENT: VALUE }` of `outcomes.yaml`, or an outcome spelled out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SpelledOutcome {
    /// Kong connects.
    pub connects: Option<Connects>,
    /// Kong does not connect.
    pub refused: Option<Refused>,
    /// Kong waits without end.
    pub hangs: Option<Hangs>,
    /// An outcome of `outcomes.yaml` with its arguments.
    #[serde(flatten)]
    pub named: IndexMap<String, Arguments>,
}

/// The arguments of an outcome by name.
pub type Arguments = IndexMap<String, Argument>;

/// The value of an argument: text, in which placeholders may stand, or a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// An attempt that comes to no end by itself; the harness gives up well after `pg_timeout`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hangs {
    /// What the server logs; `[]` if it stays silent.
    pub postgres: ServerLog,
    /// What the program between Kong and the server logs; nothing, if not given.
    #[serde(default, skip_serializing_if = "ServerLog::is_silent")]
    pub relay: ServerLog,
}

/// A connection, proved by the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connects {
    /// The TLS version that `pg_stat_ssl` shows, or `off` for a connection in plaintext; not looked at, if not given.
    #[serde(default)]
    pub tls: Tls,
    /// The cipher suite that `pg_stat_ssl` shows; not looked at, if not given.
    pub cipher: Option<String>,
    /// The subject of the client certificate that `pg_stat_ssl` shows. If not given, none was sent, or, without `tls`, it
    /// is not looked at.
    pub client_dn: Option<String>,
    /// The certificate of the tree that the server showed.
    pub certificate: Option<String>,
    /// What the server logs besides the connection itself; nothing, if not given.
    #[serde(default, skip_serializing_if = "ServerLog::is_silent")]
    pub postgres: ServerLog,
    /// What the program between Kong and the server logs; nothing, if not given.
    #[serde(default, skip_serializing_if = "ServerLog::is_silent")]
    pub relay: ServerLog,
}

/// What `pg_stat_ssl` shows of a connection: one version, or any of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Tls {
    /// The only possible one.
    One(TlsVersion),
    /// Either is right.
    AnyOf(Vec<TlsVersion>),
}

impl Default for Tls {
    fn default() -> Self {
        Self::AnyOf(Vec::new())
    }
}

impl Tls {
    /// The versions accepted; any, if there are none.
    #[must_use]
    pub fn accepted(&self) -> &[TlsVersion] {
        match self {
            Self::One(version) => std::slice::from_ref(version),
            Self::AnyOf(versions) => versions,
        }
    }
}

/// A refusal, as both sides report it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// How far Kong comes; not looked at, if not given.
    pub stage: Option<Stage>,
    /// What Kong says after `failed to retrieve PostgreSQL server_version_num: `.
    pub kong: Option<KongText>,
    /// What Kong's driver raises instead of returning it; Kong prints that without the prefix.
    pub raises: Option<KongText>,
    /// What the server logs; `[]` if it stays silent.
    pub postgres: ServerLog,
    /// What the program between Kong and the server logs; nothing, if not given.
    #[serde(default, skip_serializing_if = "ServerLog::is_silent")]
    pub relay: ServerLog,
}

/// What Kong says: one text, or, where a race decides, any of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KongText {
    /// The only possible one.
    One(String),
    /// A race decides which.
    AnyOf(AnyText),
}

/// Texts of which a race decides one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnyText {
    /// The texts.
    #[schemars(length(min = 1))]
    pub any_of: Vec<String>,
    /// Texts that Kong's driver raises where it returns the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raises: Vec<String>,
    /// Why more than one is right.
    pub because: String,
}

impl KongText {
    /// The texts accepted.
    #[must_use]
    pub fn accepted(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::AnyOf(any) => &any.any_of,
        }
    }

    /// The texts that are raised where the others are returned.
    #[must_use]
    pub fn raised_instead(&self) -> &[String] {
        match self {
            Self::One(_) => &[],
            Self::AnyOf(any) => &any.raises,
        }
    }
}

/// What the server logs, line by line, without the lines that every connection has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ServerLog {
    /// One line.
    Line(String),
    /// These lines, in this order; none, if empty.
    Lines(Vec<String>),
    /// A race decides which.
    AnyOf(AnyLog),
}

/// Logs of which a race decides one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnyLog {
    /// The logs, each line by line.
    #[schemars(length(min = 2))]
    pub any_of: Vec<Vec<String>>,
    /// Why more than one is right.
    pub because: String,
}

impl Default for ServerLog {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

impl ServerLog {
    /// Whether the server logs nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Lines(lines) if lines.is_empty())
    }

    /// The logs accepted, each line by line.
    #[must_use]
    pub fn accepted(&self) -> Vec<Vec<&str>> {
        match self {
            Self::Line(line) => vec![vec![line]],
            Self::Lines(lines) => vec![lines.iter().map(String::as_str).collect()],
            Self::AnyOf(any) => any.any_of.iter().map(|lines| lines.iter().map(String::as_str).collect()).collect(),
        }
    }
}
