//! A run as `results.json` keeps it: its task, its environment and its results.

use std::collections::BTreeMap;

use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::{Major, RuntimeKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, agreements};
use super::cell::CellRecord;
use super::host::Host;
use super::time::rfc3339;
use crate::judge::Verdict;
use crate::leaks::Leak;
use crate::run::{Options, RunInfo};

/// The version of the format of `results.json` and `events.jsonl`.
pub(super) const FORMAT: u32 = 3;

/// Where the server of a major runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MajorRuntime {
    /// The major.
    pub major: Major,
    /// Where it runs.
    pub runtime: RuntimeKind,
}

/// What a run is to do, and where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The version of this format; it changes when a key disappears or changes its meaning.
    pub format: u32,
    /// The program and its version.
    pub program: String,
    /// The commit of the scenarios, with `-dirty` if they were changed since; `null` if that is not known.
    pub commit: Option<String>,
    /// When the run began (RFC 3339).
    pub started: String,
    /// The machine; of merged runs, those of all parts.
    pub hosts: Vec<Host>,
    /// What was asked for.
    pub options: Options,
    /// How many cells are planned.
    pub planned: usize,
    /// How many there are if the run is not a shard.
    pub planned_unsharded: usize,
    /// How many of them are of each scenario on each major: `tls/hba-lines@pg17`.
    pub scenarios: BTreeMap<String, usize>,
    /// Where servers run; `null` if not all run in the same way.
    pub runtime: Option<RuntimeKind>,
    /// Where the server of each major runs.
    #[serde(default)]
    pub runtimes: Vec<MajorRuntime>,
    /// Why there. Not kept: it may name a path of the machine.
    #[serde(skip)]
    pub why: String,
    /// The servers, each with its image or folder. Not kept: it may be a path of the machine.
    #[serde(skip)]
    pub servers: Vec<(Major, String)>,
    /// The Kong releases.
    pub releases: Vec<String>,
    /// The clients, with their versions.
    pub clients: BTreeMap<ClientKind, String>,
    /// The entries of differences.yaml about these clients, each with the number of cells it is about in a whole run.
    pub differences: BTreeMap<String, usize>,
    /// The claims that its cells check, and what the documents say.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
}

impl RunRecord {
    /// The record of a run that begins.
    #[must_use]
    pub fn new(info: &RunInfo, commit: Option<String>) -> Self {
        let RunInfo {
            planned,
            planned_unsharded,
            scenarios,
            why,
            servers,
            releases,
            clients,
            options,
            differences,
            claims,
            started,
        } = info;
        Self {
            format: FORMAT,
            program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
            commit,
            started: rfc3339(*started),
            hosts: vec![Host::here()],
            options: options.clone(),
            planned: *planned,
            planned_unsharded: *planned_unsharded,
            scenarios: scenarios.clone(),
            runtime: servers
                .first()
                .map(|first| first.runtime)
                .filter(|first| servers.iter().all(|it| it.runtime == *first)),
            runtimes: servers
                .iter()
                .map(|server| MajorRuntime { major: server.major, runtime: server.runtime })
                .collect(),
            why: why.clone(),
            servers: servers.iter().map(|server| (server.major, server.source.clone())).collect(),
            releases: releases.clone(),
            clients: clients.clone(),
            differences: differences.clone(),
            claims: claims.clone(),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// As planned.
    #[strum(serialize = "it has ended")]
    Finished,
    /// Ctrl-C or SIGTERM.
    #[strum(serialize = "it was interrupted")]
    Interrupted,
    /// At the first failure, with `--fail-fast`.
    #[strum(serialize = "it was to end at the first failure")]
    FailedFast,
    /// It was merged without some of its parts.
    #[strum(serialize = "parts of it are missing")]
    PartsMissing,
    /// Its log ends before the run does: it is still going on, or it was killed.
    #[strum(serialize = "it was killed, or is still running")]
    Unknown,
}

/// A result file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// What the run was to do, and where.
    #[serde(flatten)]
    pub run: RunRecord,
    /// How it ended.
    pub end: RunEnd,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
    /// Whether all cells have a result.
    pub complete: bool,
    /// The results, in the order of the plan.
    pub cells: Vec<CellRecord>,
    /// How far each other client agrees with `kong`, if both were run.
    pub agreement: Vec<Agreement>,
    /// The places of entries in differences.yaml that no cell confirms although all of their cells were run.
    pub stale_differences: Vec<String>,
    /// What was left when all servers and clients had been stopped, and no cell had left.
    #[serde(default)]
    pub leaks: Vec<Leak>,
}

impl Results {
    /// The results of a run.
    #[must_use]
    pub fn new(run: RunRecord, mut cells: Vec<CellRecord>, end: RunEnd, duration_ms: u64) -> Self {
        cells.sort_unstable_by(|one, other| (one.number, &one.id).cmp(&(other.number, &other.id)));
        let complete = cells.len() >= run.planned;
        let (agreement, stale_differences) = (agreements(&cells), stale(&run, &cells));
        Self { run, end, duration_ms, complete, cells, agreement, stale_differences, leaks: Vec::new() }
    }

    /// `158 of 722 cells were run: it was interrupted`, unless all were.
    #[must_use]
    pub fn partial(&self) -> Option<String> {
        let (done, planned, end) = (self.cells.len(), self.run.planned, self.end);
        (!self.complete).then(|| format!("{done} of {planned} cells were run: {end}"))
    }

    /// The verdicts.
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        self.cells.iter().map(|cell| cell.verdict)
    }

    /// The cells that needed more than one attempt, or failed in some.
    pub fn flaky(&self) -> impl Iterator<Item = &CellRecord> {
        self.cells.iter().filter(|cell| cell.is_flaky())
    }

    /// What was left of the run, but for what is known from its cells.
    #[must_use]
    pub fn beyond_cells(&self, left: Vec<Leak>) -> Vec<Leak> {
        let known = |pid| {
            let mut of_cells = self.cells.iter().flat_map(|cell| &cell.leaks);
            of_cells.any(|leak| matches!(leak, Leak::Process { pid: known, .. } if *known == pid))
        };
        left.into_iter().filter(|leak| !matches!(leak, Leak::Process { pid, .. } if known(*pid))).collect()
    }

    /// The cells that took too long.
    pub fn slow(&self) -> impl Iterator<Item = &CellRecord> {
        self.cells.iter().filter(|cell| cell.slow.is_some())
    }

    /// The cells that left something behind.
    pub fn leaky(&self) -> impl Iterator<Item = &CellRecord> {
        self.cells.iter().filter(|cell| !cell.leaks.is_empty())
    }

    /// What is remarkable about cells besides their verdicts: the id of each, with a word for it.
    pub fn marks(&self) -> impl Iterator<Item = (&CellRecord, &'static str, String)> {
        self.cells.iter().flat_map(|cell| cell.marks().map(move |(word, text)| (cell, word, text)))
    }

    /// The cells that need attention.
    pub fn problems(&self) -> impl Iterator<Item = &CellRecord> {
        self.cells.iter().filter(|cell| cell.verdict.is_problem())
    }
}

/// The entries of differences.yaml of which every cell was run, and none confirms the entry.
fn stale(run: &RunRecord, cells: &[CellRecord]) -> Vec<String> {
    let is_stale = |(place, all): &(&String, &usize)| {
        let about: Vec<_> = cells.iter().filter(|cell| cell.may_differ.contains(place)).collect();
        let confirms = |cell: &&CellRecord| {
            cell.verdict.is_problem() || cell.difference.as_ref().is_some_and(|known| known.place == **place)
        };
        about.len() == **all && about.iter().any(|cell| cell.verdict.is_proof()) && !about.iter().any(confirms)
    };
    run.differences.iter().filter(is_stale).map(|(place, _)| place.clone()).collect()
}
