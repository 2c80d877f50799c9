//! A situation to real files: certificates in the server's data directory and in Kong's folder, and both
//! configurations.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use certificate_trees::{Authority, Certificate, IssuedTree, PkiError};
use kong_pg_client::Stack;
use kong_pg_client::conf::{FILE_KEYS, KongConf, file_names, in_base64, variable};
use kong_pg_scenarios::suite::{Content, KongSide, PlannedFile, RelaySide, Situation};
use postgres_tls_server::Owner;
use postgres_tls_server::config::HOSTS_FILE;
use postgres_tls_server::{Configuration, File};

use crate::client::KongConfFiles;
use crate::relay;

/// The configuration files of a cell, as an operator would write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// postgresql.conf.
    pub postgresql_conf: String,
    /// pg_hba.conf.
    pub pg_hba_conf: String,
    /// pg_ident.conf.
    pub pg_ident_conf: String,
    /// pg_hosts.conf.
    pub pg_hosts_conf: String,
    /// kong.conf.
    pub kong_conf: String,
    /// What Kong's environment has in the place of kong.conf.
    pub environment: String,
}

impl ConfigFiles {
    /// The files with their names, those that are empty left out.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("postgresql.conf", &self.postgresql_conf),
            ("pg_hba.conf", &self.pg_hba_conf),
            ("pg_ident.conf", &self.pg_ident_conf),
            ("pg_hosts.conf", &self.pg_hosts_conf),
            ("kong.conf", &self.kong_conf),
            ("Kong's environment", &self.environment),
        ]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name, text.as_str()))
    }
}

/// Everything that is made for a situation.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// The server's configuration, with its certificates.
    pub(super) configuration: Configuration,
    /// Kong's files.
    pub(super) kong: BTreeMap<String, MadeFile>,
    /// The certificate of the proxy, if there is one that has a certificate.
    pub(super) proxy: Option<Certificate>,
    /// The program between Kong and the server, if there is one.
    pub(super) relay: Option<relay::Configured>,
}

/// Makes it.
///
/// # Errors
/// If a certificate cannot be made.
pub(super) fn make(authority: &Authority, situation: &Situation) -> Result<Made, PkiError> {
    let tree = authority.tree(&situation.tree);
    let (configuration, kong) = (server(&tree, situation)?, kong(&tree, situation)?);
    let proxy = situation.kong.proxy.as_ref().and_then(|proxy| proxy.certificate.as_ref());
    let proxy = proxy.map(|name| tree.certificate(name)).transpose()?;
    Ok(Made { configuration, kong, proxy, relay: relay(&tree, situation)? })
}

/// The configuration of the program between Kong and the server with its certificates.
///
/// # Errors
/// If one of them cannot be made.
pub fn relay(tree: &IssuedTree<'_>, situation: &Situation) -> Result<Option<relay::Configured>, PkiError> {
    let Some(RelaySide { program, settings, files }) = &situation.relay else { return Ok(None) };
    let content = |(name, planned): (&String, &PlannedFile)| Ok::<_, PkiError>((name.clone(), planned.content(tree)?));
    let files = files.iter().map(content).collect::<Result<_, _>>()?;
    Ok(Some(relay::Configured { program: *program, settings: settings.clone(), files }))
}

/// The server's configuration with its certificates.
///
/// # Errors
/// If one of them cannot be made.
pub fn server(tree: &IssuedTree<'_>, situation: &Situation) -> Result<Configuration, PkiError> {
    let side = &situation.server;
    let file = |(name, planned): (&String, &PlannedFile)| {
        let content = planned.content(tree)?;
        let mode = planned.octal_mode(tree)?;
        let PlannedFile { owner, group, .. } = *planned;
        Ok((name.clone(), File { content, mode, owner, group }))
    };
    Ok(Configuration {
        conf: side.conf.clone(),
        hba: side.hba.clone(),
        ident: side.ident.clone(),
        files: side.files.iter().map(file).collect::<Result<_, PkiError>>()?,
        by: side.by,
    })
}

/// Kong's certificates by name.
///
/// # Errors
/// If one of them cannot be made.
pub fn kong(tree: &IssuedTree<'_>, situation: &Situation) -> Result<BTreeMap<String, MadeFile>, PkiError> {
    let files = situation.kong.files.iter();
    files
        .map(|(name, planned)| {
            // Kong does not run as root: a file of another owner it reads only if its mode lets everybody.
            let mode = planned.octal_mode(tree)?;
            let readable = planned.owner == Owner::DatabaseUser || mode & 0o004 != 0;
            let mode = if readable { mode } else { 0 };
            Ok((name.clone(), MadeFile { content: planned.content(tree)?, mode }))
        })
        .collect()
}

/// A file that was made for a cell.
#[derive(Debug, Clone)]
pub struct MadeFile {
    /// What it holds.
    pub content: Vec<u8>,
    /// Its mode: `0o600`; 0 where its reader could not read it.
    pub mode: u32,
}

/// Writes Kong's files into a folder that has none of them.
///
/// # Errors
/// If one of them cannot be written.
pub fn write(files: &BTreeMap<String, MadeFile>, folder: &Path) -> std::io::Result<()> {
    for (name, file) in files {
        let path = folder.join(name);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut handle = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        handle.write_all(&file.content)?;
        handle.set_permissions(PermissionsExt::from_mode(file.mode))?;
    }
    Ok(())
}

/// Writes Kong's files in the place of those of these names, as a rotation of certificates does.
///
/// # Errors
/// If one of them cannot be removed or written.
pub(super) fn replace(before: &[String], files: &BTreeMap<String, MadeFile>, folder: &Path) -> std::io::Result<()> {
    before.iter().try_for_each(|name| std::fs::remove_file(folder.join(name)))?;
    write(files, folder)
}

/// Kong's files where Kong finds them.
pub struct Located<'a> {
    /// The folder they are in.
    pub folder: &'a Path,
    /// The files by name.
    pub files: &'a BTreeMap<String, MadeFile>,
}

impl Located<'_> {
    /// The value of a setting, the files in it named by where they are.
    #[must_use]
    pub fn value(&self, key: &str, value: &str) -> String {
        if !FILE_KEYS.iter().any(|file_key| key == *file_key || key == variable(file_key)) {
            return value.to_owned();
        }
        let entry = |entry: &str| match (in_base64(entry.trim()), file_names(entry).next()) {
            (Some(name), _) => {
                let content = self.files.get(name).map(|file| &file.content[..]);
                openssl::base64::encode_block(content.unwrap_or_default())
            }
            (None, Some(name)) => entry.replace(name, &self.folder.join(name).to_string_lossy()),
            (None, None) => entry.to_owned(),
        };
        value.split(',').map(entry).collect::<Vec<_>>().join(",")
    }
}

/// Settings as kong.conf has them. Kong takes a `#` for the beginning of a comment.
fn kong_conf(settings: &[(String, String)], value: impl Fn(&str, &str) -> String) -> String {
    settings.iter().map(|(key, text)| format!("{key} = {}\n", value(key, text).replace('#', "\\#"))).collect()
}

/// What Kong reads: kong.conf, the environment, and on the command line what an earlier kong.conf has left in the
/// prefix.
pub(super) fn configuration(side: &KongSide, stack: Stack, at: &Located<'_>) -> KongConf {
    read(side, stack, |key, value| at.value(key, value))
}

/// What Kong reads, its files as the scenario names them.
#[must_use]
pub fn written_conf(side: &KongSide, stack: Stack) -> KongConf {
    read(side, stack, |_, value| value.to_owned())
}

fn read(side: &KongSide, stack: Stack, value_of: impl Fn(&str, &str) -> String) -> KongConf {
    let read = |settings: &[(String, String)]| KongConf::read(&kong_conf(settings, &value_of));
    let variables = side.environment.iter();
    let conf =
        variables.fold(read(&side.settings), |conf, (name, value)| conf.with_variable(name, &value_of(name, value)));
    match stack {
        Stack::Cosocket if !side.prefix.is_empty() => conf.with_those_of(&read(&side.prefix), "lua_ssl_"),
        _ => conf,
    }
}

/// What Kong reads, as it is written.
pub(super) fn conf_files(side: &KongSide, at: &Located<'_>) -> KongConfFiles {
    let written = |settings: &[(String, String)]| kong_conf(settings, |key, value| at.value(key, value));
    let environment = side.environment.iter().map(|(name, value)| (name.clone(), at.value(name, value)));
    KongConfFiles {
        conf: written(&side.settings),
        environment: environment.collect(),
        stale: (!side.prefix.is_empty()).then(|| written(&side.prefix)),
    }
}

/// What Kong reads, its files by their bare names.
#[must_use]
pub fn kong_conf_of(side: &KongSide, stack: Stack) -> KongConf {
    configuration(side, stack, &Located { folder: Path::new(""), files: &BTreeMap::new() })
}

/// All configuration files as people see them.
pub(super) fn config_files(situation: &Situation) -> ConfigFiles {
    let server = &situation.server;
    let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect();
    let hosts = server.files.get(HOSTS_FILE).map(|file| &file.content);
    ConfigFiles {
        postgresql_conf: Configuration { conf: server.conf.clone(), ..Configuration::default() }.postgresql_conf(),
        pg_hba_conf: lines(&server.hba),
        pg_ident_conf: lines(&server.ident),
        pg_hosts_conf: hosts.and_then(Content::text).unwrap_or_default(),
        kong_conf: kong_conf(&situation.kong.settings, |_, value| value.to_owned()),
        environment: situation.kong.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side() -> KongSide {
        let settings = [
            ("pg_ssl", "on"),
            ("lua_ssl_trusted_certificate", "system,foreign-root.crt,{root.crt in base64}"),
            ("pg_ssl_cert", "'client.crt'"),
            ("pg_password", "a#b"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let environment = vec![("KONG_PG_SSL_CERT".to_owned(), "other.crt".to_owned())];
        let prefix = vec![("lua_ssl_verify_depth".to_owned(), "0".to_owned())];
        KongSide { settings, environment, prefix, ..KongSide::default() }
    }

    #[test]
    fn kong_finds_its_files_where_they_are() {
        let files = BTreeMap::from([("root.crt".to_owned(), MadeFile { content: b"PEM".into(), mode: 0o600 })]);
        let located = Located { folder: Path::new("/k"), files: &files };
        let conf = configuration(&side(), Stack::Luasec, &located);
        let expected = [
            ("lua_ssl_trusted_certificate", "system,/k/foreign-root.crt,UEVN", false),
            ("pg_password", "a#b", false),
            ("pg_ssl", "on", false),
            ("pg_ssl_cert", "/k/other.crt", true),
        ];
        assert_eq!(conf.all().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_command_line_takes_from_the_prefix_what_nginx_is_to_trust() {
        let located = Located { folder: Path::new("/k"), files: &BTreeMap::new() };
        let conf = configuration(&side(), Stack::Cosocket, &located);
        let trust = (conf.get("lua_ssl_trusted_certificate"), conf.get("lua_ssl_verify_depth"));
        assert_eq!((trust, conf.get("pg_ssl")), ((None, Some("0")), Some("on")));
    }
}
