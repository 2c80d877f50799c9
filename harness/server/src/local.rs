//! Servers as processes of the installed binaries, never as root, each with a data directory of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::{Client, Config, NoTls};

use super::config::{File, INITDB};
use super::log::LogBook;
use super::runtime::{Host, Offer, Runtime, RuntimeError, RuntimeKind};
use crate::Major;
use crate::Owner;

/// How long a server may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const INITDB_LIMIT: Duration = Duration::from_secs(60);

/// The installed PostgreSQL versions.
pub struct Local {
    installed: BTreeMap<Major, PathBuf>,
    /// Everything that its servers write is below it.
    folder: PathBuf,
    user: DatabaseUser,
    /// One initialised data directory for each major, copied for every server.
    templates: tokio::sync::Mutex<BTreeMap<Major, PathBuf>>,
    count: AtomicUsize,
}

/// Who the servers run as: ourselves, or, since PostgreSQL refuses to run as root, a user without rights.
#[derive(Debug, Clone, Copy)]
struct DatabaseUser {
    uid: u32,
    gid: u32,
    is_root: bool,
}

impl DatabaseUser {
    fn find() -> Result<Self, RuntimeError> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 {
            return Ok(Self { uid, gid, is_root: false });
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let find = |wanted: &str| {
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|fields| match fields[..] {
                [name, _, uid, gid, ..] if name == wanted => Some((uid.parse().ok()?, gid.parse().ok()?)),
                _ => None,
            })
        };
        let (uid, gid) = ["postgres", "nobody"].into_iter().find_map(find).ok_or_else(|| {
            RuntimeError::Unavailable("PostgreSQL does not run as root, and there is no user postgres or nobody".into())
        })?;
        Ok(Self { uid, gid, is_root: true })
    }

    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // Nothing of the caller's PostgreSQL or OpenSSL settings may leak into the servers.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
        if self.is_root {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    fn own(self, path: &Path) -> std::io::Result<()> {
        if self.is_root { chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }
}

impl Local {
    /// Looks for installed versions: in `PGBIN`, in the usual folders, and on the `PATH`.
    pub fn find(folder: &Path) -> Result<Self, RuntimeError> {
        let mut installed = BTreeMap::new();
        for binaries in folders_of_binaries() {
            if let Some(major) = version_of(&binaries) {
                installed.entry(major).or_insert(binaries);
            }
        }
        if installed.is_empty() {
            let install =
                "install Debian's package postgresql, or set PGBIN to the folder that has initdb and postgres";
            return Err(RuntimeError::Unavailable(format!("no PostgreSQL is installed here; {install}")));
        }
        let user = DatabaseUser::find()?;
        Ok(Self {
            installed,
            folder: folder.to_owned(),
            user,
            templates: tokio::sync::Mutex::default(),
            count: AtomicUsize::new(0),
        })
    }

    async fn template(&self, major: Major, bin: &Path) -> Result<PathBuf, RuntimeError> {
        let mut templates = self.templates.lock().await;
        if let Some(template) = templates.get(&major) {
            return Ok(template.clone());
        }
        let template = self.folder(&format!("template-{major}"))?;
        let mut initdb = self.user.command(&bin.join("initdb"));
        initdb.args(INITDB).args(["--auth=trust", "--pgdata"]).arg(&template);
        let mut initdb = tokio::process::Command::from(initdb);
        let running = initdb.kill_on_drop(true).output();
        let doing = "make a data directory with initdb";
        let output = tokio::time::timeout(INITDB_LIMIT, running).await;
        let output = output.map_err(|_| RuntimeError::timeout(doing, INITDB_LIMIT))?;
        let output = output.map_err(|error| RuntimeError::failed(doing, error))?;
        if !output.status.success() {
            return Err(RuntimeError::failed(doing, String::from_utf8_lossy(&output.stderr).trim()));
        }
        templates.insert(major, template.clone());
        Ok(template)
    }

    /// A new folder of the database user's.
    fn folder(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        let make = || {
            let path = self.folder.join(name);
            std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            self.user.own(&path)?;
            Ok(path)
        };
        make().map_err(|error: std::io::Error| RuntimeError::failed("make a folder for a server", error))
    }
}

#[async_trait]
impl Runtime for Local {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Local
    }

    fn offers(&self) -> Vec<Offer> {
        let offer = |(major, folder): (&Major, &PathBuf)| Offer { major: *major, source: folder.display().to_string() };
        self.installed.iter().map(offer).collect()
    }

    async fn host(&self, major: Major) -> Result<Box<dyn Host>, RuntimeError> {
        let known = self.installed.get(&major);
        let bin =
            known.ok_or_else(|| RuntimeError::Unavailable(format!("PostgreSQL {major} is not installed here")))?;
        let template = self.template(major, bin).await?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder(&format!("pg{major}-{number}"))?;
        let (data, user) = (folder.join("data"), self.user);
        let copy = data.clone();
        let copying = tokio::task::spawn_blocking(move || copy_tree(&template, &copy, user));
        copying
            .await
            .map_err(|error| RuntimeError::failed("copy a data directory", error))?
            .map_err(|error| RuntimeError::failed("copy a data directory", error))?;
        Ok(Box::new(LocalHost {
            bin: bin.clone(),
            folder,
            data,
            user,
            port: 0,
            process: None,
            log: LogBook::default(),
        }))
    }
}

/// Where PostgreSQL's programs may be: in `PGBIN`, in the usual folders, and on the `PATH`.
pub fn folders_of_binaries() -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::env::var_os("PGBIN").map(PathBuf::from).into_iter().collect();
    let families = ["/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt", "/usr/local/opt"];
    for family in families.map(Path::new) {
        let entries = std::fs::read_dir(family).into_iter().flatten().filter_map(Result::ok);
        let mut versions: Vec<_> = entries.map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        folders.push(family.join("bin"));
        folders.extend(versions);
    }
    folders.extend((10..30).map(|major| PathBuf::from(format!("/usr/pgsql-{major}/bin"))));
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders
}

/// The major version of the server in a folder, if there is all that it takes.
fn version_of(folder: &Path) -> Option<Major> {
    if !folder.join("initdb").exists() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    // `postgres (PostgreSQL) 15.18 (Debian ...)`
    let said = String::from_utf8(output.stdout).ok()?;
    said.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
}

fn copy_tree(from: &Path, to: &Path, user: DatabaseUser) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o700))?;
    user.own(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, user)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
            user.own(&target)?;
        }
    }
    Ok(())
}

struct LocalHost {
    bin: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    user: DatabaseUser,
    port: u16,
    process: Option<Postmaster>,
    log: LogBook,
}

#[async_trait]
impl Host for LocalHost {
    fn conf(&self) -> Vec<(&'static str, String)> {
        vec![
            ("listen_addresses", "127.0.0.1".into()),
            ("unix_socket_directories", self.folder.display().to_string()),
            ("unix_socket_permissions", "0700".into()),
        ]
    }

    fn hba(&self) -> String {
        "local postgres postgres trust".into()
    }

    fn can_own(&self, owner: Owner) -> Result<(), String> {
        match owner {
            Owner::DatabaseUser => Ok(()),
            Owner::Root | Owner::Other if self.user.is_root => Ok(()),
            Owner::Root | Owner::Other => {
                Err("only root can give files away; run it as root, or with --runtime docker".into())
            }
        }
    }

    async fn install(&mut self, files: &BTreeMap<String, File>, remove: &[String]) -> Result<(), RuntimeError> {
        let write = || -> std::io::Result<()> {
            for name in remove.iter().filter(|name| !files.contains_key(*name)) {
                let _ = std::fs::remove_file(self.data.join(name));
            }
            files.iter().try_for_each(|(name, file)| self.write(name, file))
        };
        write().map_err(|error| RuntimeError::failed("write the server's files", error))
    }

    fn log(&self) -> &LogBook {
        &self.log
    }

    async fn start(&mut self) -> Result<usize, RuntimeError> {
        let starting = |error: std::io::Error| RuntimeError::failed("start PostgreSQL", error);
        // A server that is started again keeps its port, if nobody has taken it since. A new one that was free a moment
        // ago may be taken as well when the server asks for it.
        for attempt in 0..5 {
            if self.port == 0 || attempt > 0 {
                self.port = super::free_port().map_err(starting)?;
            }
            let mark = self.log.mark();
            let mut command = self.user.command(&self.bin.join("postgres"));
            command.arg("-D").arg(&self.data).arg("-p").arg(self.port.to_string());
            self.process = Some(Postmaster::spawn(command, &self.log).map_err(starting)?);
            let limit = Duration::from_secs(30);
            let bound = self.log.wait(mark, limit, |lines, open| {
                let taken = lines.iter().any(|line| line.text.contains("could not create any TCP/IP sockets"));
                let listening = lines.iter().any(|line| line.text.contains("listening on Unix socket"));
                if listening { Some(true) } else { (!open).then_some(!taken) }
            });
            if bound.await.ok_or_else(|| RuntimeError::timeout("start PostgreSQL", limit))? {
                return Ok(mark);
            }
        }
        Err(RuntimeError::failed("start PostgreSQL", "every port it was given was taken by somebody else"))
    }

    async fn stop(&mut self) -> Result<(), RuntimeError> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.signal(Signal::INT);
        let ended = self.log.wait(self.log.mark(), STOP_LIMIT, |_, open| (!open).then_some(())).await;
        self.process = None;
        ended.ok_or_else(|| RuntimeError::timeout("stop PostgreSQL", STOP_LIMIT))
    }

    fn address(&self) -> (String, u16) {
        ("127.0.0.1".into(), self.port)
    }

    async fn control(&self) -> Result<Client, RuntimeError> {
        let mut config = Config::new();
        config.host_path(&self.folder).port(self.port).user("postgres").dbname("postgres");
        let failed = |error: tokio_postgres::Error| RuntimeError::failed("reach the server's socket", error);
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn data_directory(&self) -> String {
        self.data.display().to_string()
    }
}

impl LocalHost {
    fn write(&self, name: &str, file: &File) -> std::io::Result<()> {
        let path = self.data.join(name);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            std::fs::create_dir_all(folder)?;
            self.user.own(folder)?;
        }
        // A new file each time: the old one may belong to somebody else.
        let _ = std::fs::remove_file(&path);
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
        std::io::Write::write_all(&mut options.open(&path)?, &file.content)?;
        if self.user.is_root {
            let id = |owner: Owner, ours| owner.number().unwrap_or(ours);
            chown(&path, Some(id(file.owner, self.user.uid)), Some(id(file.group, self.user.gid)))?;
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(file.mode))
    }
}

/// A running postmaster. It does not outlive this value.
struct Postmaster(Child);

impl Postmaster {
    fn spawn(mut command: Command, log: &LogBook) -> std::io::Result<Self> {
        // A group of its own: Ctrl-C is for us, and we stop the servers in order.
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped());
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

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
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

/// Stops the servers of a run that ended without doing so. Returns how many there were.
#[must_use]
pub fn stop_abandoned(run: &Path) -> usize {
    let entries = std::fs::read_dir(run).into_iter().flatten().filter_map(Result::ok);
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
        // Immediate shutdown is a matter of milliseconds.
        std::thread::sleep(Duration::from_millis(300));
    }
    stopped
}
