//! The machine's Docker engine behind a socket of our own, so that it can be lost without being harmed.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const ENGINE: &str = "/var/run/docker.sock";

/// A socket that leads to the engine until it is stopped.
pub(crate) struct Engine {
    socket: PathBuf,
    is_gone: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<UnixStream>>>,
}

impl Engine {
    pub(crate) fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket");
        let (is_gone, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (gone, all) = (is_gone.clone(), connections.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if gone.load(Ordering::SeqCst) {
                    break;
                }
                let engine = UnixStream::connect(ENGINE).expect("an engine");
                let clone = |stream: &UnixStream| stream.try_clone().expect("a socket");
                all.lock().expect("a lock").extend([clone(&client), clone(&engine)]);
                let pairs = [(clone(&client), clone(&engine)), (engine, client)];
                for (mut from, mut to) in pairs {
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { socket: socket.to_owned(), is_gone, connections }
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Ends all connections; there are no new ones.
    pub(crate) fn stop(self) {
        self.is_gone.store(true, Ordering::SeqCst);
        std::fs::remove_file(&self.socket).expect("the socket");
        for connection in self.connections.lock().expect("a lock").drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
