//! A new folder for what a user asked for: nothing in it is overwritten, and keys in it are their owner's alone.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why it cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something has that name.
    #[error("{} is there already, and nothing is overwritten; name another folder", .0.display())]
    Exists(PathBuf),
    /// A file or folder cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn failing(path: &Path) -> impl Fn(io::Error) -> FolderError + '_ {
    move |source| FolderError::Io { path: path.to_owned(), source }
}

/// A folder for new files.
#[derive(Debug)]
pub struct NewFolder(PathBuf);

impl NewFolder {
    /// Creates it with mode 0700, with its parents.
    ///
    /// # Errors
    /// If it is there and not empty, or cannot be made.
    pub fn create(path: &Path) -> Result<Self, FolderError> {
        let is_empty = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failing(parent))?;
        }
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_empty(path) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(FolderError::Exists(path.to_owned()));
            }
            created => created.map_err(failing(path))?,
        }
        Ok(Self(path.to_owned()))
    }

    /// A folder that this program has made.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Lets other users pass through to what is theirs in it, and not look around.
    ///
    /// # Errors
    /// If its mode cannot be changed.
    pub fn open_to_pass(&self) -> Result<(), FolderError> {
        std::fs::set_permissions(&self.0, PermissionsExt::from_mode(0o711)).map_err(failing(&self.0))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder in it, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn folder(&self, name: &str, mode: u32) -> Result<Self, FolderError> {
        let path = self.0.join(name);
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(&path).map_err(failing(&path))?;
        // Whatever the caller's umask is.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).map_err(failing(&path))?;
        Ok(Self(path))
    }

    /// A file in it, with its mode, which is there before the content is.
    ///
    /// # Errors
    /// If it is there already or cannot be written.
    pub fn file(&self, name: &str, content: &[u8], mode: u32) -> Result<PathBuf, FolderError> {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failing(parent))?;
        }
        let write = || {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.set_permissions(PermissionsExt::from_mode(mode))
        };
        match write() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(FolderError::Exists(path)),
            written => written.map_err(failing(&path)).map(|()| path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("a/b");
        let folder = NewFolder::create(&path).expect("a folder");
        let file = folder.file("key", b"one", 0o600).expect("a file");
        assert!(matches!(folder.file("key", b"two", 0o600), Err(FolderError::Exists(_))));
        assert!(matches!(NewFolder::create(&path), Err(FolderError::Exists(_))));
        assert!(matches!(NewFolder::create(&file), Err(FolderError::Exists(_))));
        assert_eq!(std::fs::read(&file).expect("a file"), b"one");
        let mode = |path: &Path| path.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
    }

    #[test]
    fn an_empty_folder_is_taken() {
        let empty = tempfile::tempdir().expect("a folder");
        assert!(NewFolder::create(empty.path()).is_ok());
    }
}
