//! A case of a suite, ready to be planned and run.

use std::path::PathBuf;
use std::sync::Arc;

use super::expectation::Expectation;
use super::situation::Situation;
use crate::format::{Documented, ServerLog};
use crate::load::Position;
use crate::vocabulary::{ClientKind, OpenConnection, OpensslReleases, PostgresRange};
use kong_pg_client::Profile;

/// A situation, and what must happen in it.
#[derive(Debug, Clone)]
pub struct Case {
    /// `scenario/path::case-slug`.
    pub id: String,
    /// `scenario/path`.
    pub scenario: String,
    /// The sentence that names it.
    pub name: String,
    /// The file and line it is written at.
    pub place: String,
    /// What a reader should know about its scenario, and about itself.
    pub about: Vec<String>,
    /// The claims of the documents that it proves.
    pub claims: Vec<String>,
    /// The URLs it comes from.
    pub source: Vec<String>,
    /// Why it is here, if for no claim and no source.
    pub reason: Option<String>,
    /// The Kong releases it is about; those that the run is about, if none is named.
    pub releases: Vec<Profile>,
    /// The versions it has a meaning on.
    pub only: Option<Only>,
    /// Why it has none at its point of the axes.
    pub excluded: Option<String>,
    /// The releases that it has no meaning with, and why not.
    pub excluded_releases: Vec<(Vec<Profile>, String)>,
    /// Where the documents are wrong about it, or silent.
    pub documented: Vec<Arc<Documented>>,
    /// What is configured, and what must happen; more than one where something changes after a first connection, none
    /// where the case has no meaning.
    pub steps: Vec<Step>,
}

impl Case {
    /// Whether Kong keeps its first connection open for a later step.
    #[must_use]
    pub fn keeps_first_open(&self) -> bool {
        self.uses_pool() || self.steps.iter().any(|step| step.open_connection.is_some())
    }

    /// Whether a later step takes a connection from Kong's pool.
    #[must_use]
    pub fn uses_pool(&self) -> bool {
        self.steps.iter().any(|step| step.change == Change::FromPool)
    }

    /// Whether it shows that a claim is wrong, on some of the stacks and versions at least.
    #[must_use]
    pub fn contradicts(&self, claim: &str) -> bool {
        self.documented.iter().any(|documented| documented.claim == claim && documented.says.is_some())
    }
}

/// The versions a case has a meaning on.
#[derive(Debug, Clone)]
pub struct Only {
    /// PostgreSQL majors.
    pub postgres: Option<PostgresRange>,
    /// Release lines of the OpenSSL that the server is linked with.
    pub openssl: Option<OpensslReleases>,
    /// Whether PostgreSQL must have been built without TLS.
    pub built_without_tls: bool,
    /// The only clients that can show it; all, if none is named.
    pub clients: Vec<ClientKind>,
    /// Why not elsewhere.
    pub because: String,
}

/// A configuration, and what must happen when Kong connects.
#[derive(Debug, Clone)]
pub struct Step {
    /// Both sides' configuration.
    pub situation: Situation,
    /// How it comes about.
    pub change: Change,
    /// What the server logs of that; `None` where it is not the case's subject.
    pub log: Option<ServerLog>,
    /// What becomes of the first connection, which Kong has kept open.
    pub open_connection: Option<OpenConnection>,
    /// SQL queries of the superuser, each with the server's answer.
    pub queries: Vec<(String, String)>,
    /// When what must happen does, and why.
    pub about: Vec<String>,
    /// Where the file leaves open what must happen then.
    pub blank: Option<Blank>,
    /// What must happen then; `None` where the case only prepares the next step, or leaves it open.
    pub expect: Option<Expectation>,
}

/// A place in a scenario file where an expectation is still to be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Blank {
    /// The file.
    pub file: PathBuf,
    /// Where its key is.
    pub key: Position,
}

/// How the configuration of a step comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is the first.
    First,
    /// By a reload of the running server.
    Reload,
    /// By a restart of the server.
    Restart,
    /// By a reload of the running server, beside a Kong that is not reloaded.
    RunningKong,
    /// It is that of a second server, which Kong's read-only connection goes to.
    ReadOnly,
    /// It is that of Kong's read-only connection to the same server, while the main one is in Kong's pool.
    FromPool,
}

impl Change {
    /// Whether it is about Kong's read-only connection, and nothing that comes after it.
    #[must_use]
    pub fn is_of_read_only_connection(self) -> bool {
        matches!(self, Self::ReadOnly | Self::FromPool)
    }
}
