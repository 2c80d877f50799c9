//! The clients that cells can be run with.

use std::fmt;
use std::str::FromStr;

/// A client that cells can be run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// This program's own re-creation of Kong's driver on its two TLS stacks.
    Kong,
    /// Kong's own TLS stacks, nginx with Lua and LuaSec, driven by Lua of this program's.
    Openresty,
    /// PostgreSQL's own client library, through psql.
    Libpq,
    /// A modern client that is strict: tokio-postgres over rustls.
    Rustls,
    /// A stranger's program.
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

    /// Whether it is held to every word that is expected of Kong, and not just to what comes of it.
    #[must_use]
    pub fn speaks_as_kong(self) -> bool {
        matches!(self, Self::Kong | Self::Openresty | Self::KongImage)
    }

    /// Whether its stacks are Kong's own, which lose races that the re-created ones do not run.
    #[must_use]
    pub(crate) fn is_kong_itself(self) -> bool {
        matches!(self, Self::Openresty | Self::KongImage)
    }

    /// Whether one can look inside: at the step at which an attempt ends, and at what the server shows.
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

impl FromStr for ClientKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("no client is called `{text}`; expected one of {known}")
        })
    }
}
