//! What `scenarios/causes.yaml` holds: symptoms, and the causes behind them.

use indexmap::IndexMap;
use kong_pg_client::Stack;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::vocabulary::PostgresRange;

/// The file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CausesFile {
    /// The causes, by code.
    pub causes: IndexMap<String, Cause>,
    /// The symptoms. Of two that match the same words, the longer one counts.
    pub symptoms: Vec<Symptom>,
    /// What is not about Kong's connection to PostgreSQL, whatever else is in the line.
    #[serde(default)]
    pub unrelated: Vec<Unrelated>,
    /// Messages of PostgreSQL in other languages, each with the English words that symptoms are written in. `*` stands
    /// for the same values in both.
    #[serde(default)]
    pub translations: IndexMap<String, IndexMap<String, String>>,
}

/// Words of a line that belongs to another connection than the one to PostgreSQL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unrelated {
    /// The words; `*` matches anything.
    pub text: String,
    /// What such a line is about, to follow "it is about".
    pub about: String,
}

/// Why a connection fails, and what to do about it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// What is wrong, in a sentence or two.
    pub cause: String,
    /// What to change.
    pub fix: String,
    /// What is seen if it is this cause and not another one behind the same symptom.
    pub tell_apart: String,
    /// Cases in which it shows, by id; globs are allowed.
    #[serde(default)]
    pub failing: Vec<String>,
    /// Cases in which it is fixed, by id; globs are allowed.
    #[serde(default)]
    pub passing: Vec<String>,
    /// Where it is known from, if no case of PostgreSQL and Kong alone can show it.
    pub source: Option<String>,
    /// The one of Kong's TLS stacks that it shows on; both, if not given.
    pub stack: Option<Stack>,
    /// The Kong releases that it can be in, by name or glob; all, if none is given.
    #[serde(default)]
    pub releases: Vec<String>,
    /// The PostgreSQL majors that it can be on; all, if not given.
    pub postgres: Option<PostgresRange>,
    /// Words of a log that make it more likely: names of hosts, products and releases.
    #[serde(default)]
    pub mentions: Vec<String>,
    /// Whether it is about TLS.
    #[serde(default = "yes")]
    pub tls: bool,
}

fn yes() -> bool {
    true
}

/// A text that is printed or logged when a connection fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// The text; `*` matches anything.
    pub text: String,
    /// Whether it must be the whole message rather than a part of a line.
    #[serde(default)]
    pub whole: bool,
    /// Who prints it.
    pub who: Speaker,
    /// The step at which it is printed.
    pub step: Step,
    /// The one of Kong's TLS stacks that prints it; either, if not given.
    pub stack: Option<Stack>,
    /// The codes of its causes, most likely first.
    pub causes: Vec<String>,
}

/// Who prints a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Speaker {
    /// Kong, its driver or its Lua libraries.
    Kong,
    /// nginx, in its error log or on the terminal.
    Nginx,
    /// OpenSSL, on either side.
    Openssl,
    /// PostgreSQL, in its log or to the client.
    Postgresql,
    /// A connection pooler.
    Pooler,
    /// A managed server's own front.
    ManagedServer,
    /// Something hostile or broken between the two.
    Proxy,
    /// PostgreSQL's client library, in psql and many drivers.
    Libpq,
    /// The operating system.
    System,
}

/// A step on the way to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Step {
    /// The server starts.
    Start,
    /// The server reloads its configuration.
    Reload,
    /// Kong reads its settings and files, before it connects.
    Configure,
    /// The TCP connection.
    Connect,
    /// The request for TLS.
    SslRequest,
    /// The TLS handshake.
    Handshake,
    /// The look at the server's certificate.
    Verify,
    /// The login.
    Auth,
    /// The first query.
    Query,
}

impl Step {
    /// In words, to follow "printed".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Start => "when the server starts",
            Self::Reload => "when the server reloads its configuration",
            Self::Configure => "before Kong connects",
            Self::Connect => "when Kong opens the TCP connection",
            Self::SslRequest => "when Kong asks for TLS",
            Self::Handshake => "in the TLS handshake",
            Self::Verify => "when the server's certificate is checked",
            Self::Auth => "during the login",
            Self::Query => "at the first query",
        }
    }
}
