//! Real PostgreSQL servers: configured for a case, observed from their own log and their own views.
//!
//! Every TLS setting can be reloaded, so one running server serves any number of cases: initdb costs a second, a
//! container two, a restart 0.2 s, a reload 10 ms. Servers wait in a [`Pool`] and are leased to one case at a time.

mod closed_port;
pub mod config;
mod control;
mod docker;
mod local;
mod log;
mod pool;
mod runtime;
mod server;
mod words;

pub use config::{Configuration, File};
pub use control::TlsProof;
pub use docker::engine;
pub use docker::{Docker, remove_abandoned};
pub use local::folders_of_binaries;
pub use local::{Local, stop_abandoned};
pub use pool::{Lease, Pool};
pub use runtime::{Host, Offer, Runtime, RuntimeError, RuntimeKind};
pub use server::{Observed, Server, ServerFacts, Start};
pub use words::{ApplyMode, Major, Owner};

/// A port of the loopback that nobody listens on at this moment.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
