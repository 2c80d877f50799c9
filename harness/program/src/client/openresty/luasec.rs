//! LuaSec in processes that are kept for the next attempt. One that waits without end is killed.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::channel::Channel;
use super::installed::Installed;
use super::program::Program;
use crate::client::translate;

/// How long a process may take to close its Lua VM.
const LIMIT: Duration = Duration::from_secs(5);

/// The idle processes.
pub(super) struct Workers {
    installed: Arc<Installed>,
    folder: PathBuf,
    idle: Mutex<Vec<Worker>>,
}

/// A process with LuaSec in it. It ends with this value.
pub(super) struct Worker {
    pub(super) channel: Channel,
    security_level: u32,
    /// The process itself, or the program that started it in its container.
    process: Program,
    pid: Option<Pid>,
}

impl Worker {
    /// Ends the process by closing its Lua VM, in which LuaSec's destructor shuts TLS down.
    pub(super) async fn close_vm(mut self) {
        // There is no answer: the channel ends with the process.
        let _ = self.channel.ask("end", &[]).await;
        let _ = tokio::time::timeout(LIMIT, self.process.wait()).await;
    }

    /// Kills the process; the operating system ends its connection.
    pub(super) async fn kill(mut self) {
        self.send_kill();
        // Dropping it would not wait for it.
        self.process.wait().await;
    }

    fn send_kill(&mut self) {
        // After its end, another process may have its id.
        if let (false, Some(pid)) = (self.process.has_ended(), self.pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.send_kill();
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

    /// An idle process, or a new one.
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
        // Kong's OpenSSL has its level by default; LuaSec loads certificates before a level could be set.
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
