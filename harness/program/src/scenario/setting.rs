//! Settings as they stand in the products' configuration files: a name, and a value that is text.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use kong_pg_client::conf::{KEYS as KONG_KEYS, variable};
use postgres_tls_server::config::KEYS as POSTGRES_KEYS;

/// A value of postgresql.conf or kong.conf. YAML's numbers and booleans are taken as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Setting(pub String);

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Setting;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a text, a number or a boolean")
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Setting, E> {
                Ok(Setting(value.to_owned()))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Setting, E> {
                Ok(Setting(value.to_string()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Setting, E> {
                Ok(Setting(value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Setting, E> {
                Ok(Setting(value.to_string()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Setting, E> {
                Err(E::invalid_type(Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

/// Settings of one file, in the order written; `None` takes one away that a scenario sets.
type Settings = IndexMap<String, Option<Setting>>;

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
        let what = "kong.conf, as far as it bears on the connection to PostgreSQL; `KONG_PG_SSL` is in the environment";
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
        settings("postgresql.conf, as far as it bears on TLS and on logins", POSTGRES_KEYS.iter().copied())
    }
}

fn settings<'k>(what: &str, keys: impl Iterator<Item = (&'k str, &'k str)>) -> Schema {
    let properties: serde_json::Map<_, _> = keys
        .map(|(key, meaning)| {
            let value = serde_json::json!({
                "description": meaning,
                "type": ["string", "integer", "boolean", "null"],
            });
            (key.to_owned(), value)
        })
        .collect();
    json_schema!({ "description": what, "type": "object", "properties": properties, "additionalProperties": false })
}
