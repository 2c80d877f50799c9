//! The clients that cells can be run with.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A client that cells can be run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// This program's emulation of Kong's driver on its two TLS stacks.
    Kong,
    /// Kong's own TLS stacks, nginx with Lua and LuaSec, driven by Lua of this program's.
    Openresty,
    /// PostgreSQL's own client library, through psql.
    Libpq,
    /// A strict modern client: tokio-postgres over rustls.
    Rustls,
    /// An external program.
    Command,
    /// A real Kong in a container.
    KongImage,
}

impl ClientKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Kong, Self::Openresty, Self::Libpq, Self::Rustls, Self::Command, Self::KongImage];

    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kong => "kong",
            Self::Openresty => "openresty",
            Self::Libpq => "libpq",
            Self::Rustls => "rustls",
            Self::Command => "command",
            Self::KongImage => "kong-image",
        }
    }

    /// Whether its texts are compared with what is expected of Kong, and not only whether and how it connects.
    #[must_use]
    pub fn speaks_as_kong(self) -> bool {
        matches!(self, Self::Kong | Self::Openresty | Self::KongImage)
    }

    /// Whether its stacks are Kong's own, which have races that the emulated ones do not.
    #[must_use]
    pub(crate) fn is_kong_itself(self) -> bool {
        matches!(self, Self::Openresty | Self::KongImage)
    }

    /// Whether it reports the stage at which an attempt ends, and the server's certificate.
    #[must_use]
    pub(crate) fn is_transparent(self) -> bool {
        self != Self::KongImage
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name of no client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no client is called `{0}`; expected one of {known}", known = ClientKind::ALL.map(ClientKind::as_str).join(", "))]
pub struct UnknownClient(String);

impl FromStr for ClientKind {
    type Err = UnknownClient;
    fn from_str(text: &str) -> Result<Self, UnknownClient> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| UnknownClient(text.to_owned()))
    }
}
