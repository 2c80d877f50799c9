//! kong.conf and its variables.

use indexmap::IndexMap;
use kong_pg_client::conf::variable;

/// kong.conf. Kong takes a `#` for the beginning of a comment.
#[must_use]
pub fn conf(settings: &IndexMap<String, String>) -> String {
    settings.iter().map(|(key, value)| format!("{key} = {}\n", value.replace('#', "\\#"))).collect()
}

/// Lines for `docker run --env-file`, which takes every character of a value as it is.
#[must_use]
pub fn env(settings: &IndexMap<String, String>) -> String {
    settings.iter().map(|(key, value)| format!("{}={value}\n", variable(key))).collect()
}
