//! Who connects: witnesses of one and the same cell, behind one trait.

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
pub(crate) use openresty::race;
use openssl::x509::X509;

use crate::runfolder::RunFolder;
use crate::vocabulary::ClientKind;
use kong_pg_client::conf::KongConf;
use kong_pg_client::{Profile, Refusal, Settings, Stack};

/// What a client is to do: connect as Kong would.
#[derive(Debug, Clone)]
pub struct Task {
    /// The cell it is for.
    pub cell: String,
    /// What kong.conf says.
    pub conf: KongConf,
    /// What a release makes of it.
    pub settings: Settings,
    /// The release.
    pub profile: Arc<Profile>,
    /// Which of Kong's stacks speaks.
    pub stack: Stack,
    /// The container that the server is in, if it is in one, and nothing stands in between.
    pub container: Option<String>,
}

/// An attempt to connect, as it ended.
pub struct Attempt {
    /// The connection, or what the client says.
    pub result: Result<Established, Refusal>,
    /// How many TCP connections there were, so that the server knows of them, if the client tells.
    pub connections: Option<usize>,
    /// The certificate the server showed, if the client tells.
    pub certificate: Option<X509>,
}

impl Attempt {
    /// One that was refused.
    fn refused(refusal: Refusal, connections: usize) -> Self {
        Self { result: Err(refusal), connections: Some(connections), certificate: None }
    }
}

/// A connection on which a client has got an answer.
pub enum Established {
    /// It is open still, so that the server can be asked what it is.
    Open(Connection),
    /// It is over: what it was is in the server's log.
    Over,
}

/// A connection that stays open.
pub struct Connection {
    /// The server's process that serves it.
    pub pid: i32,
    /// The TLS version that the client believes it speaks, `off` for none, if it says so.
    pub claimed_tls: Option<String>,
    /// What can be done with it.
    pub open: Box<dyn Open>,
}

impl Established {
    /// A connection of a client that leaves it to the server to say what it is.
    fn open(pid: i32, open: impl Open + 'static) -> Self {
        Self::Open(Connection { pid, claimed_tls: None, open: Box::new(open) })
    }
}

/// What can be done with a connection that stays open.
#[async_trait]
pub trait Open: Send {
    /// Asks for the server's version again.
    ///
    /// # Errors
    /// What the client says if there is no answer.
    async fn ask_again(&mut self) -> Result<(), Refusal>;

    /// Ends it as the client does.
    async fn close(self: Box<Self>);
}

/// Why a client makes no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientError {
    /// What it is asked for has no counterpart in it.
    Unsupported(String),
    /// It does not do what a client has to do, which is its own fault.
    Misbehaves(String),
    /// Something it needs has failed, which is nobody's fault who is judged.
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
    /// Connects, and asks for the server's version. May be dropped at any time, and leaves nothing behind then.
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError>;

    /// What it is, and of which version.
    fn about(&self) -> String;

    /// How much longer than `pg_timeout` an attempt may take before it counts as one that hangs.
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
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
    /// The stranger's program.
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
    /// Gets clients ready.
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
        client.ok_or_else(|| ClientError::Environment(format!("{kind} was not got ready")))
    }

    /// What they are, and of which version.
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

/// Which clients can be used here, with what they are, and which cannot, with why.
pub async fn survey(needs: &ClientOptions) -> Vec<(ClientKind, Result<String, String>)> {
    let mut found = Vec::new();
    for kind in ClientKind::ALL {
        found.push((kind, client(kind, needs).await.map(|client| client.about())));
    }
    found
}
