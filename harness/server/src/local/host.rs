//! The place of one local server: a folder with its data directory and its socket.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Signal;
use tokio_postgres::{Client, Config, NoTls};

use super::process::{Postmaster, STOP_LIMIT};
use super::user::{DatabaseUser, util_linux};
use crate::config::{Changes, File};
use crate::error::{OwnerUnavailable, RuntimeError};
use crate::log::LogBook;
use crate::port::free_port;
use crate::runtime::Host;
use crate::words::Owner;

/// How long a server may take to listen or to give up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How many ports are tried. A port that was free may be taken when the server asks for it.
const PORTS: usize = 5;

pub(super) struct LocalHost {
    binaries: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    user: DatabaseUser,
    /// 0 before the first start.
    port: u16,
    /// Whether it has to be that port.
    is_fixed: bool,
    process: Option<Postmaster>,
    log: LogBook,
}

impl LocalHost {
    pub(super) fn new(
        binaries: PathBuf,
        folder: PathBuf,
        data: PathBuf,
        user: DatabaseUser,
        port: Option<u16>,
    ) -> Self {
        let (is_fixed, port) = (port.is_some(), port.unwrap_or_default());
        Self { binaries, folder, data, user, port, is_fixed, process: None, log: LogBook::default() }
    }

    fn write(&self, name: &str, file: &File) -> std::io::Result<()> {
        let path = self.data.join(name);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            self.user.own(folder)?;
        }
        // A new file each time: the old one may belong to another user.
        let _ = std::fs::remove_file(&path);
        let mut handle = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        handle.write_all(&file.content)?;
        if self.user.is_root {
            let id = |owner: Owner, ours| owner.number().unwrap_or(ours);
            chown(&path, Some(id(file.owner, self.user.uid)), Some(id(file.group, self.user.gid)))?;
        }
        handle.set_permissions(PermissionsExt::from_mode(file.mode))
    }
}

impl Drop for LocalHost {
    fn drop(&mut self) {
        self.process = None;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[async_trait]
impl Host for LocalHost {
    fn conf(&self) -> Vec<(&'static str, String)> {
        vec![
            ("listen_addresses", "127.0.0.1".into()),
            ("unix_socket_directories", self.folder.display().to_string()),
            ("unix_socket_permissions", "0700".into()),
        ]
    }

    fn hba(&self) -> String {
        "local postgres postgres trust".into()
    }

    fn can_own(&self, owner: Owner) -> Result<(), OwnerUnavailable> {
        if owner == Owner::DatabaseUser || self.user.is_root { Ok(()) } else { Err(OwnerUnavailable { owner }) }
    }

    async fn install(
        &mut self,
        before: &BTreeMap<String, File>,
        files: &BTreeMap<String, File>,
    ) -> Result<(), RuntimeError> {
        let Changes { obsolete, changed } = Changes::between(before, files);
        for name in obsolete {
            let _ = std::fs::remove_file(self.data.join(name));
        }
        let written = changed.into_iter().try_for_each(|(name, file)| self.write(name, file));
        written.map_err(RuntimeError::failing("write the server's files"))
    }

    fn log(&self) -> &LogBook {
        &self.log
    }

    async fn start(&mut self) -> Result<usize, RuntimeError> {
        let action = "start PostgreSQL";
        // A server that is started again keeps its port unless another process has taken it since.
        for attempt in 0..if self.is_fixed { 1 } else { PORTS } {
            if self.port == 0 || attempt > 0 {
                self.port = free_port().map_err(RuntimeError::failing(action))?;
            }
            let mark = self.log.mark();
            // In a session of its own, which has no terminal: Ctrl-C reaches this process alone, which stops the servers in
            // order, and the passphrase of a private key is asked for where it is logged.
            let setsid = util_linux("setsid").unwrap_or("setsid".into());
            let mut command = self.user.command(&setsid, &self.folder);
            command.arg(self.binaries.join("postgres")).arg("-D").arg(&self.data).arg("-p").arg(self.port.to_string());
            self.process = Some(Postmaster::spawn(command, &self.log).map_err(RuntimeError::failing(action))?);
            let listens = self.log.wait(mark, START_LIMIT, |lines, is_open| {
                let taken = lines.iter().any(|line| line.text.contains("could not create any TCP/IP sockets"));
                let listening = lines.iter().any(|line| line.text.contains("listening on Unix socket"));
                if listening { Some(true) } else { (!is_open).then_some(!taken) }
            });
            if listens.await.ok_or(RuntimeError::Timeout { action, limit: START_LIMIT })? {
                return Ok(mark);
            }
        }
        if self.is_fixed {
            return Err(RuntimeError::failed(action, format!("another process has port {}", self.port)));
        }
        Err(RuntimeError::failed(action, format!("{PORTS} ports in turn were taken by other processes")))
    }

    async fn reload(&self, _: &Client) -> Result<(), RuntimeError> {
        self.process.as_ref().ok_or(RuntimeError::NotRunning)?.signal(Signal::HUP);
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RuntimeError> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.signal(Signal::INT);
        let ended = self.log.wait(self.log.mark(), STOP_LIMIT, |_, is_open| (!is_open).then_some(())).await;
        self.process = None;
        ended.ok_or(RuntimeError::Timeout { action: "stop PostgreSQL", limit: STOP_LIMIT })
    }

    fn address(&self) -> (String, u16) {
        ("127.0.0.1".into(), self.port)
    }

    async fn control(&self) -> Result<Client, RuntimeError> {
        let mut config = Config::new();
        config.host_path(&self.folder).port(self.port).user("postgres").dbname("postgres");
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(RuntimeError::failing("reach the server's socket"))?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn data_directory(&self) -> String {
        self.data.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_stays_as_it_is_is_not_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let user = DatabaseUser::find().expect("a user");
        let mut host = LocalHost::new("bin".into(), folder.path().join("pg15"), data.clone(), user, None);
        let files = |contents: &[(&str, &str)]| -> BTreeMap<_, _> {
            contents.iter().map(|(name, text)| ((*name).to_owned(), File::of_database_user(*text))).collect()
        };
        let before = files(&[("kept", "1"), ("changed", "2"), ("removed", "2")]);
        host.install(&BTreeMap::new(), &before).await.expect("files");
        // Would be replaced if the file was written again.
        std::fs::write(data.join("kept"), "not written again").expect("a file");
        host.install(&before, &files(&[("kept", "1"), ("changed", "3")])).await.expect("files");
        let read = |name: &str| std::fs::read_to_string(data.join(name)).ok();
        assert_eq!(read("kept").as_deref(), Some("not written again"));
        assert_eq!(read("changed").as_deref(), Some("3"));
        assert_eq!(read("removed"), None);
    }
}
