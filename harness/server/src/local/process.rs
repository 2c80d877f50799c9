//! The process of a server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::log::LogBook;

/// How long a server may take to stop before it is killed.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running postmaster. It ends with this value.
pub(super) struct Postmaster(Child);

impl Postmaster {
    /// Starts it. What it writes on its standard error goes to the log, which is closed when the process ends.
    pub(super) fn spawn(mut command: Command, log: &LogBook) -> std::io::Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let log = log.clone();
        log.open();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stderr);
                let mut line = Vec::new();
                while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                    log.append(String::from_utf8_lossy(&line).trim_end_matches('\n'));
                    line.clear();
                }
                log.close();
            });
        }
        Ok(Self(child))
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        // One that is stopped would not notice.
        self.signal(Signal::CONT);
        let deadline = Instant::now() + STOP_LIMIT;
        while let Ok(None) = self.0.try_wait() {
            if Instant::now() > deadline {
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Stops the servers that a process left running below the folder it gave to [`Local`](crate::Local). Returns how many
/// there were.
#[must_use]
pub fn stop_abandoned(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| {
        let data = entry.path().join("data");
        let file = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let pid: i32 = file.lines().next()?.parse().ok()?;
        // The number may be another process' by now.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&command).contains(&*data.to_string_lossy()).then_some(pid)
    });
    let stopped = pids.filter_map(Pid::from_raw).filter(|pid| kill_process(*pid, Signal::QUIT).is_ok()).count();
    if stopped > 0 {
        // An immediate shutdown takes milliseconds.
        std::thread::sleep(Duration::from_millis(300));
    }
    stopped
}
