//! The clients that cells can be run with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A client that cells can be run with.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ClientKind {
    /// This program's emulation of Kong's driver on its two TLS stacks.
    Kong,
    /// Kong's own TLS stacks, nginx with Lua and LuaSec, driven by this program's Lua code.
    Openresty,
    /// The same stacks, driven by Kong's real driver: checkouts of pgmoon.
    Pgmoon,
    /// PostgreSQL's own client library, through psql.
    Libpq,
    /// A strict modern client: tokio-postgres over rustls.
    Rustls,
    /// An external program that speaks the protocol of docs/client-protocol.md.
    Command,
    /// A real Kong in a container.
    KongImage,
}

impl ClientKind {
    /// All of them.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether its texts and stages are compared with those expected of Kong, and not only the outcome.
    #[must_use]
    pub fn speaks_as_kong(self) -> bool {
        matches!(self, Self::Kong | Self::Openresty | Self::Pgmoon | Self::KongImage)
    }

    /// Whether its TLS stacks are Kong's own, which lose races that the emulated ones do not have.
    #[must_use]
    pub fn is_kong_itself(self) -> bool {
        matches!(self, Self::Openresty | Self::Pgmoon | Self::KongImage)
    }

    /// Whether it is a program that connects once with the main settings and ends: it keeps no connection open and has no
    /// read-only one.
    #[must_use]
    pub fn connects_once(self) -> bool {
        self == Self::KongImage
    }

    /// Whether it shows the stage at which an attempt ends, and the certificate the server presents.
    #[must_use]
    pub fn is_transparent(self) -> bool {
        self != Self::KongImage
    }
}
