//! Settings as they stand in the products' configuration files: a name, and a value that is text.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use kong_pg_client::conf::{KEYS as KONG_KEYS, variable};
use postgres_tls_server::config::KEYS as POSTGRES_KEYS;

/// A value of postgresql.conf or kong.conf, exactly as the scenario file has it: `True`, `0600` and `~` are texts here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Setting(pub String);

/// Settings of one file, in the order written; `None` takes one away that a scenario sets.
pub type Settings = IndexMap<String, Option<Setting>>;

/// The settings of kong.conf that bear on the connection to PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct KongSettings(pub Settings);

/// The settings of postgresql.conf that bear on TLS and on logins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct PostgresSettings(pub Settings);

impl JsonSchema for KongSettings {
    fn schema_name() -> Cow<'static, str> {
        "KongConf".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let what = "kong.conf; `KONG_PG_SSL` is in the environment. Settings that are not listed here have no effect on the connection";
        let variables = KONG_KEYS.iter().map(|(key, _)| (variable(key), format!("{key}, from the environment.")));
        let variables: Vec<_> = variables.collect();
        let variables = variables.iter().map(|(name, meaning)| (name.as_str(), meaning.as_str()));
        settings(what, KONG_KEYS.iter().copied().chain(variables))
    }
}

impl JsonSchema for PostgresSettings {
    fn schema_name() -> Cow<'static, str> {
        "PostgresqlConf".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        settings(
            "postgresql.conf. With a setting that is not listed here, the server is restarted",
            POSTGRES_KEYS.iter().copied(),
        )
    }
}

/// Settings of a program whose settings the suite does not know.
pub(super) fn free(what: &str) -> Schema {
    settings(what, std::iter::empty())
}

fn settings<'k>(what: &str, keys: impl Iterator<Item = (&'k str, &'k str)>) -> Schema {
    let properties: serde_json::Map<_, _> = keys
        .map(|(key, meaning)| {
            let value = serde_json::json!({
                "description": meaning,
                "type": ["string", "number", "boolean", "null"],
            });
            (key.to_owned(), value)
        })
        .collect();
    let other = serde_json::json!({ "type": ["string", "number", "boolean", "null"] });
    json_schema!({ "description": what, "type": "object", "properties": properties, "additionalProperties": other })
}
