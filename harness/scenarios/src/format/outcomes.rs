//! `outcomes.yaml`: outcomes that many cases share.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::outcome::{Arguments, Expect};
use crate::vocabulary::TlsVersion;

/// What `outcomes.yaml` holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomesFile {
    /// The outcomes by name.
    pub outcomes: IndexMap<String, NamedOutcome>,
}

/// An outcome that many cases share. A case uses it by its name alone, or as `NAME: { ARGUMENT: VALUE }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedOutcome {
    /// When it happens, and why.
    pub about: String,
    /// The names of its arguments; the texts refer to them in braces. `tls` is special: where neither the use nor the
    /// point of an axis gives it, each stack speaks its newest version: LuaSec TLSv1.2, as pg_ssl_version = tlsv1_2
    /// says, a cosocket TLSv1.3, and the open-source edition TLSv1.3 on both.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The values of arguments that may be left out.
    #[serde(default)]
    pub defaults: Arguments,
    /// What must happen.
    #[schemars(with = "Option<Expect>")]
    pub expect: Option<Value>,
    /// What must happen in each TLS version, where that differs; in the place of `expect`, for an outcome with the
    /// argument `tls`.
    #[serde(default)]
    #[schemars(with = "IndexMap<TlsVersion, Expect>")]
    pub in_version: IndexMap<TlsVersion, Value>,
}
