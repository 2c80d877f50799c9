//! The clients that can run a cell, behind one trait.

mod command;
mod kong;
mod kong_image;
mod libpq;
mod openresty;
mod rustls;
mod translate;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openssl::x509::X509;

use crate::runfolder::RunFolder;
use crate::vocabulary::ClientKind;
use kong_pg_client::conf::KongConf;
use kong_pg_client::{Profile, Refusal, Settings, Stack};

/// A request to a client to connect as Kong would.
#[derive(Debug, Clone)]
pub struct Task {
    /// The cell it is for.
    pub cell: String,
    /// What kong.conf says.
    pub conf: KongConf,
    /// How the release interprets it.
    pub settings: Settings,
    /// The release.
    pub profile: Arc<Profile>,
    /// Which of Kong's stacks speaks.
    pub stack: Stack,
    /// The container of the server, if it runs in one and no proxy is in front of it.
    pub container: Option<String>,
}

/// An attempt to connect, as it ended.
pub struct Attempt {
    /// The connection, or the client's report.
    pub result: Result<Established, Refusal>,
    /// How many TCP connections reached the server, if the client knows.
    pub connections: Option<usize>,
    /// The certificate the server presented, if the client saw one.
    pub certificate: Option<X509>,
}

impl Attempt {
    /// One that was refused.
    fn refused(refusal: Refusal, connections: usize) -> Self {
        Self { result: Err(refusal), connections: Some(connections), certificate: None }
    }
}

/// A connection on which a client has received an answer.
pub enum Established {
    /// It is still open, so that `pg_stat_ssl` can prove what it is.
    Open(Connection),
    /// It is closed; the server's log proves what it was.
    Over,
}

/// A connection that stays open.
pub struct Connection {
    /// The server's process that serves it.
    pub pid: i32,
    /// The TLS version that the client claims to speak, `off` for none, if it claims any.
    pub claimed_tls: Option<String>,
    /// The connection itself.
    pub open: Box<dyn Open>,
}

impl Established {
    /// A connection of a client that makes no claim about its TLS version.
    fn open(pid: i32, open: impl Open + 'static) -> Self {
        Self::Open(Connection { pid, claimed_tls: None, open: Box::new(open) })
    }
}

/// A client's connection that stays open.
#[async_trait]
pub trait Open: Send {
    /// Asks for the server's version again.
    ///
    /// # Errors
    /// The client's report if there is no answer.
    async fn ask_again(&mut self) -> Result<(), Refusal>;

    /// Ends it as the client does.
    async fn close(self: Box<Self>);
}

/// Why a client makes no attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It has no counterpart for what the case asks for.
    #[error("{0}")]
    Unsupported(String),
    /// It lacks something on this machine that the case needs.
    #[error("{0}")]
    Blocked(String),
    /// It violates the protocol that clients have to follow.
    #[error("{0}")]
    Fault(String),
    /// The environment failed.
    #[error("{0}")]
    Environment(String),
}

impl ClientError {
    fn environment(doing: &str, error: impl fmt::Display) -> Self {
        Self::Environment(format!("cannot {doing}: {error}"))
    }
}

/// A client, ready to connect as often as it is asked to.
#[async_trait]
pub trait Client: Send + Sync {
    /// Connects, and asks for the server's version. The future may be dropped at any time and must leave nothing behind.
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError>;

    /// What it is, with its version.
    fn about(&self) -> String;

    /// How much longer than `pg_timeout` an attempt may take before it counts as one that hangs.
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// The Kong release it contains, as this program names releases, if it is a real Kong.
    fn release(&self) -> Option<String> {
        None
    }

    /// Ends what it may have left running.
    async fn close(&self) {}
}

/// What clients need that is not on every machine.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The folder of the run, for their files.
    pub run: Arc<RunFolder>,
    /// The image of Kong.
    pub kong_image: Option<String>,
    /// Whether an image that is missing may be built, which takes a minute.
    pub may_build: bool,
    /// The command line of the external client.
    pub command: Option<String>,
}

/// A client that cannot be used here, and why.
#[derive(Debug, thiserror::Error)]
#[error("the client {kind} cannot be used: {why}")]
pub struct ClientUnavailable {
    kind: ClientKind,
    why: String,
}

/// The clients of a run.
pub struct Clients(HashMap<ClientKind, Box<dyn Client>>);

impl Clients {
    /// Prepares clients.
    ///
    /// # Errors
    /// If one of them cannot be used here.
    pub async fn ready(kinds: &[ClientKind], needs: &ClientOptions) -> Result<Self, ClientUnavailable> {
        let mut clients = HashMap::new();
        for kind in kinds {
            clients.insert(*kind, client(*kind, needs).await.map_err(|why| ClientUnavailable { kind: *kind, why })?);
        }
        Ok(Self(clients))
    }

    /// One of them.
    pub(crate) fn get(&self, kind: ClientKind) -> Result<&dyn Client, ClientError> {
        let client = self.0.get(&kind).map(AsRef::as_ref);
        client.ok_or_else(|| ClientError::Environment(format!("{kind} was not prepared")))
    }

    /// The release of the real Kong among them.
    #[must_use]
    pub fn release(&self) -> Option<String> {
        self.0.values().find_map(|client| client.release())
    }

    /// What they are, with their versions.
    #[must_use]
    pub fn about(&self) -> BTreeMap<ClientKind, String> {
        self.0.iter().map(|(kind, client)| (*kind, client.about())).collect()
    }

    /// Ends what they may have left running.
    pub async fn close(&self) {
        for client in self.0.values() {
            client.close().await;
        }
    }
}

async fn client(kind: ClientKind, needs: &ClientOptions) -> Result<Box<dyn Client>, String> {
    Ok(match kind {
        ClientKind::Kong => Box::new(kong::EmulatedKong),
        ClientKind::Openresty => Box::new(openresty::OpenResty::find(needs).await?),
        ClientKind::Libpq => Box::new(libpq::Psql::find(&needs.run).await?),
        ClientKind::Rustls => Box::new(rustls::RustlsClient),
        ClientKind::Command => Box::new(command::Program::probe(needs.command.as_deref()).await?),
        ClientKind::KongImage => Box::new(kong_image::Image::find(needs).await?),
    })
}

/// Every client, with what it is if it can be used here, and why not otherwise.
pub async fn survey(needs: &ClientOptions) -> Vec<(ClientKind, Result<String, String>)> {
    let mut found = Vec::new();
    for kind in ClientKind::ALL {
        found.push((*kind, client(*kind, needs).await.map(|client| client.about())));
    }
    found
}
