//! Kong's side: how it reads its configuration, what its releases know, and how its driver connects.
//!
//! Kong talks to PostgreSQL through pgmoon, a driver in Lua, over one of two TLS stacks. Both are thin layers over
//! OpenSSL and what they report is OpenSSL's, but they ask it different questions at different times: see
//! [`Stack`]. So this client speaks through OpenSSL too; a library with its own ideas about certificates would
//! decide otherwise (X.509 version 1, a trusted certificate that is its own issuer, an intermediate as an anchor).

pub mod conf;
mod cosocket;
mod driver;
mod luasec;
mod openssl_line;
mod profile;
mod protocol;
mod remarks;
mod scram;
mod settings;
mod socket;
mod spelling;
mod stage;
mod start;
mod terms;
mod wire;

use std::fmt;
use std::str::FromStr;

pub use driver::PREFIX;
pub use driver::{Attempt, Connection, ErrorDelivery, Refusal};
pub use openssl_line::OpensslLine;
pub use profile::{Edition, Profile};
pub use remarks::remarks;
pub use settings::read as read_file;
pub use settings::{ConnectionRole, Settings, Trusted, TrustedEntry};
pub use socket::ALERTS;
pub use spelling::reword;
pub use stage::Stage;
pub use start::Kong;
pub use start::{combine, unwritten};
pub use terms::{offered_on_a_cosocket, terms};

/// Which of Kong's two TLS stacks speaks. One and the same kong.conf goes through both at every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// LuaSec, while nginx starts: verifies during the handshake, obeys `pg_ssl_version`, knows no depth.
    Luasec,
    /// An nginx cosocket, in the workers and on the command line since 3.5: verifies after the handshake, obeys
    /// `lua_ssl_protocols` and `lua_ssl_verify_depth`.
    Cosocket,
}

impl Stack {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Luasec, Self::Cosocket];
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Luasec => "luasec",
            Self::Cosocket => "cosocket",
        })
    }
}

impl FromStr for Stack {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|stack| stack.to_string() == text)
            .ok_or_else(|| format!("`{text}` is not a stack; expected luasec or cosocket"))
    }
}
