//! What was measured, as it is kept: `bench.json`. Times are in microseconds.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::estimate::Estimate;
use crate::record::Host;

/// The number of this format.
const FORMAT: u32 = 1;

/// A run of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    /// The number of the format.
    pub format: u32,
    /// The version of this program.
    pub program: String,
    /// Whether the program was built with optimisation: without it the clients in it cost more.
    pub optimised: bool,
    /// When it began, in UTC, to the second.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// The machine.
    pub host: Host,
    /// The servers: `PostgreSQL 15.18 with OpenSSL 3.0.19 (local)`.
    pub servers: Vec<String>,
    /// The clients, with their versions.
    pub clients: BTreeMap<String, String>,
    /// What a connection costs.
    pub handshakes: Vec<Handshake>,
    /// What the emulated Kong, which is in this process, takes against libpq.
    pub versus: Vec<Versus>,
    /// What queries cost on open connections.
    pub traffic: Vec<Traffic>,
    /// What becomes of connections that are made at once.
    pub storms: Vec<Storm>,
    /// How often each mode waits for the server, and what a distance makes of it.
    pub distances: Vec<Distance>,
    /// What was not measured, and why.
    pub not_measured: Vec<NotMeasured>,
}

/// What a connection costs in one mode with one client, up to the answer to its first question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// The mode: `TLS 1.3, verified`.
    pub mode: String,
    /// What it is one of: `Keys`.
    pub group: String,
    /// The client, and Kong's stack: `kong cosocket`.
    pub client: String,
    /// PostgreSQL's major.
    pub postgres: u16,
    /// How many pairs of connections were measured: one in this mode, one in plaintext.
    pub pairs: usize,
    /// From the TCP connection to the first answer.
    pub time: Compared,
    /// The client's processor time, where the kernel reports it.
    pub client_cpu: Option<Compared>,
    /// The server's, where the kernel reports it.
    pub server_cpu: Option<Compared>,
    /// What cannot be saved; nothing in plaintext, or where it was not measured.
    pub limit: Option<Limit>,
}

/// A figure against another in the same pairs: that of plaintext, where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Its median.
    pub median: f64,
    /// The median of the other.
    pub base: f64,
    /// The former over the latter.
    pub ratio: Estimate,
    /// The same ratio of each round by itself; their distance is the noise of the machine.
    pub rounds: Vec<f64>,
}

/// The handshake of the same keys in memory, without network, processes and PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The client's part.
    pub client: f64,
    /// The server's part.
    pub server: f64,
    /// The measured time over the sum of both parts and the connection in plaintext, which has the server's fork.
    pub reached: f64,
}

/// The emulated Kong against another client in the same mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versus {
    /// The mode.
    pub mode: String,
    /// The other client.
    pub other: String,
    /// How many pairs of connections were measured.
    pub pairs: usize,
    /// Kong's time against the other's.
    pub time: Compared,
}

/// What a query costs on an open connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// How many bytes the answer has.
    pub bytes: u64,
    /// How many pairs of queries were measured.
    pub pairs: usize,
    /// From the question to the end of the answer.
    pub time: Compared,
    /// The client's processor time, where the kernel reports it.
    pub client_cpu: Option<Compared>,
    /// The server's, where the kernel reports it.
    pub server_cpu: Option<Compared>,
}

/// Connections that are made at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// `TLS` or `plaintext`.
    pub transport: String,
    /// How many.
    pub connections: usize,
    /// How many the server accepts.
    pub max_connections: usize,
    /// How many were refused since there were too many.
    pub refused: usize,
    /// Logins in a second.
    pub logins_per_second: f64,
    /// The time until half of the logins were done.
    pub p50: f64,
    /// The time until 99 of 100 were.
    pub p99: f64,
    /// The server's processor time for one login, where the kernel reports it.
    pub server_cpu: Option<f64>,
}

/// A mode through a proxy that counts and delays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distance {
    /// The mode.
    pub mode: String,
    /// The client, and Kong's stack.
    pub client: String,
    /// PostgreSQL's major.
    pub postgres: u16,
    /// How often the client waits for the server, as counted.
    pub round_trips: usize,
    /// What for, as the protocols say.
    pub because: Waits,
    /// The median time by the delay of each round trip, both in milliseconds.
    pub milliseconds: BTreeMap<u32, f64>,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    /// The TCP connection.
    pub tcp: usize,
    /// The answer to SSLRequest.
    pub ssl_request: usize,
    /// The TLS handshake.
    pub handshake: usize,
    /// The login.
    pub login: usize,
    /// The client's first queries.
    pub queries: usize,
}

impl Waits {
    /// All of them.
    #[must_use]
    pub fn sum(&self) -> usize {
        let Self { tcp, ssl_request, handshake, login, queries } = self;
        tcp + ssl_request + handshake + login + queries
    }
}

/// Something that was not measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotMeasured {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Why a file contains no measurements.
#[derive(Debug, thiserror::Error)]
pub enum MeasurementsError {
    /// It cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what `bench` writes.
    #[error("{file} is no bench.json of `kong-pg-tls bench`: {source}")]
    Json {
        /// The file.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It is of another version of this program.
    #[error("{file} has format {found}; this program reads {FORMAT}: run `kong-pg-tls bench` again")]
    Format {
        /// The file.
        file: String,
        /// Its format.
        found: u64,
    },
}

impl Measurements {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not one of these.
    pub fn read(path: &Path) -> Result<Self, MeasurementsError> {
        let file = path.display().to_string();
        let text = std::fs::read(path).map_err(|source| MeasurementsError::Read { file: file.clone(), source })?;
        let json = |source| MeasurementsError::Json { file: file.clone(), source };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(json)?;
        match value["format"].as_u64() {
            Some(found) if found != u64::from(FORMAT) => Err(MeasurementsError::Format { file, found }),
            _ => serde_json::from_slice(&text).map_err(json),
        }
    }

    /// Those of a run that begins now.
    pub(super) fn new() -> Self {
        let now = OffsetDateTime::now_utc();
        let to_the_second = now.replace_nanosecond(0).unwrap_or(now);
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            optimised: !cfg!(debug_assertions),
            started: to_the_second.format(&Rfc3339).unwrap_or_default(),
            seconds: 0,
            host: Host::here(),
            servers: Vec::new(),
            clients: BTreeMap::new(),
            handshakes: Vec::new(),
            versus: Vec::new(),
            traffic: Vec::new(),
            storms: Vec::new(),
            distances: Vec::new(),
            not_measured: Vec::new(),
        }
    }

    /// A mode with a client.
    #[must_use]
    pub fn handshake(&self, mode: &str, client: &str) -> Option<&Handshake> {
        self.handshakes.iter().find(|handshake| handshake.mode == mode && handshake.client == client)
    }
}
