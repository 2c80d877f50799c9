//! Where the processes of a nextest run meet: a private folder whose name they all know, with the broker's lock and
//! socket. `kong-pg-tls clean` removes one that is not locked.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How long the path of the folder for temporary files may be: that of a socket has at most 107 bytes (unix(7)).
const MAX_PARENT: usize = 35;

/// The folder.
pub(super) struct Meeting(pub(super) PathBuf);

impl Meeting {
    /// That of a program in a run of nextest.
    pub(super) fn of(program: &str, run: &str) -> Self {
        let parent = std::env::temp_dir();
        let parent = if parent.as_os_str().len() > MAX_PARENT { Path::new("/tmp") } else { &parent };
        Self(parent.join(format!("kong-pg-tls-{run}-{program}")))
    }

    /// Makes it, unless it is there and belongs to this user alone.
    pub(super) fn make(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let found = self.0.symlink_metadata()?;
                let is_mine = found.uid() == rustix::process::geteuid().as_raw();
                if found.is_dir() && is_mine && found.mode() & 0o777 == 0o700 {
                    return Ok(());
                }
                Err(io::Error::new(ErrorKind::PermissionDenied, format!("{} is not private", self.0.display())))
            }
            made => made,
        }
    }

    /// The lock of the process that serves here; nothing, if there is one already.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.0.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    /// What the broker writes on its standard error.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}
