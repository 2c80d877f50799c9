//! A runtime without PostgreSQL, for unit tests: each host logs connections as a postmaster does, and answers the
//! queries of the superuser's session.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Config, NoTls};

use crate::config::{Configuration, File};
use crate::error::{OwnerUnavailable, RuntimeError};
use crate::log::LogBook;
use crate::marker;
use crate::runtime::{Host, Runtime};
use crate::words::{ApplyMode, Major, Offer, Owner, RuntimeKind};

/// A server that finds this file does not start.
pub(crate) const FATAL: &str = "fatal";
/// A server that finds this file when it reloads keeps a part of the previous configuration.
pub(crate) const BROKEN: &str = "broken";
/// A server that is to reload with this file has accepted a connection just before.
pub(crate) const EARLY: &str = "early";

/// A configuration with these files and a pg_hba.conf of its own.
pub(crate) fn configuration(hba: &str, by: ApplyMode, files: &[&str]) -> Configuration {
    let files = files.iter().map(|name| ((*name).to_owned(), File::of_database_user(""))).collect();
    Configuration { hba: vec![hba.to_owned()], files, by, ..Configuration::default() }
}

/// Makes hosts, and counts them.
pub(crate) struct FakeRuntime {
    pub(crate) majors: Vec<Major>,
    pub(crate) runtime: RuntimeKind,
    pub(crate) hosts: AtomicUsize,
    pub(crate) dropped: Arc<AtomicUsize>,
    /// What the superuser's sessions have been asked.
    pub(crate) queries: Arc<Mutex<Vec<String>>>,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        let (majors, runtime) = (vec![Major(17)], RuntimeKind::Local);
        Self { majors, runtime, hosts: AtomicUsize::default(), dropped: Arc::default(), queries: Arc::default() }
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn offers(&self) -> Vec<Offer> {
        let offer = |major: &Major| Offer { major: *major, runtime: self.runtime, source: "fake".into() };
        self.majors.iter().map(offer).collect()
    }

    async fn host(&self, _: Major) -> Result<Box<dyn Host>, RuntimeError> {
        self.hosts.fetch_add(1, Ordering::SeqCst);
        let state = State {
            log: LogBook::default(),
            queries: self.queries.clone(),
            files: Mutex::default(),
            pids: AtomicI32::new(100),
        };
        Ok(Box::new(FakeHost { state: Arc::new(state), port: 0, listening: None, dropped: self.dropped.clone() }))
    }
}

fn forked(pid: i32) -> String {
    format!("[1] DEBUG:  forked new backend, pid={pid} socket=9")
}

fn exited(pid: i32) -> String {
    format!("[1] DEBUG:  server process (PID {pid}) exited with exit code 0")
}

struct State {
    log: LogBook,
    queries: Arc<Mutex<Vec<String>>>,
    files: Mutex<BTreeMap<String, File>>,
    pids: AtomicI32,
}

impl State {
    fn next_pid(&self) -> i32 {
        self.pids.fetch_add(1, Ordering::SeqCst)
    }

    fn begin(&self) -> i32 {
        let pid = self.next_pid();
        self.log.append(&forked(pid));
        pid
    }

    fn end(&self, pid: i32) {
        self.log.append(&exited(pid));
    }

    fn has_file(&self, name: &str) -> bool {
        self.files.lock().expect("no panic").contains_key(name)
    }

    async fn serve(&self, mut connection: TcpStream) {
        let pid = self.begin();
        self.log.append(&format!("[{pid}] LOG:  connection received: host=127.0.0.1 port=1"));
        let mut packet = [0; 8];
        if connection.read_exact(&mut packet).await.is_ok() && packet == marker::STARTUP_PACKET {
            let message = "FATAL:  unsupported frontend protocol 9.20817: server supports 3.0 to 3.0";
            self.log.append(&format!("[{pid}] {message}"));
        }
        self.end(pid);
    }

    /// The columns of the answer to a query.
    fn answer(&self, pid: i32, query: &str) -> Vec<String> {
        self.queries.lock().expect("no panic").push(query.to_owned());
        if query.contains("pg_reload_conf") {
            let (log, early, is_broken) =
                (self.log.clone(), self.has_file(EARLY).then(|| self.next_pid()), self.has_file(BROKEN));
            // It is read later than the answers are.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if let Some(pid) = early {
                    log.append(&forked(pid));
                    log.append(&exited(pid));
                }
                log.append("[1] LOG:  received SIGHUP, reloading configuration files");
                if is_broken {
                    log.append("[1] LOG:  SSL configuration was not reloaded");
                }
            });
        }
        match query {
            "SHOW server_version" => vec!["17.2 (Fake 1)".into()],
            "SHOW ssl_library" => vec!["OpenSSL".into()],
            query if query.contains("pg_backend_pid") => vec![pid.to_string()],
            query if query.contains("openssl") => vec!["OpenSSL 3.5.9 1 Jan 2026".into()],
            query if query.starts_with("EXECUTE proof") => {
                vec!["t".into(), "TLSv1.3".into(), "X".into(), String::new()]
            }
            _ => vec![String::new()],
        }
    }

    /// Speaks the server's side of the protocol: <https://www.postgresql.org/docs/17/protocol-message-formats.html>.
    async fn converse(&self, mut stream: DuplexStream, pid: i32) -> std::io::Result<()> {
        const READY: &[u8] = b"Z\0\0\0\x05I";
        let length = stream.read_u32().await?;
        stream.read_exact(&mut vec![0; length as usize - 4]).await?;
        stream.write_all(b"R\0\0\0\x08\0\0\0\0").await?;
        stream.write_all(READY).await?;
        while stream.read_u8().await? == b'Q' {
            let length = stream.read_u32().await?;
            let mut query = vec![0; length as usize - 4];
            stream.read_exact(&mut query).await?;
            let answer = self.answer(pid, String::from_utf8_lossy(&query).trim_end_matches('\0'));
            let count = u16::try_from(answer.len()).expect("few columns").to_be_bytes();
            let (mut columns, mut values) = (count.to_vec(), count.to_vec());
            for value in answer {
                columns.extend(b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
                values.extend(u32::try_from(value.len()).expect("a short text").to_be_bytes());
                values.extend(value.bytes());
            }
            for (kind, body) in [(b'T', columns), (b'D', values), (b'C', b"SELECT 1\0".to_vec())] {
                stream.write_u8(kind).await?;
                stream.write_u32(u32::try_from(body.len()).expect("a short message") + 4).await?;
                stream.write_all(&body).await?;
            }
            stream.write_all(READY).await?;
        }
        Ok(())
    }
}

struct FakeHost {
    state: Arc<State>,
    port: u16,
    listening: Option<AbortHandle>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Host for FakeHost {
    fn conf(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn hba(&self) -> String {
        "local all all trust".into()
    }

    fn can_own(&self, owner: Owner) -> Result<(), OwnerUnavailable> {
        if owner == Owner::Root { Err(OwnerUnavailable { owner }) } else { Ok(()) }
    }

    async fn install(
        &mut self,
        _: &BTreeMap<String, File>,
        files: &BTreeMap<String, File>,
    ) -> Result<(), RuntimeError> {
        self.state.files.lock().expect("no panic").clone_from(files);
        Ok(())
    }

    fn log(&self) -> &LogBook {
        &self.state.log
    }

    async fn start(&mut self) -> Result<usize, RuntimeError> {
        let mark = self.state.log.mark();
        self.state.log.open();
        if self.state.has_file(FATAL) {
            self.state.log.append("[1] FATAL:  could not load server certificate file");
            self.state.log.close();
            return Ok(mark);
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(RuntimeError::failing("listen"))?;
        self.port = listener.local_addr().map_err(RuntimeError::failing("listen"))?.port();
        let state = self.state.clone();
        let listening = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move { state.serve(connection).await });
            }
        });
        self.listening = Some(listening.abort_handle());
        self.state.log.append("[1] LOG:  database system is ready to accept connections");
        Ok(mark)
    }

    async fn stop(&mut self) -> Result<(), RuntimeError> {
        self.listening.take().inspect(AbortHandle::abort);
        self.state.log.close();
        Ok(())
    }

    fn address(&self) -> (String, u16) {
        ("127.0.0.1".into(), self.port)
    }

    async fn control(&self) -> Result<Client, RuntimeError> {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (state, pid) = (self.state.clone(), self.state.begin());
        tokio::spawn(async move {
            let _ = state.converse(theirs, pid).await;
            state.end(pid);
        });
        let mut config = Config::new();
        let connected = config.user("postgres").connect_raw(ours, NoTls).await;
        let (client, connection) = connected.map_err(RuntimeError::failing("connect"))?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn data_directory(&self) -> String {
        "/data".into()
    }
}
