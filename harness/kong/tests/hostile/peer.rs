//! A server for one connection, as a thread with a real socket, and an attempt to connect to it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kong_pg_client::conf::KongConf;
use kong_pg_client::{ConnectionRole, Kong, Refusal, Releases, Settings, Stack};

/// `pg_timeout`, in milliseconds.
const TIMEOUT: u64 = 500;
/// The limit of a caller: Kong's driver has none for the whole of an attempt.
const LIMIT: Duration = Duration::from_secs(3);
/// How long an attempt may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much a server sends at most that never stops by itself.
pub(crate) const FLOOD: usize = 128 << 20;

/// The client, as the server sees it.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    sent: usize,
}

impl Peer {
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.sent += bytes.len();
        Ok(())
    }

    /// Sends the same again and again.
    pub(crate) fn flood(&mut self, part: &[u8]) -> io::Result<()> {
        let parts = part.repeat((1 << 16) / part.len() + 1);
        while self.sent < FLOOD {
            self.send(&parts)?;
        }
        Ok(())
    }

    /// Takes what the client sends at once.
    pub(crate) fn take(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 1 << 14];
        let count = self.stream.read(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Answers the request for TLS.
    pub(crate) fn answer(&mut self, answer: &[u8]) -> io::Result<()> {
        self.stream.read_exact(&mut [0; 8])?;
        self.send(answer)
    }

    /// Answers that there is no TLS, and takes the startup message.
    pub(crate) fn refuse_tls(&mut self) -> io::Result<()> {
        self.answer(b"N")?;
        self.take().map(drop)
    }

    /// Waits until the client is gone.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        while !self.take()?.is_empty() {}
        Ok(())
    }
}

/// How an attempt ended.
pub(crate) struct End {
    /// Why, unless it was its caller who gave up.
    pub(crate) refusal: Option<Refusal>,
    /// How many bytes the server could send: an upper bound of what the client has kept.
    pub(crate) sent: usize,
}

/// Connects to a server on a stack, with more in kong.conf.
pub(crate) fn attempt(
    stack: Stack,
    more: &str,
    serve: impl FnOnce(&mut Peer) -> io::Result<()> + Send + 'static,
) -> End {
    let (port, server) = start(serve);
    let prefix = tempfile::tempdir().expect("a folder");
    let conf = KongConf::read(&format!("pg_ssl = on\npg_password = kong\npg_timeout = {TIMEOUT}\n{more}"));
    let (release, at) = (Releases::built_in().newest(), ("127.0.0.1", port));
    let settings = Settings::read(&conf, &release, ConnectionRole::Main, at, prefix.path().into()).expect("settings");
    let kong = Kong::start(settings, release, stack).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let ended = runtime.block_on(async { tokio::time::timeout(LIMIT, kong.connect()).await });
    assert!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
    let refusal = ended.ok().map(|attempt| attempt.result.err().expect("a server that lets nobody in"));
    drop(runtime);
    End { refusal, sent: server.join().expect("the server") }
}

/// The server: its port, and its thread, which returns how many bytes it could send.
fn start(serve: impl FnOnce(&mut Peer) -> io::Result<()> + Send + 'static) -> (u16, JoinHandle<usize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_nodelay(true).expect("no delay");
        let mut peer = Peer { stream, sent: 0 };
        // The client may leave at any time.
        let _ = serve(&mut peer);
        peer.sent
    });
    (port, thread)
}
