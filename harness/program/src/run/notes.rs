//! What is known of a cell while it runs, so that it is known as well if the cell does not come to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use kong_pg_client::{Tap, Traffic};
use kong_pg_scenarios::suite::Situation;
use postgres_tls_server::{File, LogBook, LogLine, Server, ServerFacts};

use super::materials::{ConfigFiles, Made, MadeFile, config_files};

/// What is known of a cell, up to where it has come.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The server.
    pub server: Option<ServerFacts>,
    /// The step, counted from 0.
    pub step: Option<usize>,
    /// Its configuration files.
    pub files: Option<ConfigFiles>,
    /// The other files of both sides in this step.
    pub made: MadeFiles,
    /// Settings of Kong that are ignored or misread.
    pub remarks: Vec<String>,
    /// Everything that the server has logged about the attempt to connect in this step, verbatim.
    pub attempt_log: Vec<String>,
    /// Its connections, if they are recorded.
    pub connections: Vec<Recording>,
    /// Everything that the server has logged, if it is recorded.
    pub server_log: Vec<LogLine>,
}

/// The certificates, keys and revocation lists of both sides, by name.
#[derive(Debug, Clone, Default)]
pub struct MadeFiles {
    /// The server's, by their path below the data directory.
    pub server: BTreeMap<String, MadeFile>,
    /// Kong's.
    pub kong: BTreeMap<String, MadeFile>,
    /// The certificate of a proxy that ends TLS between the two, in PEM.
    pub proxy: Option<Vec<u8>>,
}

/// A connection of the client's, as it passed between TLS and TCP.
pub type Recording = Vec<(SystemTime, Passed)>;

/// What passed on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// The connection was established.
    Connected {
        /// The client's address.
        client: std::net::SocketAddr,
        /// The server's, or the proxy's.
        server: std::net::SocketAddr,
    },
    /// The client sent this.
    Sent(Vec<u8>),
    /// The client received this.
    Received(Vec<u8>),
    /// The other side ended its stream.
    PeerEnded,
    /// The client closed the connection.
    Closed,
    /// A secret of the TLS session, as a line of a key log.
    Secret(String),
}

impl From<Traffic<'_>> for Passed {
    fn from(traffic: Traffic<'_>) -> Self {
        match traffic {
            Traffic::Connected { local, peer } => Self::Connected { client: local, server: peer },
            Traffic::Sent(bytes) => Self::Sent(bytes.to_vec()),
            Traffic::Received(bytes) => Self::Received(bytes.to_vec()),
            Traffic::PeerEnded => Self::PeerEnded,
            Traffic::Closed => Self::Closed,
            Traffic::Secret(line) => Self::Secret(line.to_owned()),
        }
    }
}

/// A server's log, and its end before the cell used the server.
type LogPart = (LogBook, usize);

/// Where notes are taken. A clone is the same notebook.
#[derive(Debug, Clone, Default)]
pub(super) struct Notebook {
    notes: Arc<Mutex<Notes>>,
    /// If logs and traffic are recorded: the logs of the servers that the cell uses now, each with its end before.
    logs: Option<Arc<Mutex<Vec<LogPart>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notebook {
    /// A notebook, in which logs and traffic are recorded or not.
    pub(super) fn new(records: bool) -> Self {
        Self { notes: Arc::default(), logs: records.then(Arc::default) }
    }

    pub(super) fn note(&self, take: impl FnOnce(&mut Notes)) {
        take(&mut lock(&self.notes));
    }

    /// A step begins, before any of its files is made.
    pub(super) fn begin(&self, step: usize, situation: &Situation) {
        let files = Some(config_files(situation));
        self.note(|notes| {
            (notes.step, notes.files) = (Some(step), files);
            (notes.made, notes.remarks, notes.attempt_log) = (MadeFiles::default(), Vec::new(), Vec::new());
        });
    }

    /// The files of both sides have been made.
    pub(super) fn made(&self, made: &Made) {
        let file = |(name, file): (&String, &File)| {
            (name.clone(), MadeFile { content: file.content.clone(), mode: file.mode })
        };
        let server = made.configuration.files.iter().map(file).collect();
        let proxy = made.proxy.as_ref().and_then(|certificate| certificate.x509.to_pem().ok());
        self.note(|notes| notes.made = MadeFiles { server, kong: made.kong.clone(), proxy });
    }

    /// The cell uses a server from now on.
    pub(super) fn enter(&self, server: &Server) {
        if let Some(logs) = &self.logs {
            lock(logs).push((server.log().clone(), server.mark()));
        }
    }

    /// The server that the cell has begun to use last is going to be another cell's. Returns whether there was one.
    pub(super) fn leave(&self) -> bool {
        let last = self.logs.as_ref().and_then(|logs| lock(logs).pop());
        if let Some((log, mark)) = &last {
            self.note(|notes| notes.server_log.extend(log.since(*mark)));
        }
        last.is_some()
    }

    /// A listener to the next connection, if connections are recorded.
    pub(super) fn tap(&self) -> Option<Tap> {
        self.logs.as_ref()?;
        let mut notes = lock(&self.notes);
        let number = notes.connections.len();
        notes.connections.push(Recording::new());
        let notes = self.notes.clone();
        Some(Tap::new(move |traffic| {
            if let Some(connection) = lock(&notes).connections.get_mut(number) {
                connection.push((SystemTime::now(), traffic.into()));
            }
        }))
    }

    /// What has been noted; the notebook is empty afterwards.
    pub(super) fn notes(&self) -> Notes {
        while self.leave() {}
        std::mem::take(&mut *lock(&self.notes))
    }
}
