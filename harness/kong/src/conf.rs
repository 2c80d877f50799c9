//! kong.conf and its variables in the environment, read as Kong reads them.

use std::collections::BTreeMap;

/// The settings of the connection to PostgreSQL, and what they mean.
pub const KEYS: &[(&str, &str)] = &[
    ("pg_host", "Host of the server; the suite's own server, if not set."),
    ("pg_port", "Port of the server; the suite's own server, if not set."),
    ("pg_timeout", "Milliseconds that connecting, one read or one write may take."),
    ("pg_user", "Role to log in as; `kong` by default."),
    ("pg_password", "Its password; none by default."),
    ("pg_database", "Database; `kong` by default."),
    ("pg_ssl", "Ask the server for TLS."),
    ("pg_ssl_required", "Do not go on in plaintext when the server has no TLS. Enterprise only."),
    ("pg_ssl_verify", "Verify the server's certificate."),
    ("pg_ssl_version", "TLS version, where LuaSec speaks. Enterprise only."),
    ("pg_ssl_cert", "Client certificate. Enterprise only."),
    ("pg_ssl_cert_key", "Key of the client certificate. Enterprise only."),
    ("pg_ro_user", "As pg_user, for the read-only connection."),
    ("pg_ro_password", "As pg_password, for the read-only connection."),
    ("pg_ro_database", "As pg_database, for the read-only connection."),
    ("pg_ro_timeout", "As pg_timeout, for the read-only connection."),
    ("pg_ro_ssl", "As pg_ssl, for the read-only connection."),
    ("pg_ro_ssl_required", "As pg_ssl_required, for the read-only connection."),
    ("pg_ro_ssl_verify", "As pg_ssl_verify, for the read-only connection."),
    ("pg_ro_ssl_version", "As pg_ssl_version, for the read-only connection."),
    ("lua_ssl_trusted_certificate", "Trusted certificates: `system` and file names, separated by commas."),
    ("lua_ssl_verify_depth", "How many intermediates a chain may have, where a cosocket speaks."),
    ("lua_ssl_protocols", "TLS versions, separated by blanks, where a cosocket speaks."),
];

/// The settings whose values name files.
pub const FILE_KEYS: &[&str] = &["lua_ssl_trusted_certificate", "pg_ssl_cert", "pg_ssl_cert_key"];

/// The bare file names in a value: without `system`, paths that begin with `/` or `./`, and the quotes that Kong would
/// not remove. The file of an entry in base64 is one of them.
pub fn file_names(value: &str) -> impl Iterator<Item = &str> {
    let is_path = |name: &str| name.starts_with('/') || name.starts_with("./");
    let bare = move |name: &'_ str| -> bool { !name.is_empty() && name != "system" && !is_path(name) };
    value
        .split(',')
        .map(|entry| in_base64(entry.trim()).unwrap_or(entry.trim().trim_matches(['\'', '"'])))
        .filter(move |name| bare(name))
}

/// The file whose content an entry stands for: `{root.crt in base64}`.
#[must_use]
pub fn in_base64(entry: &str) -> Option<&str> {
    entry.strip_prefix('{')?.strip_suffix(" in base64}")
}

/// Whether a name is that of an environment variable of Kong's.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    name.starts_with("KONG_")
}

/// The environment variable of a setting: `KONG_PG_SSL`.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("KONG_{}", key.to_uppercase())
}

/// The settings of a kong.conf and of the environment, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KongConf(BTreeMap<String, Value>);

/// The value of a setting, and whether it came from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: String,
    of_environment: bool,
}

impl KongConf {
    /// Reads the text of a kong.conf. A `#` begins a comment unless it is written `\#`; quotes are never removed; the
    /// last of several lines with the same key counts.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let setting = |line: &str| {
            let line = without_comment(line);
            let (key, value) = line.split_once('=')?;
            let value = Value { text: value.trim().to_owned(), of_environment: false };
            Some((key.trim().to_owned(), value)).filter(|(key, _)| !key.is_empty())
        };
        Self(text.lines().filter_map(setting).collect())
    }

    /// The same with an environment variable, which overrides the file. In it, a `#` begins no comment.
    #[must_use]
    pub fn with_variable(mut self, variable: &str, value: &str) -> Self {
        if let Some(key) = variable.strip_prefix("KONG_") {
            let value = Value { text: value.trim().to_owned(), of_environment: true };
            self.0.insert(key.to_lowercase(), value);
        }
        self
    }

    /// The same with all settings whose names have a prefix taken from another configuration.
    #[must_use]
    pub fn with_those_of(mut self, other: &Self, beginning: &str) -> Self {
        self.0.retain(|key, _| !key.starts_with(beginning));
        let theirs = other.0.iter().filter(|(key, _)| key.starts_with(beginning));
        self.0.extend(theirs.map(|(key, value)| (key.clone(), value.clone())));
        self
    }

    /// The value of a setting. An empty one counts as none, as it does for Kong.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.text.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a setting is present without a value.
    #[must_use]
    pub fn is_emptied(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| value.text.is_empty())
    }

    /// All settings with their values, empty ones included, and whether they came from the environment.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.text.as_str(), value.of_environment))
    }
}

fn without_comment(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('#') {
        kept.push_str(before);
        if !before.ends_with('\\') {
            return kept;
        }
        kept.pop();
        kept.push('#');
        rest = after;
    }
    kept + rest
}

/// Whether a value is on. Only these two are; everything else is off, and Kong does not report it.
#[must_use]
pub fn is_on(value: &str) -> bool {
    matches!(value, "on" | "true")
}

/// A value as Lua's `tonumber` reads it. Kong reads any other value as unset, and does not report it.
#[must_use]
pub fn number(value: &str) -> Option<f64> {
    let value = value.trim();
    let (sign, digits) = value.strip_prefix('-').map_or((1.0, value), |digits| (-1.0, digits));
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok().map(|number| sign * f64::from(number));
    }
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("pg_ssl = on", "pg_ssl", Some("on"))]
    #[case("  pg_ssl=on  ", "pg_ssl", Some("on"))]
    #[case("pg_ssl = on # and not off", "pg_ssl", Some("on"))]
    #[case("pg_password = a\\#b # c", "pg_password", Some("a#b"))]
    #[case("pg_password = 'secret'", "pg_password", Some("'secret'"))]
    #[case("pg_ssl_cert = ", "pg_ssl_cert", None)]
    #[case("# pg_ssl = on", "pg_ssl", None)]
    #[case("pg_ssl = off\npg_ssl = on", "pg_ssl", Some("on"))]
    fn a_line_is_read_as_kong_reads_it(#[case] text: &str, #[case] key: &str, #[case] expected: Option<&str>) {
        assert_eq!(KongConf::read(text).get(key), expected);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let conf = KongConf::read("pg_ssl = on\npg_password = a").with_variable("KONG_PG_PASSWORD", "b # c");
        let conf = conf.with_variable("KONG_PG_SSL", "").with_variable("PG_SSL", "on");
        assert_eq!((conf.get("pg_ssl"), conf.get("pg_password")), (None, Some("b # c")));
        assert!(conf.is_emptied("pg_ssl") && !conf.is_emptied("pg_user"));
    }

    #[test]
    fn settings_of_one_beginning_can_be_those_of_another_configuration() {
        let old = KongConf::read("pg_ssl = off\npg_user = kong\nlog_level = info");
        let new = KongConf::read("pg_ssl = on\nlog_level = debug");
        let expected = KongConf::read("pg_ssl = on\nlog_level = info");
        assert_eq!(old.with_those_of(&new, "pg_"), expected);
    }

    #[rstest]
    #[case("KONG_PG_SSL", true)]
    #[case("PG_SSL", false)]
    #[case("NOT_KONG_PG_SSL", false)]
    fn a_variable_of_kongs_begins_with_its_name(#[case] name: &str, #[case] is_kongs: bool) {
        assert_eq!(is_variable(name), is_kongs);
    }

    #[rstest]
    #[case("on", true)]
    #[case("true", true)]
    #[case("yes", false)]
    #[case("1", false)]
    #[case("ON", false)]
    #[case("True", false)]
    #[case("'on'", false)]
    fn only_on_and_true_are_on(#[case] value: &str, #[case] on: bool) {
        assert_eq!(is_on(value), on);
    }

    #[rstest]
    #[case("5000", Some(5000.0))]
    #[case("1e3", Some(1000.0))]
    #[case("0x10", Some(16.0))]
    #[case("-1", Some(-1.0))]
    #[case("-0x10", Some(-16.0))]
    #[case("1.5", Some(1.5))]
    #[case("5s", None)]
    #[case("abc", None)]
    #[case("'5'", None)]
    fn a_number_is_read_as_lua_reads_it(#[case] value: &str, #[case] expected: Option<f64>) {
        assert_eq!(number(value), expected);
    }

    #[rstest]
    #[case("system,chain.crt", &["chain.crt"])]
    #[case("root.crt, other.crt", &["root.crt", "other.crt"])]
    #[case("'client.crt'", &["client.crt"])]
    #[case("system, {root.crt in base64}", &["root.crt"])]
    #[case("/nonexistent/ca.pem", &[])]
    #[case("./client.crt", &[])]
    fn a_value_names_files(#[case] value: &str, #[case] expected: &[&str]) {
        assert_eq!(file_names(value).collect::<Vec<_>>(), expected);
    }
}
