//! Which user servers run as.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::User;

use crate::error::RuntimeError;

/// Whom servers run as where this process is root; the first that exists.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// This process' own user, or, since PostgreSQL refuses to run as root, one without privileges.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether this process is root.
    pub(super) is_root: bool,
}

impl DatabaseUser {
    /// Finds it.
    ///
    /// # Errors
    /// [`RuntimeError::NoDatabaseUser`] if this process is root and there is no such user.
    pub fn find() -> Result<Self, RuntimeError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if !uid.is_root() {
            return Ok(Self { uid: uid.as_raw(), gid: gid.as_raw(), is_root: false });
        }
        for name in USERS {
            if let Some(user) = User::from_name(name).map_err(RuntimeError::failing("look up a user"))? {
                return Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), is_root: true });
            }
        }
        Err(RuntimeError::NoDatabaseUser { users: &USERS })
    }

    /// A program that runs as this user, in a folder of its own: PostgreSQL complains about one that it cannot enter.
    #[must_use]
    pub fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = self.as_user(program);
        // None of the caller's settings of PostgreSQL, OpenSSL or the locale may reach the servers.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").stdin(Stdio::null()).current_dir(folder);
        command
    }

    fn as_user(self, program: &Path) -> Command {
        let setpriv = util_linux("setpriv").filter(|_| self.is_root);
        let mut command = Command::new(setpriv.as_deref().unwrap_or(program));
        if setpriv.is_some() {
            let [user, group] = [("--reuid", self.uid), ("--regid", self.gid)].map(|(name, id)| format!("{name}={id}"));
            command.args([&user, &group, "--clear-groups"]).arg(program);
        } else if self.is_root {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or a folder to this user.
    ///
    /// # Errors
    /// The file is not there, or cannot be given away.
    pub fn own(self, path: &Path) -> std::io::Result<()> {
        if self.is_root { chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }
}

/// A program of util-linux. For another user, and for a program that has to be searched for, `Command` forks this process:
/// 17 ms for one of 85 MB, most of it page faults afterwards. Otherwise it uses `posix_spawn`.
pub(super) fn util_linux(name: &str) -> Option<PathBuf> {
    let path =
        ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|path| path.is_file())?;
    // BusyBox has programs of the same names, which can do less.
    path.canonicalize().ok().filter(|path| path.ends_with(name))
}
