//! Who connects: witnesses of one and the same cell, behind one trait.

mod kong;
mod openresty;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
pub use openresty::Installed;
pub(crate) use openresty::race;
use openssl::x509::X509;

use crate::kong::conf::KongConf;
use crate::kong::{Profile, Refusal, Settings, Stack};
use crate::runfolder::RunFolder;

/// A client that cells can be run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// This program's own re-creation of Kong's driver on its two TLS stacks.
    Kong,
    /// Kong's own TLS stacks, nginx with Lua and LuaSec, driven by Lua of this program's.
    Openresty,
}

impl ClientKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Kong, Self::Openresty];

    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kong => "kong",
            Self::Openresty => "openresty",
        }
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ClientKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("no client is called `{text}`; expected one of {known}")
        })
    }
}

/// What a client is to do: connect as Kong would.
#[derive(Debug, Clone)]
pub struct Task {
    /// What kong.conf says.
    pub conf: KongConf,
    /// What a release makes of it.
    pub settings: Settings,
    /// The release.
    pub profile: Arc<Profile>,
    /// Which of Kong's stacks speaks.
    pub stack: Stack,
}

/// An attempt to connect, as it ended.
pub struct Attempt {
    /// The open connection, or what the client says.
    pub result: Result<Box<dyn Open>, Refusal>,
    /// Whether there was a TCP connection, so that the server knows of the attempt.
    pub reached: bool,
    /// The certificate the server showed, if the client tells.
    pub certificate: Option<X509>,
}

/// A connection on which a client has got an answer, and which stays open.
#[async_trait]
pub trait Open: Send {
    /// The server's process that serves it.
    fn pid(&self) -> i32;

    /// What `SHOW server_version_num` said.
    fn server_version_num(&self) -> &str;

    /// Asks the same again.
    ///
    /// # Errors
    /// What the client says if there is no answer.
    async fn ask_again(&mut self) -> Result<(), Refusal>;

    /// Ends it as the client does.
    async fn close(self: Box<Self>);
}

/// Why a client makes no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inability {
    /// What it is asked for has no counterpart in it.
    Unsupported(String),
    /// Something it needs has failed, which is nobody's fault who is judged.
    Environment(String),
}

/// A client, ready to connect as often as it is asked to.
#[async_trait]
pub trait Client: Send + Sync {
    /// Connects, and asks for the server's version. May be dropped at any time, and leaves nothing behind then.
    async fn connect(&self, task: &Task) -> Result<Attempt, Inability>;
}

/// The clients of a run.
pub struct Clients(HashMap<ClientKind, Box<dyn Client>>);

impl Clients {
    /// Gets clients ready, with their files in the folder of the run.
    ///
    /// # Errors
    /// What is missing for one of them.
    pub fn new(kinds: &[ClientKind], run: &RunFolder) -> Result<Self, String> {
        let ready = |kind: &ClientKind| -> Result<(ClientKind, Box<dyn Client>), String> {
            let client: Box<dyn Client> = match kind {
                ClientKind::Kong => Box::new(kong::ReCreated),
                ClientKind::Openresty => Box::new(openresty::OpenResty::new(run)?),
            };
            Ok((*kind, client))
        };
        kinds.iter().map(ready).collect::<Result<_, _>>().map(Self)
    }

    /// Has one of them connect.
    pub(crate) async fn connect(&self, kind: ClientKind, task: &Task) -> Result<Attempt, Inability> {
        let client = self.0.get(&kind).ok_or_else(|| Inability::Environment(format!("{kind} was not got ready")))?;
        client.connect(task).await
    }
}
