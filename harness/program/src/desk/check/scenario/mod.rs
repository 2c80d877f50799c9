//! `kong-pg-tls new`: a scenario out of an installation's own files, which anybody can run.

mod described;
mod files;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kong_pg_client::conf::{FILE_KEYS, KEYS as KONG_KEYS};
use kong_pg_scenarios::load::block;
use kong_pg_scenarios::roles;
use postgres_tls_server::config::{FILE_KEYS as SERVER_FILE_KEYS, KEYS as SERVER_KEYS};
use serde_json::{Map, Value, json};

use super::configuration::Configuration;
use super::input::{InputError, read_text};
use super::server::PostgresqlConf;
use super::{Request, kongs, server};
use crate::runfolder::write_private;
use files::Files;

/// The file of the scenario in its folder.
pub const FILE: &str = "scenario.yaml";

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Kong keeps its configuration elsewhere.
    #[error("this Kong does not use PostgreSQL")]
    NoPostgres,
    /// It would replace something.
    #[error("{} is there already; name a folder that is not", .0.display())]
    Exists(PathBuf),
    /// The folder cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A scenario that has not been written.
pub struct NewScenario {
    text: String,
    files: Files,
    /// What it does not have of the installation.
    pub notes: Vec<String>,
}

/// Makes a scenario of the files that a request names.
///
/// # Errors
/// If one of them cannot be read, or there is no Kong that uses PostgreSQL.
pub fn new_scenario(request: &Request, with_keys: bool) -> Result<NewScenario, ScenarioError> {
    let (inputs, kongs, _) = kongs(request)?;
    let kong = kongs.iter().find(|kong| kong.uses_postgres()).ok_or(ScenarioError::NoPostgres)?;
    let mut files = Files::new(with_keys);
    let kong_side = kong_side(kong, &mut files);
    let conf = if let Some(path) = &request.postgresql {
        server_side(&PostgresqlConf::read(path)?, &mut files)
    } else {
        let note = "postgresql.conf was not named: the server has ssl = on and a certificate of its own";
        files.notes.push(note.into());
        Map::from_iter([("ssl".to_owned(), json!("on"))])
    };
    // A server that is reloaded keeps what it had where it does not take a file; one that starts does not.
    let mut postgres = Map::from_iter([("by".to_owned(), json!("start")), ("conf".to_owned(), Value::Object(conf))]);
    postgres.extend(hba(request, &mut files)?);
    if let Some(path) = &request.ident {
        postgres.insert("ident".into(), json!(lines(&read_text(path)?)));
    }
    let issuer = files.described.ca();
    let mut certificates = std::mem::take(&mut files.described).finish();
    if request.postgresql.is_none() {
        let subject = Some("/CN=server".to_owned());
        certificates
            .insert("server".into(), certificate_trees::CertificateSpec { subject, issuer, ..Default::default() });
    }
    let section = |name: &str, value: Value| {
        let is_empty = value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        if is_empty { String::new() } else { block(&json!({ name: value })) }
    };
    let mut certificates = serde_json::to_value(certificates).unwrap_or_default();
    for spec in certificates.as_object_mut().into_iter().flat_map(Map::values_mut) {
        spec.as_object_mut().into_iter().for_each(|fields| fields.retain(|_, value| !value.is_null()));
    }
    let has_certificates = certificates.as_object().is_some_and(|all| !all.is_empty());
    let pki = if has_certificates { json!({ "certificates": certificates }) } else { json!({}) };
    let not_known = |name: &str, known: &dyn Fn(&str) -> bool| if known(name) { json!([]) } else { json!([name]) };
    let text = [
        format!("# Made by `kong-pg-tls new` from {}, as Kong {} reads it.\n", inputs.join(", "), kong.profile),
        "# Passwords are `kong`. `run --bless` writes down what happens.\n".to_owned(),
        section("title", json!(format!("The set-up of {}", inputs.first().map(String::as_str).unwrap_or_default()))),
        section("roles", not_known(&kong.main.user, &roles::has_role)),
        section("databases", not_known(&kong.main.database, &roles::has_database)),
        section("pki", pki),
        section("files", Value::Object(files.specs.clone())),
        section("postgres", Value::Object(postgres)),
        section("kong", Value::Object(kong_side)),
        "cases:\n  - name: as it is\n    expect:\n".to_owned(),
    ];
    let notes = std::mem::take(&mut files.notes);
    Ok(NewScenario { text: text.concat(), files, notes })
}

impl NewScenario {
    /// Writes it into a new folder, which only its owner can read.
    ///
    /// # Errors
    /// If the folder exists, or cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ScenarioError> {
        if folder.exists() {
            return Err(ScenarioError::Exists(folder.to_owned()));
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| ScenarioError::Io { path, source }
        };
        let make = |path: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path));
        make(folder)?;
        let write = |path: &Path, bytes: &[u8]| write_private(path, bytes).map_err(at(path));
        write(&folder.join(FILE), self.text.as_bytes())?;
        if self.files.copies.is_empty() {
            return Ok(());
        }
        make(&folder.join("files"))?;
        self.files.copies.iter().try_for_each(|(name, bytes)| write(&folder.join("files").join(name), bytes))
    }
}

/// The settings that bear on the connection; the address is the suite's, and so are the passwords.
fn kong_side(kong: &Configuration, files: &mut Files) -> Map<String, Value> {
    const ELSEWHERE: [&str; 2] = ["pg_host", "pg_port"];
    let mut side = Map::new();
    for setting in kong.all().filter(|setting| !ELSEWHERE.contains(&setting.key.as_str())) {
        if setting.key.starts_with("pg_ro_") {
            files.notes.push(format!("{} is left out: the scenario has one server", setting.name));
            continue;
        }
        let is_about = KONG_KEYS.iter().any(|(key, _)| *key == setting.key);
        let Some(text) = setting.text().filter(|_| is_about) else {
            if setting.key.starts_with("pg_") {
                files.notes.push(format!("{} is left out", setting.name));
            }
            continue;
        };
        let value = match setting.key.as_str() {
            "pg_password" => "kong".to_owned(),
            key if FILE_KEYS.contains(&key) => {
                let entry = |entry: &str| match entry.trim() {
                    "system" => "system".to_owned(),
                    path => files.add(&kong.paths.resolve(path)),
                };
                text.split(',').filter(|entry| !entry.trim().is_empty()).map(entry).collect::<Vec<_>>().join(",")
            }
            _ => text.to_owned(),
        };
        side.insert(setting.key.clone(), json!(value));
    }
    if kong.get("pg_password").is_some() {
        side.insert("pg_password".into(), json!("kong"));
    }
    side
}

fn server_side(conf: &PostgresqlConf, files: &mut Files) -> Map<String, Value> {
    /// A command and a folder of the server's machine, and the command may have a passphrase in it.
    const LEFT_OUT: [&str; 3] = ["ssl_passphrase_command", "ssl_passphrase_command_supports_reload", "ssl_crl_dir"];
    let mut side = Map::new();
    for (key, _) in SERVER_KEYS {
        let default = SERVER_FILE_KEYS.iter().find(|(name, _)| name == key).and_then(|(_, default)| *default);
        let Some(value) = conf.get(key).or(default.filter(|_| conf.is_on("ssl"))) else { continue };
        let is_signed_list = *key == "ssl_crl_file" && !files.with_keys;
        if LEFT_OUT.contains(key) || is_signed_list {
            let why = if is_signed_list { " (--with-keys copies it)" } else { "" };
            files.notes.push(format!("{key} is left out{why}"));
            continue;
        }
        let is_file = SERVER_FILE_KEYS.iter().any(|(name, _)| name == key);
        let value = if is_file { files.add(&conf.path(value)) } else { value.to_owned() };
        side.insert((*key).to_owned(), json!(value));
    }
    side
}

/// The lines of pg_hba.conf, each at its number, which the server's log has. Those about sockets are how the suite gets in
/// itself.
fn hba(request: &Request, files: &mut Files) -> Result<Map<String, Value>, ScenarioError> {
    let Some(path) = &request.hba else {
        files.notes.push("pg_hba.conf was not named: every user is accepted with a password".into());
        return Ok(Map::from_iter([("hba".to_owned(), json!(["host all all all scram-sha-256"]))]));
    };
    let mut kept = Vec::new();
    for line in read_text(path)?.lines().map(str::trim) {
        match line.split_whitespace().next().unwrap_or("#") {
            word if word.starts_with('#') => kept.push("#".to_owned()),
            "local" => kept.push("# a line about sockets".to_owned()),
            word if word.starts_with("include") => {
                files.notes.push(format!("pg_hba.conf: {line} is left out"));
                kept.push("# a line that includes others".to_owned());
            }
            _ => kept.push(without_secrets(line)),
        }
    }
    while kept.last().is_some_and(|line| line.starts_with('#')) {
        kept.pop();
    }
    let is_refused = server::hba::read(path, request.major)?.iter().any(|line| line.refused.is_some());
    let mut side = Map::from_iter([("hba".to_owned(), json!(kept))]);
    side.extend(is_refused.then(|| ("hba_invalid".to_owned(), json!(true))));
    Ok(side)
}

/// A line without the passwords that the server uses elsewhere.
fn without_secrets(line: &str) -> String {
    let word = |word: &str| match word.split_once('=') {
        Some((name @ ("ldapbindpasswd" | "radiussecrets"), _)) => format!("{name}=kong"),
        _ => word.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The lines that say something.
fn lines(text: &str) -> Vec<String> {
    let says_something = |line: &&str| !line.is_empty() && !line.starts_with('#');
    text.lines().map(str::trim).filter(says_something).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_other_services_are_left_out() {
        let line = "host all all all ldap ldapserver=ldap.example.com ldapbindpasswd=secret";
        let expected = "host all all all ldap ldapserver=ldap.example.com ldapbindpasswd=kong";
        assert_eq!(without_secrets(line), expected);
    }
}
