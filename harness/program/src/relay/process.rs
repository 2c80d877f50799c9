//! The process of a program.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kong_pg_scenarios::vocabulary::RelayProgram;
use postgres_tls_server::DatabaseUser;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::config;
use super::error::RelayError;
use crate::leaks::listening_sockets;

/// Where Debian has daemons, which not everybody has in the PATH.
const FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];

/// The executable of a program.
pub(super) fn installed(program: RelayProgram) -> Result<PathBuf, RelayError> {
    find(program.into()).ok_or_else(|| match program.fetched_by() {
        Some(fetched_by) => RelayError::NotFetched { program, fetched_by },
        None => RelayError::NotInstalled { program: program.to_string() },
    })
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A running program, which ends with this value, and with this process.
pub(super) struct Process {
    program: RelayProgram,
    child: Child,
    log: watch::Receiver<Vec<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it in a folder, never as root. Its standard input is the listening socket that it is given, if any.
    pub(super) fn spawn(
        program: RelayProgram,
        path: &Path,
        arguments: &[&str],
        user: DatabaseUser,
        folder: &Path,
        given: Option<TcpListener>,
    ) -> Result<Self, RelayError> {
        let no_setpriv = || RelayError::NotInstalled { program: "setpriv, of util-linux,".to_owned() };
        let mut command = user.command(&find("setpriv").ok_or_else(no_setpriv)?, folder);
        // It ends with this process, however that ends.
        command.args(["--pdeathsig", config::abandon(program).1]).arg(path).args(arguments);
        command.stdin(given.map_or_else(Stdio::null, |listener| OwnedFd::from(listener).into()));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = Command::from(command).process_group(0).spawn();
        let mut child = child.map_err(RelayError::io("start the program"))?;
        let (writer, log) = watch::channel(Vec::new());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stdout| tokio::spawn(read(stdout, writer.clone()))));
        readers.extend(child.stderr.take().map(|stderr| tokio::spawn(read(stderr, writer))));
        Ok(Self { program, child, log, readers })
    }

    /// Its number, which is also that of its group.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it logs that it is ready, which it may be from the beginning, and listens on its port.
    ///
    /// # Errors
    /// What it has logged, if it ends or that takes too long.
    pub(super) async fn ready(&mut self, port: u16, limit: Duration) -> Result<(), Vec<String>> {
        let Some(text) = config::ready(self.program) else { return Ok(()) };
        if self.logged(limit, |log| log.iter().any(|line| line.contains(text))).await
            && (!config::is_early(self.program) || timeout(limit, listening(port)).await.is_ok())
        {
            return Ok(());
        }
        Err(self.stop(limit).await.1)
    }

    /// Waits until the log is as wanted. Returns whether it is, before the end of the program and the limit.
    pub(super) async fn logged(&mut self, limit: Duration, is_wanted: impl Fn(&[String]) -> bool) -> bool {
        matches!(timeout(limit, self.log.wait_for(|log| is_wanted(log))).await, Ok(Ok(_)))
    }

    /// Ends it in order, or by force if that takes too long. Returns whether it had ended by itself, and its log.
    pub(super) async fn stop(&mut self, limit: Duration) -> (bool, Vec<String>) {
        // It closes its outputs, which ends the readers, a moment before it can be waited for.
        let by_itself = self.log.has_changed().is_err() || !matches!(self.child.try_wait(), Ok(None));
        self.signal(config::end(self.program));
        if timeout(limit, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        for reader in self.readers.drain(..) {
            let _ = timeout(limit, reader).await;
        }
        (by_itself, self.log.borrow().clone())
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // It may be ending at this moment.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(config::abandon(self.program).0);
    }
}

async fn read(output: impl AsyncRead + Unpin, log: watch::Sender<Vec<String>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.send_modify(|log| log.push(line));
    }
}

/// Waits until a program listens on a port, without connecting to it, which the program would log.
async fn listening(port: u16) {
    while !is_listening(port) {
        sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a program listens on a port.
fn is_listening(port: u16) -> bool {
    listening_sockets().any(|socket| socket.local_address.port() == port)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_port_counts_if_a_program_listens_on_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(is_listening(listener.local_addr().expect("an address").port()));
        // Of tcpmux, which nobody has any more.
        assert!(!is_listening(1));
    }
}
