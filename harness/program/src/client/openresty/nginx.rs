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

impl From<io::Error> for StartFailure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A running nginx. It does not outlive this value, nor this process.
pub(super) struct Nginx {
    process: Program,
    folder: PathBuf,
    modules: PathBuf,
    /// The latest last.
    locations: Vec<Location>,
    /// The number of locations so far; number 0 only shows that nginx runs.
    count: u32,
}

impl Nginx {
    /// Starts it in a folder that has the Lua files.
    pub(super) async fn start(installed: &Installed, folder: &Path) -> Result<Self, StartFailure> {
        let modules = &installed.modules;
        let conf = folder.join("nginx.conf");
        std::fs::write(&conf, configuration(folder, modules, &[]))?;
        let log = folder.join("error.log");
        let arguments =
            ["-c".as_ref(), conf.as_os_str(), "-p".as_ref(), folder.as_os_str(), "-e".as_ref(), log.as_ref()];
        // nginx ends when its standard input does.
        let process = installed.start(&installed.nginx, &arguments, &[], folder).await?;
        let (folder, modules) = (folder.to_owned(), modules.to_owned());
        let mut nginx = Self { process, folder, modules, locations: Vec::new(), count: 0 };
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
        let mark = end_of_log(&self.folder);
        let known = self.locations.iter().position(|location| location.directives == *directives);
        let mut location = match known {
            Some(place) => self.locations.remove(place),
            None => self.add(directives, trusted)?,
        };
        let channel = self.reach(location.number, mark).await?;
        if let (None, Some(content)) = (known, &directives.trusted) {
            // Kong's own goes with its folder.
            let copy = self.folder.join(format!("trusted-{}.pem", location.number));
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
        std::fs::write(self.folder.join("nginx.conf"), configuration(&self.folder, &self.modules, &all))?;
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
            let log = log_from(&self.folder, mark);
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
        let mut stream = UnixStream::connect(self.folder.join("socket")).await.ok()?;
        stream.write_all(format!("GET /{location} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
        let (reader, writer) = stream.into_split();
        let mut channel = Channel::new(reader, writer);
        (channel.line().await.ok()? == "ready").then_some(channel)
    }

    fn signal(&mut self, signal: Signal) {
        let pid = std::fs::read_to_string(self.folder.join("nginx.pid"));
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

/// Where nginx's log ends.
pub(super) fn end_of_log(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("error.log")).map_or(0, |data| data.len())
}

fn log_from(folder: &Path, from: u64) -> String {
    let log = std::fs::read(folder.join("error.log")).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or_default();
    String::from_utf8_lossy(log.get(from..).unwrap_or_default()).into_owned()
}

fn configuration(folder: &Path, modules: &Path, all: &[&Location]) -> String {
    let (here, modules) = (folder.display(), modules.display());
    // Kong's files belong to the user who runs the harness.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {here}/temporary;\n"))
        .concat();
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
    format!(
        "daemon off;
{user}worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/error.log info;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{ worker_connections 512; }}
http {{
  access_log off;
  log_not_found off;
{temporary}  lua_package_path \"{here}/?.lua;;\";
  init_by_lua_block {{ require \"process\".leave_terminal() }}
  init_worker_by_lua_block {{ require \"worker\".begin() }}
  server {{
    listen unix:{here}/socket;
    location = /0 {{ content_by_lua_block {{ require \"worker\".serve() }} }}
{locations}  }}
}}
"
    )
}
