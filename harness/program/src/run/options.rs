//! What a run was asked for: as the command line says it, and as the result file keeps it.

use std::path::PathBuf;
use std::time::Duration;

use kong_pg_client::Stack;
use kong_pg_scenarios::plan::Shard;
use kong_pg_scenarios::vocabulary::{ClientKind, KongImage};
use postgres_tls_server::Major;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to run, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Which cells.
    pub cells: CellRequest,
    /// Where servers run.
    pub runtime: RuntimeRequest,
    /// Options of clients.
    pub clients: ClientRequest,
    /// How much at once, and for how long.
    pub limits: Limits,
    /// What is kept of cells beside their results.
    #[serde(default)]
    pub evidence: EvidenceRequest,
}

/// Which cells are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellRequest {
    /// The folder of the scenarios, instead of the built-in ones.
    pub scenarios: Option<PathBuf>,
    /// Globs for the ids of the cells; all, if there are none.
    pub globs: Vec<String>,
    /// The part of the cells to run: `2/4`.
    pub shard: Option<Shard>,
    /// PostgreSQL majors; all there are, if there are none.
    pub majors: Vec<Major>,
    /// Kong releases by name, `latest` or `all`. If there are none, a case runs on those that it is about, or else on
    /// the latest.
    pub releases: Vec<String>,
    /// Files of releases beside the built-in ones.
    pub release_files: Vec<PathBuf>,
    /// Clients.
    pub clients: Vec<ClientKind>,
    /// Kong's TLS stacks.
    pub stacks: Vec<Stack>,
}

impl Default for CellRequest {
    fn default() -> Self {
        Self {
            scenarios: None,
            globs: Vec::new(),
            shard: None,
            majors: Vec::new(),
            releases: Vec::new(),
            release_files: Vec::new(),
            clients: vec![ClientKind::Kong],
            stacks: Stack::ALL.to_vec(),
        }
    }
}

/// Where servers are to run.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RuntimeChoice {
    /// Each major in containers if an engine answers and has an image of it, otherwise as local processes.
    #[default]
    Auto,
    /// In containers.
    Docker,
    /// As processes of the installed binaries.
    Local,
}

/// Where servers are to run, and of which images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeRequest {
    /// Where.
    pub choice: RuntimeChoice,
    /// The images of majors, where they are not the default ones.
    pub images: Vec<(Major, String)>,
}

/// Options of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientRequest {
    /// The images of the client `kong-image`, each of another release.
    pub kong_images: Vec<KongImage>,
    /// The checkouts of the client `pgmoon`.
    #[serde(default)]
    pub pgmoon: Vec<PathBuf>,
    /// The image in which the clients `openresty` and `pgmoon` run, instead of the programs of this machine.
    #[serde(default)]
    pub openresty_image: Option<String>,
    /// The command line of the client `command`.
    pub command: Option<String>,
}

/// What is kept of cells beside their results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceRequest {
    /// Of which cells evidence is kept; of none, if not given.
    pub of: Option<EvidenceOf>,
    /// Whether the private keys of both sides are kept, too.
    pub keys: bool,
}

/// Of which cells evidence is kept.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum EvidenceOf {
    /// Of those that need attention.
    Failed,
    /// Of all.
    All,
}

/// How much a run does at once, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// How many servers are used at once; three for each processor, if not given.
    pub jobs: Option<u32>,
    /// How long a cell may take, in seconds.
    pub timeout_s: u64,
    /// Whether the run ends when a cell fails.
    pub fail_fast: bool,
    /// How often a cell that failed is run again.
    pub retries: u32,
    /// How often each cell is run.
    pub repeat: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { jobs: None, timeout_s: 60, fail_fast: false, retries: 0, repeat: 1 }
    }
}

impl Options {
    /// These options with the cells and the clients of others. A runtime and majors that are named here count.
    #[must_use]
    pub fn like(self, other: &Self) -> Self {
        let mut like = other.clone();
        if self.runtime.choice != RuntimeChoice::Auto {
            like.runtime.choice = self.runtime.choice;
        }
        if !self.cells.majors.is_empty() {
            like.cells.majors = self.cells.majors;
        }
        like
    }
}

impl Limits {
    /// How many servers are used at once. A cell spends most of its time waiting for the other side, so one for each
    /// processor would leave them idle.
    #[must_use]
    pub fn jobs(&self) -> u32 {
        let processors = || std::thread::available_parallelism().map_or(2, |count| count.get().try_into().unwrap_or(2));
        self.jobs.unwrap_or_else(|| 3 * processors())
    }

    /// How long a cell may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}
