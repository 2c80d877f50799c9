//! Kong's own TLS stacks: a cosocket in nginx, and LuaSec, driven by Lua that does what Kong's driver does, or by checkouts
//! of that driver.
//!
//! The code shares nothing with the emulated client, so that an agreement of the two is one of independent programs.

mod channel;
mod conf;
mod installed;
mod luasec;
mod nginx;
mod pgmoon;
mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rust_embed::Embed;
use tokio::sync::Mutex;

use self::channel::{Answer, Channel, alert};
use self::conf::Surroundings;
use self::installed::Installed;
use self::luasec::{Worker, Workers};
use self::nginx::{Directives, Nginx, StartFailure};
use self::pgmoon::Checkouts;
use super::{Attempt, Client, ClientError, ClientOptions, Established, Open, Repeater, Task, Tuning, Unavailable};
use kong_pg_client::Stage;
use kong_pg_client::{
    Edition, ErrorDelivery, Profile, Refusal, Stack, combine, offered_on_a_cosocket, terms, unwritten,
};

/// How long its programs may take to start, or to read another configuration.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The Lua modules that pgmoon needs besides those that are in checkouts: of luaossl and Penlight.
const PGMOON_NEEDS: [&str; 2] = ["openssl.x509", "pl.file"];

/// The driver, its sockets, and what surrounds them.
#[derive(Embed)]
#[folder = "harness/program/src/client/openresty/lua"]
struct Lua;

/// Kong's own stacks, started on first use.
pub(super) struct OpenResty {
    installed: Arc<Installed>,
    surroundings: Surroundings,
    nginx: Mutex<Option<Nginx>>,
    workers: Arc<Workers>,
    /// The real driver, in place of ours.
    checkouts: Option<Checkouts>,
}

impl OpenResty {
    /// Gets them ready, in a folder of the run's, with our driver.
    ///
    /// # Errors
    /// What is missing, and what to install.
    pub(super) async fn find(needs: &ClientOptions) -> Result<Self, Unavailable> {
        let folder = write_lua(needs, "openresty")?;
        Self::new(needs, folder, None).await
    }

    /// Gets them ready with checkouts of the real driver.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub(super) async fn with_pgmoon(needs: &ClientOptions) -> Result<Self, Unavailable> {
        let folder = write_lua(needs, "pgmoon")?;
        let checkouts = Checkouts::copy(&needs.pgmoon, &folder)?;
        Self::new(needs, folder, Some(checkouts)).await
    }

    async fn new(needs: &ClientOptions, folder: PathBuf, checkouts: Option<Checkouts>) -> Result<Self, Unavailable> {
        let modules: &[&str] = if checkouts.is_some() { &PGMOON_NEEDS } else { &[] };
        let installed = Arc::new(Installed::find(needs, modules, &folder).await?);
        let libraries = checkouts.iter().map(|checkouts| checkouts.library.clone()).collect();
        let surroundings = Surroundings { folder, modules: installed.modules.clone(), libraries };
        let workers = Workers::new(installed.clone(), surroundings.clone(), needs);
        Ok(Self { installed, surroundings, nginx: Mutex::default(), workers, checkouts })
    }

    /// The folder of the checkout that a release is run with, if checkouts are used at all.
    fn checkout(&self, profile: &Profile) -> Result<Option<&Path>, ClientError> {
        let Some(checkouts) = &self.checkouts else { return Ok(None) };
        checkouts.folder(profile).map(Some).ok_or_else(|| {
            let (lineage, version) = profile.pgmoon();
            let why = "--pgmoon names no checkout of it, and none of a version that no release has";
            ClientError::Unsupported(format!("the driver of Kong {profile} is {lineage}'s pgmoon {version}: {why}"))
        })
    }

    /// A channel to an nginx of its own. When another cell has the common one reloaded, its worker empties its pools.
    async fn own_cosocket(&self, task: &Task, trusted: Option<&Path>) -> Result<Line, StartFailure> {
        let folder = tempfile::tempdir_in(&self.surroundings.folder)?;
        let mut surroundings = Surroundings { folder: folder.path().to_owned(), ..self.surroundings.clone() };
        surroundings.libraries.insert(0, self.surroundings.folder.clone());
        let mut nginx = Nginx::start(&self.installed, &surroundings).await?;
        let channel = nginx.open(&directives(task, trusted)?, trusted).await?;
        Ok(Line::Nginx(channel, Some(OwnNginx { nginx, folder })))
    }

    /// A channel to the common nginx, with the directives that a task asks for.
    async fn cosocket(&self, task: &Task, trusted: Option<&Path>) -> Result<Channel, StartFailure> {
        let directives = directives(task, trusted)?;
        let mut nginx = self.nginx.lock().await;
        let nginx = match &mut *nginx {
            Some(nginx) => nginx,
            none => none.insert(Nginx::start(&self.installed, &self.surroundings).await?),
        };
        nginx.open(&directives, trusted).await
    }

    /// A line to the driver on a task's stack, and the trusted file for LuaSec.
    async fn line(&self, task: &Task) -> Result<(Line, Option<PathBuf>), StartFailure> {
        let trusted = combine(&task.settings).map_err(StartFailure::Refused)?;
        Ok(match task.stack {
            Stack::Cosocket if task.pools => (self.own_cosocket(task, trusted.as_deref()).await?, None),
            Stack::Cosocket => (Line::Nginx(self.cosocket(task, trusted.as_deref()).await?, None), None),
            Stack::Luasec => {
                // nginx uses LuaSec while it starts, and only if it has accepted its configuration.
                let in_nginx = task.profile.edition != Edition::Driver;
                if in_nginx {
                    self.cosocket(task, trusted.as_deref()).await?;
                }
                let trusted = trusted.or_else(|| unwritten(&task.settings).filter(|_| in_nginx));
                let worker = self.workers.take(&task.cell, task.settings.security_level).await?;
                (Line::Luasec(worker, self.workers.clone()), trusted)
            }
        })
    }
}

/// The directives that a task asks for.
fn directives(task: &Task, trusted: Option<&Path>) -> std::io::Result<Directives> {
    Ok(Directives {
        trusted: trusted.map(std::fs::read).transpose()?,
        verify_depth: task.settings.verify_depth.clone(),
        protocols: offered_on_a_cosocket(&task.settings, &task.profile),
        security_level: task.settings.security_level,
    })
}

/// Makes a folder of the run's with the Lua files.
fn write_lua(needs: &ClientOptions, name: &str) -> Result<PathBuf, Unavailable> {
    let write = || {
        let folder = needs.run.private(name)?;
        for name in Lua::iter() {
            let file = Lua::get(&name).map(|file| file.data).unwrap_or_default();
            std::fs::write(folder.join(&*name), file)?;
        }
        Ok(folder)
    };
    write().map_err(|source| Unavailable::Io { what: "no folder for nginx".into(), source })
}

/// An nginx for one cell.
struct OwnNginx {
    nginx: Nginx,
    folder: tempfile::TempDir,
}

/// A line to the driver.
enum Line {
    Nginx(Channel, Option<OwnNginx>),
    Luasec(Worker, Arc<Workers>),
}

impl Line {
    async fn ask(&mut self, verb: &str, terms: &[(&str, String)]) -> std::io::Result<Answer> {
        match self {
            Self::Nginx(channel, _) => channel.ask(verb, terms).await,
            Self::Luasec(worker, _) => worker.channel.ask(verb, terms).await,
        }
    }

    /// The folder with nginx's log, if it is not that of the common nginx.
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Nginx(_, own) => own.as_ref().map(|own| own.folder.path()),
            Self::Luasec(..) => None,
        }
    }

    /// Keeps a process that can be used again, and stops an nginx that is used once.
    async fn done(self) {
        match self {
            Self::Luasec(worker, workers) => workers.put_back(worker),
            Self::Nginx(_, Some(own)) => own.nginx.stop().await,
            Self::Nginx(_, None) => {}
        }
    }

    /// Ends the Lua VM in which an error was raised: in Kong it is closed while nginx gives up starting, where the
    /// measured drivers were killed.
    async fn end(self, in_kong: bool) {
        match self {
            Self::Luasec(worker, _) if in_kong => worker.close_vm().await,
            Self::Luasec(worker, _) => worker.kill().await,
            nginx @ Self::Nginx(..) => nginx.done().await,
        }
    }
}

#[async_trait]
impl Client for OpenResty {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let checkout = self.checkout(&task.profile)?;
        let started = tokio::time::timeout(START_LIMIT, self.line(task)).await;
        let (mut line, trusted) = match started.unwrap_or_else(|_| Err(StartFailure::too_slow(START_LIMIT))) {
            Ok(line) => line,
            Err(StartFailure::Refused(refusal)) => {
                return Ok(Attempt::refused(refusal, 0));
            }
            Err(StartFailure::Failed(error)) => return Err(ClientError::environment("start the driver", error)),
        };
        let is_real_driver = checkout.is_some();
        let terms = terms_of(task, trusted, checkout).await;
        let folder = line.folder().unwrap_or(&self.surroundings.folder).to_owned();
        let mark = nginx::end_of_log(&folder);
        let Ok(answer) = tokio::time::timeout(task.limit(), line.ask("connect", &terms)).await else {
            return Ok(Attempt::hung(Some(1)));
        };
        let answer = answer.map_err(|error| ClientError::environment("talk to the driver", error))?;
        let (reached, certificate) = (answer.has("reached"), answer.certificate());
        let result = match answer.refusal(&task.profile) {
            Some(refusal) if refusal.delivery == ErrorDelivery::Raised => {
                line.end(task.profile.edition != Edition::Driver).await;
                Err(refusal)
            }
            Some(refusal) => {
                let logged = answer.text("connection").map(|connection| Nginx::logged(&folder, mark, &connection));
                line.done().await;
                Err(Refusal { alert: refusal.alert.or_else(|| alert(&logged?)), ..refusal })
            }
            None => {
                let pid = answer.number("pid").unwrap_or_default();
                Ok(Established::open(pid, Connection { line, profile: task.profile.clone(), is_real_driver }))
            }
        };
        Ok(Attempt { result, connections: Some(usize::from(reached)), certificate })
    }

    async fn repeater(&self, task: &Task, tuning: Tuning) -> Result<Box<dyn Repeater>, ClientError> {
        if tuning != Tuning::default() {
            return Err(ClientError::Unsupported("nginx and LuaSec are not configured for it".into()));
        }
        let checkout = self.checkout(&task.profile)?;
        let (line, trusted) = self.line(task).await.map_err(|failure| match failure {
            StartFailure::Refused(refusal) => ClientError::environment("start the driver", refusal.text),
            StartFailure::Failed(error) => ClientError::environment("start the driver", error),
        })?;
        let terms = terms_of(task, trusted, checkout).await;
        Ok(Box::new(Driven { line, terms, profile: task.profile.clone(), process: None }))
    }

    fn about(&self) -> String {
        let versions = &self.installed.versions;
        self.checkouts
            .as_ref()
            .map_or_else(|| versions.clone(), |checkouts| format!("{} on {versions}", checkouts.about))
    }

    /// It gives up by itself what hangs, so that starting programs does not count.
    fn patience(&self) -> Duration {
        2 * START_LIMIT
    }

    async fn close(&self) {
        let nginx = self.nginx.lock().await.take();
        if let Some(nginx) = nginx {
            nginx.stop().await;
        }
        self.installed.close().await;
    }
}

/// What the driver needs of a task.
async fn terms_of(task: &Task, trusted: Option<PathBuf>, checkout: Option<&Path>) -> Vec<(&'static str, String)> {
    let mut terms = terms(&task.settings, &task.profile, task.stack);
    terms.push(("host", address(task).await));
    terms.extend(trusted.map(|file| ("trusted", file.to_string_lossy().into_owned())));
    terms.extend(checkout.map(|folder| ("pgmoon", folder.to_string_lossy().into_owned())));
    terms
}

/// The driver, with a line to it that stays.
struct Driven {
    line: Line,
    terms: Vec<(&'static str, String)>,
    profile: Arc<Profile>,
    /// The process that it runs in, once it has said so.
    process: Option<i32>,
}

#[async_trait]
impl Repeater for Driven {
    async fn connect(&mut self) -> Result<i32, Refusal> {
        let gone = |error: std::io::Error| Refusal::raised(Stage::Connect, &format!("the driver is gone: {error}"));
        let answer = self.line.ask("connect", &self.terms).await.map_err(gone)?;
        self.process = answer.number("process");
        match answer.refusal(&self.profile) {
            Some(refusal) => Err(refusal),
            None => Ok(answer.number("pid").unwrap_or_default()),
        }
    }

    async fn disconnect(&mut self) -> bool {
        // The next attempt finds out if the driver is gone.
        self.line.ask("close", &[]).await.is_ok()
    }

    fn processes(&self) -> Vec<i32> {
        self.process.into_iter().collect()
    }
}

/// The address to connect to as a number, as Kong resolves names itself.
async fn address(task: &Task) -> String {
    let host = (task.settings.host.as_str(), task.settings.port);
    let found = tokio::net::lookup_host(host).await.into_iter().flatten().min_by_key(std::net::SocketAddr::is_ipv6);
    found.map_or_else(|| host.0.to_owned(), |address| address.ip().to_string())
}

/// A connection that Kong's own stacks keep open.
struct Connection {
    line: Line,
    profile: Arc<Profile>,
    is_real_driver: bool,
}

#[async_trait]
impl Open for Connection {
    async fn ask_again(&mut self) -> Result<(), Refusal> {
        let gone = |error: std::io::Error| Refusal::raised(Stage::Query, &format!("the driver is gone: {error}"));
        let answer = self.line.ask("ask", &[]).await.map_err(gone)?;
        answer.refusal(&self.profile).map_or(Ok(()), Err)
    }

    async fn close(mut self: Box<Self>) {
        if self.line.ask("close", &[]).await.is_ok() {
            self.line.done().await;
        }
    }

    async fn connect_from_pool(mut self: Box<Self>, task: &Task) -> Result<Attempt, ClientError> {
        if self.is_real_driver {
            self.close().await;
            return Err(ClientError::Unsupported("the real driver's pool is not watched".into()));
        }
        let mut terms = terms(&task.settings, &task.profile, task.stack);
        terms.push(("host", address(task).await));
        if task.stack == Stack::Luasec {
            match combine(&task.settings) {
                Ok(trusted) => terms.extend(trusted.map(|file| ("trusted", file.to_string_lossy().into_owned()))),
                Err(refusal) => return Ok(Attempt::refused(refusal, 0)),
            }
        }
        let answer = self.line.ask("connect-from-pool", &terms).await;
        let answer = answer.map_err(|error| ClientError::environment("talk to the driver", error))?;
        let (reached, certificate) = (answer.has("reached"), answer.certificate());
        let result = match answer.refusal(&task.profile) {
            Some(refusal) => Err(refusal),
            None => Ok(Established::open(answer.number("pid").unwrap_or_default(), *self)),
        };
        Ok(Attempt { result, connections: Some(usize::from(reached)), certificate })
    }
}
