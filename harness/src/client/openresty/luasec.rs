//! LuaSec in processes that stay for the next attempt. It may wait without end, and is killed then.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::{Child, Command};

use super::channel::Channel;
use crate::client::translate;

/// The processes that have nothing to do.
pub(super) struct Workers {
    luajit: PathBuf,
    folder: PathBuf,
    idle: Mutex<Vec<Worker>>,
}

/// A process with LuaSec in it. It ends with this value.
pub(super) struct Worker {
    pub(super) channel: Channel,
    security_level: u32,
    process: Box<Child>,
}

impl Worker {
    /// Ends the process, and with it its connection.
    pub(super) async fn end(mut self) {
        // It is killed when it is dropped, in any case.
        let _ = self.process.kill().await;
    }
}

const MAIN: &str = r#"
local process = require "process"
process.leave_terminal()
process.leave_standard_input()
process.read_like_kong()
local harness = io.open("/proc/self/fd/" .. process.harness)
io.stdout:setvbuf "full"
require "serve" (require "luasec", {
    read = function() return harness:read "*l" end,
    write = function(text) return io.write(text) and io.flush() end,
})
"#;

impl Workers {
    pub(super) fn new(luajit: PathBuf, folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { luajit, folder, idle: Mutex::default() })
    }

    /// One that has nothing to do, or a new one.
    pub(super) fn take(&self, security_level: u32) -> io::Result<Worker> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match idle.iter().position(|worker| worker.security_level == security_level) {
            Some(place) => Ok(idle.swap_remove(place)),
            None => self.start(security_level),
        }
    }

    pub(super) fn put_back(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    fn start(&self, security_level: u32) -> io::Result<Worker> {
        // Kong's OpenSSL has its level by default; LuaSec loads certificates before it could be told one.
        let conf = self.folder.join(format!("openssl-{security_level}.cnf"));
        std::fs::write(&conf, translate::openssl_conf(security_level))?;
        let mut command = Command::new(&self.luajit);
        command.args(["-e", MAIN]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.env_clear().env("LC_ALL", "C").env("OPENSSL_CONF", conf);
        command.env("LUA_PATH", format!("{}/?.lua;;", self.folder.display()));
        let mut process = command.kill_on_drop(true).spawn()?;
        let pipes = process.stdout.take().zip(process.stdin.take());
        let (stdout, stdin) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Worker { channel: Channel::new(stdout, stdin), security_level, process: Box::new(process) })
    }
}
