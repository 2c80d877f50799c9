//! Data directories: made once by initdb, and copied.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::user::DatabaseUser;
use crate::config::INITDB;
use crate::error::{RuntimeError, within};

/// How long initdb may take. It takes a second on an idle machine.
const INITDB_LIMIT: Duration = Duration::from_secs(60);

/// Has initdb make a data directory in an empty folder. The folder is removed if that fails, or if the future is dropped.
pub(super) async fn initialise(binaries: &Path, folder: PathBuf, user: DatabaseUser) -> Result<PathBuf, RuntimeError> {
    let mut incomplete = Incomplete { folder, group: None };
    let mut command = user.command(&binaries.join("initdb"), &incomplete.folder);
    command.args(INITDB).args(["--auth=trust", "--pgdata"]).arg(&incomplete.folder);
    // A process group, because initdb starts postgres.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let action = "make a data directory with initdb";
    let initdb = tokio::process::Command::from(command).spawn().map_err(RuntimeError::failing(action))?;
    incomplete.group = initdb.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let output = within(INITDB_LIMIT, action, initdb.wait_with_output()).await?;
    let output = output.map_err(RuntimeError::failing(action))?;
    incomplete.group = None;
    if !output.status.success() {
        return Err(RuntimeError::failed(action, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(incomplete.keep())
}

/// A data directory that initdb has not completed, and initdb's process group while it runs.
struct Incomplete {
    folder: PathBuf,
    group: Option<Pid>,
}

impl Incomplete {
    /// It is complete.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.folder)
    }
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        if self.folder.as_os_str().is_empty() {
            return;
        }
        // A process that is being killed may still make a file. What is left then has a name that is not used again.
        for _ in 0..5 {
            match std::fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }
}

/// The name under which a template is kept: it is of no use to other programs, of another version, or to other users.
pub(super) fn name(binaries: &Path, user: DatabaseUser) -> std::io::Result<String> {
    let program = std::fs::metadata(binaries.join("postgres"))?;
    let mut hasher = DefaultHasher::new();
    (binaries, program.len(), program.modified()?, user.uid, user.is_root, INITDB).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Keeps a copy of a template for later runs, unless another one has been kept meanwhile. Where that fails, each run makes
/// its own.
pub(super) fn keep(template: &Path, kept: &Path, user: DatabaseUser) {
    // Several threads of several processes may do this at once.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let incomplete = kept.with_extension(format!("{}-{number}", std::process::id()));
    let made = kept.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| copy(template, &incomplete, user));
    if made.and_then(|()| std::fs::rename(&incomplete, kept)).is_err() {
        // It may not even have been begun.
        let _ = std::fs::remove_dir_all(&incomplete);
    }
}

/// Copies a data directory for a user.
pub(super) fn copy(from: &Path, to: &Path, user: DatabaseUser) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o700))?;
    user.own(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, user)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
            user.own(&target)?;
        }
    }
    Ok(())
}
