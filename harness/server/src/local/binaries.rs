//! Where PostgreSQL is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::words::Major;

/// The folders that may have PostgreSQL's programs: those that the environment variable `PGBIN` names, separated by
/// colons, the usual ones of Debian, Red Hat, Homebrew and source installations, and those of `PATH`.
#[must_use]
pub fn folders_of_binaries() -> Vec<PathBuf> {
    let named = std::env::var_os("PGBIN").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&named).filter(|folder| !folder.as_os_str().is_empty()).collect();
    let families = ["/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt", "/usr/local/opt"];
    for family in families.map(Path::new) {
        let entries = std::fs::read_dir(family).into_iter().flatten().filter_map(Result::ok);
        let mut versions: Vec<_> = entries.map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        folders.push(family.join("bin"));
        folders.extend(versions);
    }
    folders.extend((10..30).map(|major| PathBuf::from(format!("/usr/pgsql-{major}/bin"))));
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders
}

/// The major version of the server in a folder, if it has all the programs needed.
pub(super) fn version(folder: &Path) -> Option<Major> {
    if !folder.join("initdb").exists() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").current_dir("/").output().ok()?;
    parse(&String::from_utf8(output.stdout).ok()?)
}

/// `postgres (PostgreSQL) 15.18 (Debian ...)`, `postgres (PostgreSQL) 19rc1`
fn parse(version: &str) -> Option<Major> {
    let number = version.split_whitespace().nth(2)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).map_or(number, |end| &number[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_prints_its_version() {
        assert_eq!(parse("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(Major(15)));
        assert_eq!(parse("postgres (PostgreSQL) 19rc1\n"), Some(Major(19)));
        assert_eq!(parse("postgres: not found"), None);
    }
}
