//! Servers as processes of the installed binaries, never as root, each with a data directory of its own.

mod binaries;
mod host;
mod process;
mod template;
mod user;

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::AbortHandle;

pub use self::binaries::folders_of_binaries;
use self::host::LocalHost;
pub use self::process::stop_abandoned;
use self::template::{copy, initialise};
pub use self::user::DatabaseUser;
use crate::error::RuntimeError;
use crate::runtime::{Host, Runtime};
use crate::words::{Major, Offer, RuntimeKind};

/// The installed PostgreSQL versions.
pub struct Local {
    installed: BTreeMap<Major, PathBuf>,
    /// Everything that its servers write is below it.
    folder: PathBuf,
    user: DatabaseUser,
    port: Option<u16>,
    /// Where templates are kept for later runs.
    kept: Option<PathBuf>,
    /// One initialised data directory for each major, copied for every server.
    templates: Arc<tokio::sync::Mutex<BTreeMap<Major, PathBuf>>>,
    /// The making of the latest template.
    making: Mutex<Option<AbortHandle>>,
    count: AtomicUsize,
}

impl Local {
    /// Searches for installed versions in [`folders_of_binaries`].
    ///
    /// `folder` is where the servers keep their data and their sockets. It has to be a short path (the path of a socket
    /// has at most 107 bytes on Linux), and if this process is root, one that the user `postgres` or `nobody` can pass
    /// through, as servers run as one of these then.
    ///
    /// # Errors
    /// [`RuntimeError::NotInstalled`], or [`RuntimeError::NoDatabaseUser`].
    pub fn find(folder: &Path) -> Result<Self, RuntimeError> {
        let mut installed = BTreeMap::new();
        for binaries in folders_of_binaries() {
            if let Some(major) = binaries::version(&binaries) {
                installed.entry(major).or_insert(binaries);
            }
        }
        Self::with_binaries(folder, installed)
    }

    /// Uses these folders, each with the `initdb` and the `postgres` of a major. For `folder` see [`Local::find`].
    ///
    /// # Errors
    /// [`RuntimeError::NotInstalled`] if there are none, or [`RuntimeError::NoDatabaseUser`].
    pub fn with_binaries(folder: &Path, installed: BTreeMap<Major, PathBuf>) -> Result<Self, RuntimeError> {
        if installed.is_empty() {
            return Err(RuntimeError::NotInstalled);
        }
        Ok(Self {
            installed,
            folder: folder.to_owned(),
            user: DatabaseUser::find()?,
            port: None,
            kept: None,
            templates: Arc::default(),
            making: Mutex::default(),
            count: AtomicUsize::new(0),
        })
    }

    /// The same with this port for its server, instead of any that is free. It can run one server only.
    #[must_use]
    pub fn on_port(mut self, port: Option<u16>) -> Self {
        self.port = port;
        self
    }

    /// The same, keeping the data directories that initdb makes in a folder, for later runs: they start a second earlier.
    /// What is no longer good for the installed programs is not used; nothing in the folder is ever removed. Servers start
    /// from what is in it, so nobody else should be able to write there.
    #[must_use]
    pub fn keeping_templates(mut self, folder: Option<PathBuf>) -> Self {
        self.kept = folder;
        self
    }

    /// The template of a major, made when it is first needed. Whoever waits for it may stop waiting at any time: it is
    /// completed for the next one, and recorded only once it is complete.
    async fn template(&self, major: Major, binaries: &Path) -> Result<PathBuf, RuntimeError> {
        let mut templates = self.templates.clone().lock_owned().await;
        if let Some(template) = templates.get(&major) {
            return Ok(template.clone());
        }
        let named = self.kept.as_ref().and_then(|folder| Some(folder.join(template::name(binaries, self.user).ok()?)));
        if let Some(kept) = named.as_ref().filter(|kept| kept.exists()) {
            templates.insert(major, kept.clone());
            return Ok(kept.clone());
        }
        let folder = self.new_folder(&format!("template-{major}"))?;
        let (binaries, user) = (binaries.to_owned(), self.user);
        let making = tokio::spawn(async move {
            let template = initialise(&binaries, folder, user).await?;
            if let Some(kept) = named {
                let from = template.clone();
                let keeping = tokio::task::spawn_blocking(move || template::keep(&from, &kept, user));
                keeping.await.map_err(RuntimeError::failing("keep a data directory"))?;
            }
            templates.insert(major, template.clone());
            Ok(template)
        });
        *self.making.lock().unwrap_or_else(PoisonError::into_inner) = Some(making.abort_handle());
        making.await.map_err(RuntimeError::failing("make a data directory with initdb"))?
    }

    /// Makes a folder that only the database user can enter. No two have the same name.
    fn new_folder(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{name}-{number}"));
        let make = || {
            std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            self.user.own(&path)
        };
        make().map_err(RuntimeError::failing("make a folder for a server"))?;
        Ok(path)
    }
}

#[async_trait]
impl Runtime for Local {
    fn offers(&self) -> Vec<Offer> {
        let runtime = RuntimeKind::Local;
        let offer = |(major, folder): (&Major, &PathBuf)| Offer {
            major: *major,
            runtime,
            source: folder.display().to_string(),
        };
        self.installed.iter().map(offer).collect()
    }

    async fn host(&self, major: Major) -> Result<Box<dyn Host>, RuntimeError> {
        let unavailable = || RuntimeError::MajorUnavailable { major, offered: self.offers() };
        let binaries = self.installed.get(&major).ok_or_else(unavailable)?;
        let template = self.template(major, binaries).await?;
        let folder = self.new_folder(&format!("pg{major}"))?;
        let (data, user) = (folder.join("data"), self.user);
        let target = data.clone();
        let copying = tokio::task::spawn_blocking(move || copy(&template, &target, user));
        let failed = "copy a data directory";
        copying.await.map_err(RuntimeError::failing(failed))?.map_err(RuntimeError::failing(failed))?;
        Ok(Box::new(LocalHost::new(binaries.clone(), folder, data, user, self.port)))
    }

    async fn sweep(&self) {
        if let Some(making) = self.making.lock().unwrap_or_else(PoisonError::into_inner).take() {
            making.abort();
        }
        // It holds the lock until its folder is removed.
        drop(self.templates.lock().await);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    /// A folder of programs, and one for servers, that every user can enter, and an `initdb` of these shell commands.
    fn fake(initdb: &str) -> (tempfile::TempDir, Local) {
        let folder = tempfile::tempdir().expect("a folder");
        let executable =
            |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode");
        executable(folder.path());
        let program = folder.path().join("initdb");
        // The last argument is the data directory.
        let script = format!("#!/bin/sh\nfor data; do :; done\n{initdb}\n");
        std::fs::write(&program, script).expect("a program");
        executable(&program);
        let installed = BTreeMap::from([(Major(17), folder.path().to_owned())]);
        let local = Local::with_binaries(folder.path(), installed).expect("a runtime");
        (folder, local)
    }

    fn templates(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).expect("a folder").filter_map(Result::ok);
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("template-")).collect()
    }

    #[tokio::test]
    async fn a_template_that_is_no_longer_waited_for_is_completed_for_the_next() {
        let (folder, local) = fake(r#"sleep 1; touch "$data/PG_VERSION""#);
        let first = tokio::time::timeout(Duration::from_millis(200), local.host(Major(17))).await;
        assert!(first.is_err(), "initdb does not end in that time");
        let host = local.host(Major(17)).await.expect("a host");
        assert!(Path::new(&host.data_directory()).join("PG_VERSION").exists());
        assert_eq!(templates(&folder).len(), 1);
    }

    #[tokio::test]
    async fn a_kept_template_is_used_by_later_runs_until_the_programs_change() {
        let kept = tempfile::tempdir().expect("a folder");
        let (programs, first) = fake(r#"touch "$data/PG_VERSION""#);
        let postgres = programs.path().join("postgres");
        let made = async || {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
            let local = Local::with_binaries(folder.path(), first.installed.clone()).expect("a runtime");
            let local = local.keeping_templates(Some(kept.path().join("templates")));
            let host = local.host(Major(17)).await.expect("a host");
            assert!(Path::new(&host.data_directory()).join("PG_VERSION").exists());
            templates(&folder).len()
        };
        std::fs::write(&postgres, "").expect("a program");
        assert_eq!((made().await, made().await), (1, 0));
        std::fs::write(&postgres, "another").expect("a program");
        assert_eq!((made().await, made().await), (1, 0));
    }

    /// Two threads of one process, of which each makes a template.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_template_that_is_kept_by_several_at_once_is_complete() {
        const FILES: usize = 300;
        let kept = tempfile::tempdir().expect("a folder");
        let (programs, first) = fake(&format!(r#"for n in $(seq {FILES}); do echo > "$data/$n"; done"#));
        std::fs::write(programs.path().join("postgres"), "").expect("a program");
        let keeping = (0..4).map(|_| {
            let (installed, kept) = (first.installed.clone(), kept.path().to_owned());
            tokio::spawn(async move {
                let folder = tempfile::tempdir().expect("a folder");
                std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
                let local = Local::with_binaries(folder.path(), installed).expect("a runtime");
                local.keeping_templates(Some(kept)).host(Major(17)).await.map(drop).expect("a host");
            })
        });
        for kept in keeping.collect::<Vec<_>>() {
            kept.await.expect("a host");
        }
        let folders: Vec<_> = std::fs::read_dir(kept.path()).expect("a folder").filter_map(Result::ok).collect();
        let files = folders.iter().map(|folder| std::fs::read_dir(folder.path()).expect("a template").count());
        assert_eq!(files.collect::<Vec<_>>(), [FILES]);
    }

    #[tokio::test]
    async fn a_template_that_is_incomplete_at_the_end_is_removed() {
        let (folder, local) = fake(r#"touch "$data/PG_VERSION"; sleep 60"#);
        let waiting = tokio::time::timeout(Duration::from_millis(200), local.host(Major(17))).await;
        assert!(waiting.is_err(), "initdb does not end in that time");
        assert_eq!(templates(&folder).len(), 1);
        local.sweep().await;
        assert_eq!(templates(&folder), [""; 0]);
    }

    #[tokio::test]
    async fn what_initdb_says_when_it_fails_is_in_the_error() {
        let (folder, local) = fake("echo 'initdb: error: no space left' >&2; exit 1");
        let error = local.host(Major(17)).await.err().expect("an error");
        assert_eq!(error.to_string(), "cannot make a data directory with initdb: initdb: error: no space left");
        assert_eq!(templates(&folder), [""; 0], "an incomplete template is left behind");
    }

    #[tokio::test]
    async fn programs_run_in_the_folder_of_their_server_and_without_the_environment_of_this_process() {
        let (folder, local) = fake(r#"{ pwd; env; } >"$data/seen""#);
        let host = local.host(Major(17)).await.expect("a host");
        let seen = std::fs::read_to_string(Path::new(&host.data_directory()).join("seen")).expect("what initdb saw");
        let mut lines = seen.lines();
        let template = folder.path().join(templates(&folder).pop().expect("a template"));
        assert_eq!(lines.next(), Some(&*template.to_string_lossy()));
        let mut names: Vec<_> = lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        // The shell that this initdb is sets PWD and others of its own.
        names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }

    #[tokio::test]
    async fn a_major_that_is_not_installed_is_an_error_that_names_those_that_are() {
        let (_folder, local) = fake("");
        let error = local.host(Major(15)).await.err().expect("an error");
        assert_eq!(error.to_string(), "PostgreSQL 15 is not available here, only 17 (local)");
    }

    #[test]
    fn without_any_binaries_there_is_no_runtime() {
        let error = Local::with_binaries(Path::new("/"), BTreeMap::new()).err().expect("an error");
        assert!(matches!(error, RuntimeError::NotInstalled), "{error}");
    }
}
