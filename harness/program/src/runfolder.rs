//! The private folder of a run: keys, data directories, sockets. It is removed when the run ends. What a killed run
//! leaves behind is distinguished from a running one by a lock, which the operating system releases.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use postgres_tls_server::engine::Label;
use rustix::fs::Access;
use tempfile::TempDir;

/// What the names of run folders begin with.
const NAME: &str = "kong-pg-tls-";
const LOCK: &str = "lock";

/// The key of the label of a run's containers. Its value is the path of the run's folder.
pub const CONTAINER_LABEL: &str = "kong-pg-tls.run";

/// A folder in memory, where servers start and stop faster: creating and removing their thousand files is half of the work
/// on a disk.
const MEMORY: &str = "/dev/shm";

/// How much of it must be free. A server has about 40 MB.
const ROOM: u64 = 2 << 30;

/// How long the path of the folder for temporary files may be. The path of a socket below a run folder is up to 60 bytes
/// longer, and may have 107 bytes in all (unix(7)).
const MAX_PARENT: usize = 47;

/// The variable that names a folder in which data directories, private keys and the certificates of Kong's guide are kept
/// for later runs.
pub const CACHE: &str = "KONG_PG_TLS_CACHE";

/// The folder that keeps what takes long to make for later runs, if there is to be one.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    std::env::var_os(CACHE).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The folder of this run.
#[derive(Debug)]
pub struct RunFolder {
    folder: TempDir,
    _lock: File,
}

/// Creates a file that only this user can read.
///
/// # Errors
/// It is there already, or cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

impl RunFolder {
    /// Creates it in the first suitable folder for temporary files: that of `TMPDIR`, `/dev/shm` if it has room, `/tmp` or
    /// `/var/tmp`.
    ///
    /// # Errors
    /// None is suitable, or the folder cannot be created.
    pub fn create() -> io::Result<Self> {
        Self::create_in(parents())
    }

    /// The same, but not below `/dev/shm`: a container has one of its own, which hides files that are copied into the
    /// container at the path that they have here.
    ///
    /// # Errors
    /// None is suitable, or the folder cannot be created.
    pub fn create_for_copies() -> io::Result<Self> {
        Self::create_in(parents().filter(|parent| !parent.starts_with(MEMORY)))
    }

    fn create_in(mut parents: impl Iterator<Item = PathBuf>) -> io::Result<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let none = || io::Error::other("no folder for temporary files has a short path that every user can enter");
        let parent = parents.find(|parent| is_suitable(parent, is_root)).ok_or_else(none)?;
        let folder = tempfile::Builder::new().prefix(NAME).tempdir_in(parent)?;
        // Servers that run as another user must be able to pass through; no one else may look inside.
        let mode = if is_root { 0o711 } else { 0o700 };
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode))?;
        // It gets its name when it is locked: one that is not locked belongs to a run that has ended.
        let unlocked = folder.path().join("new-lock");
        let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unlocked)?;
        lock.lock()?;
        std::fs::rename(unlocked, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps one folder in it and removes everything else, until `clean` removes that as well. Returns its path.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn keep(self, name: &str) -> io::Result<PathBuf> {
        for entry in std::fs::read_dir(self.path())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() && entry.file_name() != name {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        let Self { folder, _lock } = self;
        Ok(folder.keep().join(name))
    }

    /// The label of this run's containers.
    #[must_use]
    pub fn label(&self) -> Label {
        Label { key: CONTAINER_LABEL.to_owned(), value: self.path().to_string_lossy().into_owned() }
    }

    /// Creates a folder below it with mode 0700.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn private(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }
}

/// The folders that run folders are created in.
fn parents() -> impl Iterator<Item = PathBuf> {
    let named = std::env::var_os("TMPDIR").and_then(|folder| std::path::absolute(folder).ok());
    let mut parents: Vec<_> = named.into_iter().chain([MEMORY, "/tmp", "/var/tmp"].map(PathBuf::from)).collect();
    parents.dedup();
    parents.into_iter()
}

/// Whether this process can create files in a folder, and so many bytes are free.
fn has_room(folder: &Path, bytes: u64) -> bool {
    let is_open = rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    is_open && rustix::fs::statvfs(folder).is_ok_and(|system| system.f_bavail.saturating_mul(system.f_frsize) >= bytes)
}

/// Whether sockets can be made below a folder, and, if this process is root, every user can pass through to them.
fn is_suitable(parent: &Path, is_root: bool) -> bool {
    let can_pass = |folder: &Path| folder.metadata().is_ok_and(|data| data.mode() & 0o001 != 0);
    parent.is_dir()
        && (parent != Path::new(MEMORY) || has_room(parent, ROOM))
        && parent.as_os_str().as_bytes().len() <= MAX_PARENT
        && (!is_root || parent.ancestors().all(can_pass))
}

/// Says that an image is being pulled, which can take minutes.
pub(crate) fn announce_pull(image: &str) {
    eprintln!("pulling {image}");
}

/// Whether the run that a folder belongs to is still running.
#[must_use]
pub fn is_alive(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| is_held(&lock))
}

/// Whether the run that a folder belongs to has ended. A folder without a lock belongs to no run, or is just being
/// created or removed by its own.
fn is_abandoned(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| !is_held(&lock))
}

fn is_held(lock: &File) -> bool {
    matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

/// The folders of this user's runs that ended without removing them.
#[must_use]
pub fn abandoned() -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let entries = parents().filter_map(|parent| std::fs::read_dir(parent).ok()).flatten().filter_map(Result::ok);
    let folders = entries.filter(|entry| {
        let is_mine = entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == user);
        is_mine && entry.file_name().to_string_lossy().starts_with(NAME)
    });
    folders.map(|entry| entry.path()).filter(|path| is_abandoned(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_run_is_not_abandoned() {
        let run = RunFolder::create().expect("a folder");
        assert!(is_alive(run.path()));
        assert!(!abandoned().contains(&run.path().to_owned()));
    }

    #[test]
    fn what_is_kept_of_a_run_is_there_until_it_is_cleaned_up() {
        let run = RunFolder::create().expect("a folder");
        run.private("data").expect("a folder");
        run.private("kept").expect("a folder");
        let kept = run.keep("kept").expect("a folder");
        let parent = kept.parent().expect("a folder");
        assert!(kept.is_dir() && !parent.join("data").exists());
        assert!(abandoned().contains(&parent.to_owned()), "`clean` finds it");
        std::fs::remove_dir_all(parent).expect("a folder");
    }

    #[test]
    fn a_folder_that_is_full_or_missing_has_no_room() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(has_room(folder.path(), 1));
        assert!(!has_room(folder.path(), u64::MAX));
        assert!(!has_room(&folder.path().join("missing"), 0));
    }

    #[test]
    fn a_folder_without_a_lock_belongs_to_no_run() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!is_alive(folder.path()) && !is_abandoned(folder.path()));
    }

    #[test]
    fn the_folder_for_temporary_files_has_a_short_path_that_the_database_user_can_pass() {
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let set = |mode| std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).expect("a mode");
        set(0o700);
        assert!(is_suitable(folder.path(), false));
        assert!(!is_suitable(folder.path(), true), "other users cannot pass");
        set(0o711);
        assert!(is_suitable(folder.path(), true));
        let deep = folder.path().join("a-folder-whose-path-is-too-long-for-a-socket");
        std::fs::create_dir(&deep).expect("a folder");
        assert!(!is_suitable(&deep, false));
        assert!(!is_suitable(&folder.path().join("missing"), false));
    }
}
