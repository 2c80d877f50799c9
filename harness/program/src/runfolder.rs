//! The private folder of a run: keys, data directories, sockets. It goes when the run ends; what a killed run leaves
//! behind is told from a living one by a lock that the operating system releases.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What the names of run folders begin with, in the system's folder for temporary files.
const NAME: &str = "kong-pg-tls-";
const LOCK: &str = "lock";

/// The folder of this run.
#[derive(Debug)]
pub struct RunFolder {
    folder: TempDir,
    _lock: File,
}

impl RunFolder {
    /// Makes it.
    pub fn create() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(NAME).tempdir()?;
        // Servers that run as another user must be able to pass through; nobody may look around.
        let passable = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(passable))?;
        let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder below it that only this user can look into.
    pub fn private(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }
}

/// Whether the run that a folder belongs to is still alive.
#[must_use]
pub fn is_alive(folder: &Path) -> bool {
    let lock = File::open(folder.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// The folders of this user's runs that ended without cleaning up.
#[must_use]
pub fn abandoned() -> Vec<PathBuf> {
    let me = rustix::process::geteuid().as_raw();
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).filter(|entry| {
        let mine = entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == me);
        mine && entry.file_name().to_string_lossy().starts_with(NAME)
    });
    folders.map(|entry| entry.path()).filter(|path| path.join(LOCK).exists() && !is_alive(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_run_is_not_taken_for_an_abandoned_one() {
        let run = RunFolder::create().expect("a folder");
        assert!(is_alive(run.path()));
        assert!(!abandoned().contains(&run.path().to_owned()));
    }

    #[test]
    fn a_folder_without_a_lock_is_nobody_s() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!is_alive(folder.path()));
    }
}
