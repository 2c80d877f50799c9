#![doc = include_str!("../README.md")]
//!
//! # How it imitates Kong
//!
//! Kong talks to PostgreSQL through pgmoon, a driver in Lua, over one of two TLS stacks. Both are thin layers over
//! OpenSSL and report OpenSSL's texts, but ask it different questions at different times: see [`Stack`]. So this crate
//! uses OpenSSL too; a TLS library with a verifier of its own would decide otherwise (X.509 version 1, a trusted
//! certificate that is its own issuer, an intermediate as trust anchor).
//!
//! # Which OpenSSL
//!
//! The crate needs OpenSSL 3, and works with that of the system or, with the feature `vendored`, with one it builds.
//! The wording of texts, security levels, groups of the key exchange and lookups of a release's own OpenSSL line are
//! imitated, whichever is linked, with two exceptions:
//!
//! - Where an OpenSSL before 3.5 is linked, no release offers X25519MLKEM768. Releases with OpenSSL 3.5 (3.4.3.24,
//!   3.10.0.9, 3.11.0.8, 3.12.0.4, 3.13.0.2, 3.14.0.0 and later patches of these lines) offer it first.
//! - Where 3.5 is linked, every release accepts ML-DSA and SLH-DSA signatures, which older versions do not know.

mod ca_file;
mod channel_binding;
pub mod conf;
mod cosocket;
mod driver;
mod generation;
pub mod limits;
mod luasec;
mod openssl_line;
mod profile;
mod refusal;
mod releases;
mod remarks;
mod scram;
mod session;
mod settings;
mod socket;
mod stack;
mod stage;
mod start;
mod tap;
mod terms;
mod trusted;
mod wire;
mod wording;
mod words;

pub use driver::{Attempt, Connection};
pub use generation::Lineage;
pub use openssl_line::{NotOpenssl, OpensslLine};
pub use profile::{Edition, Profile};
pub use refusal::{ErrorDelivery, PREFIX, Refusal};
pub use releases::{Problem as ReleasesProblem, ReleaseError, Releases, ReleasesError, is_patch_of};
pub use remarks::remarks;
pub use settings::{ConnectionRole, Settings, SettingsError, Trusted, TrustedEntry, read_as_kong};
pub use socket::ALERTS;
pub use stack::Stack;
pub use stage::Stage;
pub use start::Kong;
pub use tap::{Tap, Traffic};
pub use terms::{offered_on_a_cosocket, terms};
pub use trusted::{combine, unwritten};
pub use wording::reword;
pub use words::UnknownWord;
