//! A situation to real files: certificates in the server's data directory and in Kong's folder, and both
//! configurations.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::kong::conf::{FILE_KEYS, file_names};
use crate::pki::{Forge, PkiError};
use crate::postgres::{Configuration, File};
use crate::scenario::{Content, KongSide, Owner, PlannedFile, Situation};

/// The configuration files of a cell, as an operator would write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FourFiles {
    /// postgresql.conf.
    pub postgresql_conf: String,
    /// pg_hba.conf.
    pub pg_hba_conf: String,
    /// pg_ident.conf.
    pub pg_ident_conf: String,
    /// kong.conf.
    pub kong_conf: String,
}

impl FourFiles {
    /// The files with their names, those that are empty left out.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("postgresql.conf", &self.postgresql_conf),
            ("pg_hba.conf", &self.pg_hba_conf),
            ("pg_ident.conf", &self.pg_ident_conf),
            ("kong.conf", &self.kong_conf),
        ]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name, text.as_str()))
    }
}

/// The server's configuration with its certificates.
pub(super) fn server(forge: &Forge, situation: &Situation) -> Result<Configuration, PkiError> {
    let side = &situation.server;
    let file = |(name, planned): (&String, &PlannedFile)| {
        let content = content(forge, situation, planned)?;
        let PlannedFile { mode, owner, group, .. } = *planned;
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

fn content(forge: &Forge, situation: &Situation, planned: &PlannedFile) -> Result<Vec<u8>, PkiError> {
    match &planned.content {
        Content::Text(text) => Ok(text.clone().into_bytes()),
        Content::Artifacts(parts, format) => forge.files(&situation.tree, parts, *format),
    }
}

/// Kong's certificates by name.
pub(super) fn kong(forge: &Forge, situation: &Situation) -> Result<BTreeMap<String, KongFile>, PkiError> {
    let files = situation.kong.files.iter();
    files
        .map(|(name, planned)| {
            // Kong does not run as root: what belongs to somebody else it reads only if everybody may.
            let readable = planned.owner == Owner::DatabaseUser || planned.mode & 0o004 != 0;
            let mode = if readable { planned.mode } else { 0 };
            Ok((name.clone(), KongFile { content: content(forge, situation, planned)?, mode }))
        })
        .collect()
}

/// A file of Kong's.
pub(super) struct KongFile {
    content: Vec<u8>,
    mode: u32,
}

/// Writes Kong's files into an empty folder.
pub(super) fn write(files: &BTreeMap<String, KongFile>, folder: &Path) -> std::io::Result<()> {
    for (name, file) in files {
        let path = folder.join(name);
        let mut handle = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        handle.write_all(&file.content)?;
        handle.set_permissions(PermissionsExt::from_mode(file.mode))?;
    }
    Ok(())
}

/// kong.conf, the files in it named by where they are: below `folder`, for Kong to read, or by their bare names, for
/// people.
pub(super) fn kong_conf(side: &KongSide, folder: Option<&Path>) -> String {
    let located = |key: &str, value: &str| match folder {
        Some(folder) if FILE_KEYS.contains(&key) => with_folder(value, folder),
        _ => value.to_owned(),
    };
    // Kong takes a `#` for the beginning of a comment.
    let line = |(key, value): &(String, String)| format!("{key} = {}\n", located(key, value).replace('#', "\\#"));
    side.settings.iter().map(line).collect()
}

/// A value with its file names as paths below a folder.
fn with_folder(value: &str, folder: &Path) -> String {
    let entry = |entry: &str| match file_names(entry).next() {
        Some(name) => entry.replace(name, &folder.join(name).to_string_lossy()),
        None => entry.to_owned(),
    };
    value.split(',').map(entry).collect::<Vec<_>>().join(",")
}

/// All four files as people see them.
pub(super) fn four_files(situation: &Situation, configuration: &Configuration) -> FourFiles {
    let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect();
    FourFiles {
        postgresql_conf: configuration.postgresql_conf(),
        pg_hba_conf: lines(&configuration.hba),
        pg_ident_conf: lines(&configuration.ident),
        kong_conf: kong_conf(&situation.kong, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kong_conf_names_files_where_they_are_and_keeps_everything_else() {
        let settings = [
            ("pg_ssl", "on"),
            ("lua_ssl_trusted_certificate", "system,foreign-root.crt,root.crt"),
            ("pg_ssl_cert", "'client.crt'"),
            ("pg_password", "a#b"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let side = KongSide { settings, ..KongSide::default() };
        assert_eq!(
            kong_conf(&side, Some(Path::new("/k"))),
            "pg_ssl = on\nlua_ssl_trusted_certificate = system,/k/foreign-root.crt,/k/root.crt\npg_ssl_cert = '/k/client.crt'\npg_password = a\\#b\n",
        );
        assert!(kong_conf(&side, None).contains("= system,foreign-root.crt,root.crt\n"));
    }
}
