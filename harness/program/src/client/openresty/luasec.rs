//! LuaSec where Kong uses it: in an nginx that starts and never gets further, one process for each attempt at a time. They
//! are kept for the next attempt; one that waits without end is killed.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::channel::Channel;
use super::conf::{Surroundings, arguments};
use super::installed::Installed;
use super::program::Program;
use crate::client::{ClientOptions, translate};
use crate::leaks::{Trace, Traces};
use crate::runfolder::RunFolder;

/// How long a process may take to close its Lua VM.
const LIMIT: Duration = Duration::from_secs(5);

/// The idle processes.
pub(super) struct Workers {
    installed: Arc<Installed>,
    surroundings: Surroundings,
    run: Arc<RunFolder>,
    traces: Arc<Traces>,
    idle: Mutex<Vec<Worker>>,
}

/// A process with LuaSec in it. It ends with this value.
pub(super) struct Worker {
    pub(super) channel: Channel,
    security_level: u32,
    trace: Trace,
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
os.exit(true, true)
"#;

impl Workers {
    pub(super) fn new(installed: Arc<Installed>, surroundings: Surroundings, needs: &ClientOptions) -> Arc<Self> {
        let (run, traces) = (needs.run.clone(), needs.traces.clone());
        Arc::new(Self { installed, surroundings, run, traces, idle: Mutex::default() })
    }

    /// An idle process for a cell, or a new one.
    pub(super) async fn take(&self, cell: &str, security_level: u32) -> io::Result<Worker> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = idle.iter().position(|worker| worker.security_level == security_level);
            fits.map(|place| idle.swap_remove(place))
        };
        if let Some(worker) = idle {
            self.traces.uses(cell, worker.trace.now(None));
            return Ok(worker);
        }
        let worker = self.start(security_level).await?;
        self.traces.uses(cell, worker.trace.alone(worker.pid.map_or(0, Pid::as_raw_pid)));
        Ok(worker)
    }

    pub(super) fn put_back(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    async fn start(&self, security_level: u32) -> io::Result<Worker> {
        let Surroundings { folder, .. } = &self.surroundings;
        // Kong's OpenSSL has its level by default; LuaSec loads certificates before a level could be set.
        let openssl = folder.join(format!("openssl-{security_level}.cnf"));
        write_whole(&openssl, &translate::openssl_conf(security_level))?;
        let conf = folder.join("luasec.conf");
        write_whole(&conf, &self.surroundings.in_init("luasec", MAIN))?;
        let log = self.surroundings.log("luasec");
        let arguments = arguments(&conf, folder, &log);
        let trace = Trace::new(&self.run)?;
        let (variable, own) = trace.environment();
        let environment = [("OPENSSL_CONF", openssl.display().to_string()), (variable, own.display().to_string())];
        let mut process = self.installed.start(&self.installed.nginx, &arguments, &environment, folder).await?;
        let pipes = process.stdout.take().zip(process.stdin.take());
        let (stdout, stdin) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let mut channel = Channel::new(stdout, stdin);
        let pid = channel.line().await?.parse().ok().and_then(Pid::from_raw);
        Ok(Worker { channel, security_level, trace, process, pid })
    }
}

/// Writes a file that another process may be reading.
fn write_whole(path: &Path, content: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(content.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
