//! Inputs that are lines: kong.conf, files of variables, the environment.

use kong_pg_client::conf::{KEYS, KongConf, is_variable};

use super::super::catalog::Code;
use super::super::configuration::{Setting, Source, Value};
use super::super::fault::{Fault, Place};
use super::file::{ContentError, InputError, read_text, wrong};

/// Beginnings of the names of kong.conf's settings: what has none of them in it is no kong.conf. From Kong's
/// kong.conf.default.
const FAMILIES: [&str; 47] = [
    "pg_",
    "lua_",
    "nginx_",
    "admin_",
    "proxy_",
    "status_",
    "cluster_",
    "stream_",
    "upstream_",
    "portal",
    "vitals",
    "database",
    "prefix",
    "plugins",
    "log_",
    "role",
    "vaults",
    "vault_",
    "ssl",
    "client_ssl",
    "client_",
    "dns_",
    "real_ip_",
    "trusted_ips",
    "mem_cache",
    "db_",
    "declarative_",
    "cassandra_",
    "tls_certificate_verify",
    "headers",
    "anonymous_",
    "tracing",
    "opentelemetry",
    "worker_",
    "router_",
    "untrusted_",
    "error_",
    "license",
    "rbac",
    "enforce_rbac",
    "audit_log",
    "debug",
    "smtp",
    "keyring",
    "port_maps",
    "wasm",
    "konnect",
];

/// Settings of postgresql.conf by which it gives itself away.
const OF_POSTGRES: [&str; 6] =
    ["listen_addresses", "shared_buffers", "ssl_cert_file", "ssl_key_file", "ssl_ca_file", "max_wal_size"];

/// Reads a kong.conf as Kong does: lines that end with a backslash go on in the next one, `;` and `#` begin comments,
/// what stands below a `[section]` is not found, and what is neither letter nor digit in a name becomes `_`.
pub(super) fn kong_conf(file: &str, text: &str) -> Result<Source, ContentError> {
    let mut source = Source::default();
    let mut pending = String::new();
    let mut begins = 0;
    let mut in_section = false;
    let mut other = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if pending.is_empty() {
            begins = number;
        }
        if let Some(part) = line.trim_end().strip_suffix('\\') {
            pending.push_str(part);
            continue;
        }
        let whole = std::mem::take(&mut pending) + line;
        if whole.starts_with('[') {
            in_section = true;
            continue;
        }
        let conf = KongConf::read(&whole);
        let Some((key, value, _)) = conf.all().next() else {
            other.get_or_insert(begins);
            continue;
        };
        if !in_section {
            source.settings.push(Setting {
                key: key.replace(|c: char| !c.is_ascii_alphanumeric(), "_"),
                name: key.to_owned(),
                value: known(value),
                place: Place::line(file, begins),
            });
        }
    }
    let of = |names: &[&str]| {
        source.settings.iter().any(|setting| names.iter().any(|name| setting.key.to_lowercase().starts_with(name)))
    };
    if of(&OF_POSTGRES) {
        return Err(ContentError::PostgresqlConf);
    }
    match (source.settings.is_empty(), other) {
        (true, Some(line)) => Err(ContentError::NoSettings(line)),
        (false, _) if !of(&FAMILIES) && !of(&["kong_"]) => Err(ContentError::OtherProgram),
        _ => Ok(source),
    }
}

/// Reads lines of `NAME=value`. `docker run --env-file` takes a value as it stands; a file that says `export`, is for
/// a shell, which removes quotes.
pub(super) fn env_file(file: &str, text: &str) -> Result<Source, ContentError> {
    let mut source = Source::default();
    let mut lines = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = Place::line(file, number);
        let (of_shell, line) = line.strip_prefix("export ").map_or((false, line), |line| (true, line.trim_start()));
        let Some((name, value)) = line.split_once('=') else { continue };
        lines += 1;
        let Some(mut setting) = variable(name.trim(), value, place) else { continue };
        if let (Value::Known(value), Some(bare)) = (&setting.value, unquoted(value.trim())) {
            if !of_shell && value.len() > 1 {
                let what = format!("the quotes around {} are a part of its value", setting.name);
                source.faults.push(Fault::new(Code::QuotedInEnvFile, &setting.place, what));
            }
            // One fault is enough: the other rules see what was meant.
            setting.value = Value::Known(bare.to_owned());
        }
        source.settings.push(setting);
    }
    if lines == 0 && text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        return Err(ContentError::NoVariables);
    }
    Ok(source)
}

/// The variables of this process.
pub(in super::super) fn environment() -> Source {
    let place = Place::file("environment");
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.to_string_lossy().into_owned());
        variable(&name, &value, place.clone())
    });
    Source { settings: variables.collect(), ..Source::default() }
}

/// The `.kong_env` of a prefix, in which Kong leaves what it was started with.
///
/// # Errors
/// It cannot be read.
pub(in super::super) fn kong_env(prefix: &std::path::Path) -> Result<Source, InputError> {
    let path = prefix.join(".kong_env");
    let text = read_text(&path)?;
    kong_conf(&path.display().to_string(), &text).map_err(|why| wrong(&path, "what Kong leaves in its prefix", why))
}

/// A variable as a setting, if it is one of Kong's. This program's own begin alike.
pub(super) fn variable(name: &str, value: &str, place: Place) -> Option<Setting> {
    if !is_variable(name) || name.starts_with("KONG_PG_TLS_") {
        return None;
    }
    let key = name.strip_prefix("KONG_")?.to_lowercase();
    // The entry point of Kong's image reads `KONG_PG_PASSWORD_FILE` and sets the variable without the ending.
    if let Some(key) = key.strip_suffix("_file").filter(|key| is_secret(key)) {
        return Some(Setting { key: key.to_owned(), name: name.to_owned(), value: Value::Elsewhere, place });
    }
    Some(Setting { key, name: name.to_owned(), value: known(value), place })
}

/// Settings that are kept in files of their own; of those about TLS the value is the name of a file anyway.
fn is_secret(key: &str) -> bool {
    !key.contains("ssl") && KEYS.iter().any(|(known, _)| *known == key)
}

/// A value that stands there; one that names a vault does not.
pub(super) fn known(value: &str) -> Value {
    let value = value.trim();
    if value.starts_with("{vault://") { Value::Elsewhere } else { Value::Known(value.to_owned()) }
}

/// What is between quotes.
pub(in super::super) fn unquoted(value: &str) -> Option<&str> {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn settings(source: &Source) -> Vec<(String, Option<String>, Option<usize>)> {
        let text = |setting: &Setting| match &setting.value {
            Value::Known(text) => Some(text.clone()),
            Value::Elsewhere => None,
        };
        source.settings.iter().map(|setting| (setting.key.clone(), text(setting), setting.place.line)).collect()
    }

    #[rstest]
    #[case("\n# pg_ssl = off\npg_ssl = on # yes\n", &[("pg_ssl", Some("on"), 3)])]
    #[case("; old\npg_ssl=on", &[("pg_ssl", Some("on"), 2)])]
    #[case("lua_ssl_trusted_certificate = /a.crt,\\\n  /b.crt\npg_ssl = on", &[
        ("lua_ssl_trusted_certificate", Some("/a.crt,  /b.crt"), 1), ("pg_ssl", Some("on"), 3)])]
    #[case("pg-ssl = on", &[("pg_ssl", Some("on"), 1)])]
    #[case("pg_user = kong\n[section]\npg_ssl = on", &[("pg_user", Some("kong"), 1)])]
    #[case("pg_password = {vault://env/pg-password}", &[("pg_password", None, 1)])]
    #[case("pg_password = a\\#b", &[("pg_password", Some("a#b"), 1)])]
    fn a_kong_conf_is_read_with_its_lines(#[case] text: &str, #[case] expected: &[(&str, Option<&str>, usize)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, value, line)| ((*key).to_owned(), value.map(str::to_owned), Some(*line)))
            .collect();
        assert_eq!(settings(&kong_conf("kong.conf", text).expect("a kong.conf")), expected);
    }

    #[rstest]
    #[case("Dear Sir or Madam,\nplease find enclosed", "line 1")]
    #[case("colour = red\nsize = 4\n", "none of its settings")]
    #[case("listen_addresses = '*'\nssl = on\n", "--postgresql")]
    fn what_is_no_kong_conf_is_not_taken_for_one(#[case] text: &str, #[case] why: &str) {
        let error = kong_conf("kong.conf", text).expect_err("no kong.conf").to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn an_empty_kong_conf_is_one() {
        assert!(kong_conf("kong.conf", "\n# nothing\n").is_ok_and(|source| source.settings.is_empty()));
    }

    #[rstest]
    #[case("KONG_PG_SSL=on\n", "on", 0)]
    #[case("KONG_PG_SSL='on'\n", "on", 1)]
    #[case("export KONG_PG_SSL='on'\n", "on", 0)]
    #[case("KONG_PG_SSL=on # comment\n", "on # comment", 0)]
    fn variables_are_read_as_docker_reads_them(#[case] text: &str, #[case] value: &str, #[case] faults: usize) {
        let source = env_file("kong.env", text).expect("variables");
        assert_eq!(source.settings[0].value, Value::Known(value.into()));
        assert_eq!(source.faults.len(), faults);
    }

    #[test]
    fn a_secret_in_a_file_is_set_and_not_known() {
        let setting = variable("KONG_PG_PASSWORD_FILE", "/run/secrets/pg", Place::file("environment"));
        let setting = setting.expect("a setting");
        assert_eq!((setting.key.as_str(), setting.value), ("pg_password", Value::Elsewhere));
    }

    #[test]
    fn this_programs_own_variables_are_not_kongs() {
        assert!(variable("KONG_PG_TLS_RUNTIME", "local", Place::file("environment")).is_none());
    }
}
