//! Kong's own TLS stacks: a cosocket in nginx, and LuaSec, driven by Lua that does what Kong's driver does.
//!
//! The code shares nothing with the emulated client, so that an agreement of the two is one of independent programs.

mod channel;
mod installed;
mod luasec;
mod nginx;
mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rust_embed::Embed;
use tokio::sync::Mutex;

use self::channel::{Answer, Channel, alert};
use self::installed::Installed;
use self::luasec::{Worker, Workers};
use self::nginx::{Directives, Nginx, StartFailure};
use super::{Attempt, Client, ClientError, ClientOptions, Established, Open, Task, Unavailable};
use kong_pg_client::Stage;
use kong_pg_client::{
    Edition, ErrorDelivery, Profile, Refusal, Stack, combine, offered_on_a_cosocket, terms, unwritten,
};

/// The driver, its sockets, and what surrounds them.
#[derive(Embed)]
#[folder = "harness/program/src/client/openresty"]
#[include = "*.lua"]
struct Lua;

/// Kong's own stacks, started on first use.
pub(super) struct OpenResty {
    installed: Arc<Installed>,
    folder: PathBuf,
    nginx: Mutex<Option<Nginx>>,
    workers: Arc<Workers>,
}

impl OpenResty {
    /// Gets them ready, in a folder of the run's.
    ///
    /// # Errors
    /// What is missing, and what to install.
    pub(super) async fn find(needs: &ClientOptions) -> Result<Self, Unavailable> {
        let installed = Arc::new(Installed::find(needs).await?);
        let write = || {
            let folder = needs.run.private("openresty")?;
            for name in Lua::iter() {
                let file = Lua::get(&name).map(|file| file.data).unwrap_or_default();
                std::fs::write(folder.join(&*name), file)?;
            }
            Ok(folder)
        };
        let folder = write().map_err(|source| Unavailable::Io { what: "no folder for nginx".into(), source })?;
        let workers = Workers::new(installed.clone(), folder.clone());
        Ok(Self { installed, folder, nginx: Mutex::default(), workers })
    }

    /// A channel to nginx, with the directives that a task asks for.
    async fn cosocket(&self, task: &Task, trusted: Option<&Path>) -> Result<Channel, StartFailure> {
        let directives = Directives {
            trusted: trusted.map(std::fs::read).transpose()?,
            verify_depth: task.settings.verify_depth.clone(),
            protocols: offered_on_a_cosocket(&task.settings, &task.profile),
            security_level: task.settings.security_level,
        };
        let mut nginx = self.nginx.lock().await;
        let nginx = match &mut *nginx {
            Some(nginx) => nginx,
            none => none.insert(Nginx::start(&self.installed, &self.folder).await?),
        };
        nginx.open(&directives, trusted).await
    }

    /// A line to the driver on a task's stack, and the trusted file for LuaSec.
    async fn line(&self, task: &Task) -> Result<(Line, Option<PathBuf>), StartFailure> {
        let trusted = combine(&task.settings).map_err(StartFailure::Refused)?;
        Ok(match task.stack {
            Stack::Cosocket => (Line::Nginx(self.cosocket(task, trusted.as_deref()).await?), None),
            Stack::Luasec => {
                // nginx uses LuaSec while it starts, and only if it has accepted its configuration.
                let in_nginx = task.profile.edition != Edition::Driver;
                if in_nginx {
                    self.cosocket(task, trusted.as_deref()).await?;
                }
                let trusted = trusted.or_else(|| unwritten(&task.settings).filter(|_| in_nginx));
                (Line::Luasec(self.workers.take(task.settings.security_level).await?, self.workers.clone()), trusted)
            }
        })
    }
}

/// A line to the driver.
enum Line {
    Nginx(Channel),
    Luasec(Worker, Arc<Workers>),
}

impl Line {
    async fn ask(&mut self, verb: &str, terms: &[(&str, String)]) -> std::io::Result<Answer> {
        match self {
            Self::Nginx(channel) => channel.ask(verb, terms).await,
            Self::Luasec(worker, _) => worker.channel.ask(verb, terms).await,
        }
    }

    /// Keeps a process that can be used again.
    fn done(self) {
        if let Self::Luasec(worker, workers) = self {
            workers.put_back(worker);
        }
    }

    /// Ends the Lua VM in which an error was raised: in Kong it is closed while nginx gives up starting, where the
    /// measured drivers were killed.
    async fn end(self, in_kong: bool) {
        match self {
            Self::Luasec(worker, _) if in_kong => worker.close_vm().await,
            Self::Luasec(worker, _) => worker.kill().await,
            Self::Nginx(_) => {}
        }
    }
}

#[async_trait]
impl Client for OpenResty {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let (mut line, trusted) = match self.line(task).await {
            Ok(line) => line,
            Err(StartFailure::Refused(refusal)) => {
                return Ok(Attempt::refused(refusal, 0));
            }
            Err(StartFailure::Failed(error)) => return Err(ClientError::environment("start the driver", error)),
        };
        let mut terms = terms(&task.settings, &task.profile, task.stack);
        terms.push(("host", address(task).await));
        terms.extend(trusted.map(|file| ("trusted", file.to_string_lossy().into_owned())));
        let mark = nginx::end_of_log(&self.folder);
        let answer = line.ask("connect", &terms).await;
        let answer = answer.map_err(|error| ClientError::environment("talk to the driver", error))?;
        let (reached, certificate) = (answer.has("reached"), answer.certificate());
        let result = match answer.refusal(&task.profile) {
            Some(refusal) if refusal.delivery == ErrorDelivery::Raised => {
                line.end(task.profile.edition != Edition::Driver).await;
                Err(refusal)
            }
            Some(refusal) => {
                line.done();
                let logged = answer.text("connection").map(|connection| Nginx::logged(&self.folder, mark, &connection));
                Err(Refusal { alert: refusal.alert.or_else(|| alert(&logged?)), ..refusal })
            }
            None => {
                let pid = answer.number("pid").unwrap_or_default();
                Ok(Established::open(pid, Connection { line, profile: task.profile.clone() }))
            }
        };
        Ok(Attempt { result, connections: Some(usize::from(reached)), certificate })
    }

    fn about(&self) -> String {
        self.installed.versions.clone()
    }

    async fn close(&self) {
        let nginx = self.nginx.lock().await.take();
        if let Some(nginx) = nginx {
            nginx.stop().await;
        }
        self.installed.close().await;
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
            self.line.done();
        }
    }
}
