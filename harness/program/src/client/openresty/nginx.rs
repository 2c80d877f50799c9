//! One nginx for a run. Its TLS settings for cosockets are directives, so that each combination of them has a location
//! of its own, which a reload adds when it is needed. Only the latest ones are kept: a reload reads the trusted files of
//! all, and the system's takes 15 ms.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::channel::Channel;
use super::conf::{Surroundings, arguments};
use super::installed::Installed;
use super::program::Program;
use kong_pg_client::Refusal;
use kong_pg_client::Stage;

/// How long nginx may take to start, to take a configuration, or to stop.
const LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);
/// How many locations there are at most: a few for every cell that runs at once.
const LOCATIONS: usize = 4;

/// The directives of a combination of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directives {
    /// The content of the trusted file.
    pub(super) trusted: Option<Vec<u8>>,
    /// Empty where Kong makes nothing of it.
    pub(super) verify_depth: String,
    pub(super) protocols: String,
    pub(super) security_level: u32,
}

/// A combination of settings that nginx has loaded or is loading.
struct Location {
    number: u32,
    directives: Directives,
    /// The trusted file, if there is one.
    trusted: Option<PathBuf>,
}

/// Why an attempt does not start.
pub(super) enum StartFailure {
    /// Kong or nginx does not start, which is an outcome.
    Refused(Refusal),
    /// The client itself has failed.
    Failed(io::Error),
}

impl StartFailure {
    /// It has taken longer than this.
    pub(super) fn too_slow(limit: Duration) -> Self {
        Self::Failed(io::Error::new(io::ErrorKind::TimedOut, format!("not done after {} s", limit.as_secs())))
    }
}

impl From<io::Error> for StartFailure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A running nginx. It does not outlive this value, nor this process.
pub(super) struct Nginx {
    process: Program,
    surroundings: Surroundings,
    /// The latest last.
    locations: Vec<Location>,
    /// The number of locations so far; number 0 only shows that nginx runs.
    count: u32,
}

impl Nginx {
    /// Starts it.
    pub(super) async fn start(installed: &Installed, surroundings: &Surroundings) -> Result<Self, StartFailure> {
        let Surroundings { folder, .. } = surroundings;
        let (conf, log) = (folder.join("nginx.conf"), log_file(folder));
        std::fs::write(&conf, configuration(surroundings, &[]))?;
        // nginx ends when its standard input does.
        let process = installed.start(&installed.nginx, &arguments(&conf, folder, &log), &[], folder).await?;
        let mut nginx = Self { process, surroundings: surroundings.clone(), locations: Vec::new(), count: 0 };
        nginx.reach(0, 0).await?;
        Ok(nginx)
    }

    /// A channel to the driver in the location with these directives. `trusted` is the path of the trusted file, which
    /// nginx names in its errors.
    pub(super) async fn open(
        &mut self,
        directives: &Directives,
        trusted: Option<&Path>,
    ) -> Result<Channel, StartFailure> {
        let mark = end_of_log(&self.surroundings.folder);
        let known = self.locations.iter().position(|location| location.directives == *directives);
        let mut location = match known {
            Some(place) => self.locations.remove(place),
            None => self.add(directives, trusted)?,
        };
        let channel = self.reach(location.number, mark).await?;
        if let (None, Some(content)) = (known, &directives.trusted) {
            // Kong's own goes with its folder.
            let copy = self.surroundings.folder.join(format!("trusted-{}.pem", location.number));
            std::fs::write(&copy, content)?;
            location.trusted = Some(copy);
        }
        self.locations.push(location);
        Ok(channel)
    }

    /// Has nginx load a new location, in place of the one that has been unused for longest.
    fn add(&mut self, directives: &Directives, trusted: Option<&Path>) -> Result<Location, StartFailure> {
        let dropped = (self.locations.len() == LOCATIONS).then(|| self.locations.remove(0));
        if let Some(file) = dropped.and_then(|location| location.trusted) {
            std::fs::remove_file(file)?;
        }
        self.count += 1;
        let new = Location { number: self.count, directives: directives.clone(), trusted: trusted.map(Path::to_owned) };
        let all: Vec<_> = self.locations.iter().chain([&new]).collect();
        std::fs::write(self.surroundings.folder.join("nginx.conf"), configuration(&self.surroundings, &all))?;
        self.signal(Signal::HUP);
        Ok(new)
    }

    /// nginx's log lines about one of its connections, from a position in the log on.
    pub(super) fn logged(folder: &Path, from: u64, connection: &str) -> String {
        let about = format!(" *{connection} ");
        let lines = log_from(folder, from);
        lines.lines().filter(|line| line.contains(&about)).collect::<Vec<_>>().join("\n")
    }

    /// Waits until a location is there, or nginx has logged after a position why it will not be.
    async fn reach(&mut self, location: u32, mark: u64) -> Result<Channel, StartFailure> {
        let begun = Instant::now();
        loop {
            if let Some(channel) = self.try_reach(location).await {
                return Ok(channel);
            }
            let log = log_from(&self.surroundings.folder, mark);
            if let Some((_, why)) = log.lines().find_map(|line| line.split_once("[emerg] ")) {
                let why = why.split_once(": ").filter(|(process, _)| process.contains('#')).map_or(why, |(_, why)| why);
                // A fault of the configuration ends with its place in a file that is not Kong's.
                let why = why.rsplit_once(" in /").map_or(why, |(why, _)| why);
                return Err(StartFailure::Refused(Refusal::raised(Stage::Configure, why)));
            }
            if self.process.has_ended() {
                return Err(io::Error::other("nginx has ended").into());
            }
            if begun.elapsed() > LIMIT {
                let late = format!("nginx has no location {location} after {} s", LIMIT.as_secs());
                return Err(io::Error::other(late).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn try_reach(&self, location: u32) -> Option<Channel> {
        let mut stream = UnixStream::connect(self.surroundings.folder.join("socket")).await.ok()?;
        stream.write_all(format!("GET /{location} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
        let (reader, writer) = stream.into_split();
        let mut channel = Channel::new(reader, writer);
        (channel.line().await.ok()? == "ready").then_some(channel)
    }

    fn signal(&mut self, signal: Signal) {
        let pid = std::fs::read_to_string(self.surroundings.folder.join("nginx.pid"));
        let pid = pid.ok().and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
        // After its end, another process may have its id.
        if let (false, Some(pid)) = (self.process.has_ended(), pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Nginx {
    /// Ends it, and waits until it has ended.
    pub(super) async fn stop(mut self) {
        self.terminate();
        let _ = tokio::time::timeout(LIMIT, self.process.wait()).await;
    }

    fn terminate(&mut self) {
        // One that has just started may not have written its process id; it ends with its standard input.
        self.process.stdin = None;
        self.signal(Signal::TERM);
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.terminate();
    }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("nginx.log")
}

/// Where nginx's log ends.
pub(super) fn end_of_log(folder: &Path) -> u64 {
    std::fs::metadata(log_file(folder)).map_or(0, |data| data.len())
}

fn log_from(folder: &Path, from: u64) -> String {
    let log = std::fs::read(log_file(folder)).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or_default();
    String::from_utf8_lossy(log.get(from..).unwrap_or_default()).into_owned()
}

fn configuration(surroundings: &Surroundings, all: &[&Location]) -> String {
    let here = surroundings.folder.display();
    let mut locations = String::new();
    for Location { number, directives, trusted } in all {
        let Directives { verify_depth, protocols, security_level, .. } = directives;
        let _ = writeln!(locations, "    location = /{number} {{");
        if let Some(file) = trusted {
            let _ = writeln!(locations, "      lua_ssl_trusted_certificate \"{}\";", file.display());
        }
        let _ = writeln!(
            locations,
            "      lua_ssl_verify_depth {verify_depth};
      lua_ssl_protocols {protocols};
      lua_ssl_ciphers \"DEFAULT:@SECLEVEL={security_level}\";
      content_by_lua_block {{ require \"worker\".serve() }}
    }}"
        );
    }
    let http = format!(
        "  init_by_lua_block {{ require \"process\".leave_terminal() }}
  init_worker_by_lua_block {{ require \"worker\".begin() }}
  server {{
    listen unix:{here}/socket;
    location = /0 {{ content_by_lua_block {{ require \"worker\".serve() }} }}
{locations}  }}
"
    );
    surroundings.configuration("nginx", &http)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::signal::unix::{SignalKind, signal};

    use super::*;
    use crate::client::ClientOptions;
    use crate::client::openresty::OpenResty;
    use crate::runfolder::RunFolder;

    #[tokio::test]
    async fn a_worker_without_its_master_ends_and_signals_no_other_parent() {
        let run = Arc::new(RunFolder::create().expect("a folder"));
        let options = ClientOptions {
            run,
            traces: Arc::default(),
            kong_images: Vec::new(),
            may_build: false,
            pgmoon: Vec::new(),
            openresty_image: None,
            command: None,
        };
        let Ok(OpenResty { installed, surroundings, .. }) = OpenResty::find(&options).await else {
            return eprintln!("not run: nginx with Lua is not installed");
        };
        // Orphans become children of this process, as they do in the program.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("Linux");
        let mut signals = signal(SignalKind::terminate()).expect("a handler");
        let Ok(mut nginx) = Nginx::start(&installed, &surroundings).await else { panic!("nginx does not start") };
        nginx.signal(Signal::KILL);
        nginx.process.wait().await;
        drop(nginx);
        let reached = async { while UnixStream::connect(surroundings.folder.join("socket")).await.is_ok() {} };
        tokio::time::timeout(LIMIT, reached).await.expect("the worker ends");
        let signalled = tokio::time::timeout(Duration::from_millis(100), signals.recv()).await;
        assert!(signalled.is_err(), "the worker has signalled this process");
    }
}
