#![doc = include_str!("../README.md")]

pub mod config;
mod control;
mod docker;
mod error;
#[cfg(test)]
mod fake;
mod local;
mod log;
mod marker;
mod pool;
mod port;
mod proof;
mod runtime;
mod server;
mod words;

pub use config::{Configuration, File};
pub use docker::{Docker, DockerOptions, engine, remove_abandoned};
pub use error::{OwnerUnavailable, PullError, RuntimeError};
pub use local::{DatabaseUser, Local, folders_of_binaries, stop_abandoned};
pub use log::{LogBook, LogLine};
pub use pool::{Lease, Pool};
pub use proof::TlsProof;
pub use runtime::{Combined, Host, Runtime};
pub use server::{Observed, Server, ServerFacts, Start};
pub use words::{ApplyMode, InvalidMajor, Major, Offer, Owner, RuntimeKind};
