//! LuaSec in processes that stay for the next attempt. It may wait without end, and is killed then.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use super::channel::Channel;
use super::installed::Installed;
use super::program::Program;
use crate::client::translate;

/// The processes that have nothing to do.
pub(super) struct Workers {
    installed: Arc<Installed>,
    folder: PathBuf,
    idle: Mutex<Vec<Worker>>,
}

/// A process with LuaSec in it. It ends with this value.
pub(super) struct Worker {
    pub(super) channel: Channel,
    security_level: u32,
    process: Program,
    pid: Option<Pid>,
}

impl Worker {
    /// Ends the process, and with it its connection.
    pub(super) async fn end(mut self) {
        self.kill();
        // Dropping it does not wait for it.
        self.process.wait().await;
    }

    fn kill(&mut self) {
        if let (false, Some(pid)) = (self.process.has_ended(), self.pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

const MAIN: &str = r#"
local process = require "process"
io.write(process.id(), "\n")
io.flush()
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
    pub(super) fn new(installed: Arc<Installed>, folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { installed, folder, idle: Mutex::default() })
    }

    /// One that has nothing to do, or a new one.
    pub(super) async fn take(&self, security_level: u32) -> io::Result<Worker> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = idle.iter().position(|worker| worker.security_level == security_level);
            fits.map(|place| idle.swap_remove(place))
        };
        match idle {
            Some(worker) => Ok(worker),
            None => self.start(security_level).await,
        }
    }

    pub(super) fn put_back(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    async fn start(&self, security_level: u32) -> io::Result<Worker> {
        // Kong's OpenSSL has its level by default; LuaSec loads certificates before it could be told one.
        let conf = self.folder.join(format!("openssl-{security_level}.cnf"));
        std::fs::write(&conf, translate::openssl_conf(security_level))?;
        let lua = format!("{}/?.lua;;", self.folder.display());
        let environment = [("OPENSSL_CONF", conf.display().to_string()), ("LUA_PATH", lua)];
        let arguments = ["-e", MAIN].map(OsStr::new);
        let mut process = self.installed.start(&self.installed.luajit, &arguments, &environment, &self.folder).await?;
        let pipes = process.stdout.take().zip(process.stdin.take());
        let (stdout, stdin) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let mut channel = Channel::new(stdout, stdin);
        let pid = channel.line().await?.parse().ok().and_then(Pid::from_raw);
        Ok(Worker { channel, security_level, process, pid })
    }
}
