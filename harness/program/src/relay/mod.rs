//! Real programs between Kong and the server: PgBouncer, stunnel, HAProxy, Pgpool-II and Odyssey, as they are
//! installed here.
//!
//! Each listens on the loopback interface, for one cell, and ends with it. Its own log proves what it had with Kong:
//! `pg_stat_ssl` shows only what it has with the server.

mod config;
mod error;
mod lines;
mod process;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use kong_pg_scenarios::vocabulary::RelayProgram;
use postgres_tls_server::DatabaseUser;
use tempfile::TempDir;

pub use self::config::Configured;
pub use self::error::RelayError;
use self::process::{Process, installed};
use crate::leaks::{Trace, Traced};
use crate::runfolder::write_private;

/// How long a program may take to listen, and to end.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a program may take to notice that Kong has gone.
const END_LIMIT: Duration = Duration::from_secs(1);
/// How many ports are tried. A port that was free may be taken when the program asks for it.
const PORTS: usize = 5;

/// A running program. It and its files go with this value; if this process is killed, the program ends as well.
pub struct Relay {
    program: RelayProgram,
    port: u16,
    // Before the folder: what runs in it ends first.
    process: Process,
    folder: TempDir,
}

impl Relay {
    /// Starts a program in front of a server, with a folder of its own below `parent`, which the database user can pass
    /// through.
    ///
    /// # Errors
    /// The program is not installed, or does not start with this configuration.
    pub async fn start(configured: &Configured, parent: &Path, server: (String, u16)) -> Result<Self, RelayError> {
        let program = configured.program;
        let path = installed(program)?;
        let user = DatabaseUser::find()?;
        let folder = tempfile::Builder::new().prefix("relay-").tempdir_in(parent);
        let folder = folder.map_err(RelayError::io("make a folder for the program"))?;
        let own = |path: &Path| user.own(path);
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            write_private(&path, content)?;
            own(&path)
        };
        let all = configured.files.iter().try_for_each(|(name, content)| write(name, content));
        all.and_then(|()| own(folder.path())).map_err(RelayError::io("write the program's files"))?;
        let mut tried = 0;
        loop {
            tried += 1;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(RelayError::io("find a free port"))?;
            let port = listener.local_addr().map_err(RelayError::io("find a free port"))?.port();
            let text = config::text(configured, port, &server);
            let (name, arguments) = config::command(program);
            write(name, text.as_bytes()).map_err(RelayError::io("write the program's configuration"))?;
            // HAProxy listens on what it is given. The others open the port themselves.
            let given = (program == RelayProgram::Haproxy).then_some(listener);
            let mut process = Process::spawn(program, &path, arguments, user, folder.path(), given)?;
            match process.ready(port, LIMIT).await {
                Ok(()) => return Ok(Self { program, port, process, folder }),
                Err(log) if tried < PORTS && log.iter().any(|line| line.contains("already in use")) => {
                    let removed = std::fs::remove_file(folder.path().join(name));
                    removed.map_err(RelayError::io("replace the program's configuration"))?;
                }
                Err(log) => return Err(RelayError::NotStarted { program, log }),
            }
        }
    }

    /// The host and port that Kong connects to.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        (Ipv4Addr::LOCALHOST.to_string(), self.port)
    }

    /// It and its files, before which there was nothing.
    #[must_use]
    pub fn traced(&self) -> Traced {
        Trace::of_folder(self.folder.path().to_owned()).from_the_start(self.process.id())
    }

    /// What Kong says of a refusal, without the names that the program gives to connections, which are random.
    #[must_use]
    pub fn without_names(&self, text: String) -> String {
        if self.program == RelayProgram::Odyssey { lines::without_names(&text) } else { text }
    }

    /// Ends it once it has noticed the end of that many connections of Kong's. Returns what it has logged of them, but
    /// for what it logs of every connection.
    ///
    /// # Errors
    /// It has ended before, by itself.
    pub async fn stop(mut self, connections: usize) -> Result<Vec<String>, RelayError> {
        let has_ended = |line: &String| lines::ends_connection(self.program, line);
        self.process.logged(END_LIMIT, |log| log.iter().filter(|line| has_ended(line)).count() >= connections).await;
        let (by_itself, log) = self.process.stop(LIMIT).await;
        if by_itself {
            return Err(RelayError::Ended { program: self.program, log });
        }
        Ok(log.iter().filter_map(|line| lines::relevant(self.program, line)).collect())
    }
}

#[cfg(test)]
mod tests;
