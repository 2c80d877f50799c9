//! As much of a result file as a comparison needs; results of other versions of the program can be read as well.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::judge::Verdict;
use crate::record::{self, CellRecord, EVENTS, ObservedRecord, OutcomeRecord, Results, results_file};

/// Why a result file cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read, or it is the log of a run and not one of this version.
    #[error(transparent)]
    Read(#[from] record::ReadError),
    /// It is not a result file.
    #[error("{} is not a result file of kong-pg-tls: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// A run, read from its result file.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// How many cells were planned.
    pub(super) planned: usize,
    /// The cells that have a result.
    pub(super) cells: Vec<Cell>,
}

impl Run {
    /// Reads a result file or a log, or the one in a folder.
    ///
    /// # Errors
    /// If there is none, or if it is something else.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let path = results_file(path);
        if path.extension() == Path::new(EVENTS).extension() {
            return Ok(Self::from(&Results::read(&path)?));
        }
        let unreadable = |source| record::ReadError::Unreadable { path: path.clone(), source };
        let text = std::fs::read(&path).map_err(unreadable)?;
        serde_json::from_slice(&text).map_err(|source| ReadError::Malformed { path, source })
    }

    /// Whether cells were planned that have no result.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.cells.len() < self.planned
    }
}

impl From<&Results> for Run {
    fn from(results: &Results) -> Self {
        Self { planned: results.run.planned, cells: results.cells.iter().map(Cell::from).collect() }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Cell {
    pub(super) id: String,
    pub(super) postgres: Postgres,
    pub(super) client: String,
    pub(super) stack: String,
    pub(super) kong: String,
    pub(super) verdict: Verdict,
    pub(super) observed: Option<Observed>,
}

impl Cell {
    /// `scenario/path::case-slug`, without the axes.
    pub(super) fn case(&self) -> &str {
        self.id.split_once('@').map_or(&self.id, |(case, _)| case)
    }
}

impl From<&CellRecord> for Cell {
    fn from(cell: &CellRecord) -> Self {
        let CellRecord { id, postgres, client, stack, kong, verdict, observed, .. } = cell;
        let (version, openssl) = (postgres.version.clone(), postgres.openssl.clone());
        Self {
            id: id.to_string(),
            postgres: Postgres { major: postgres.major.0, version, openssl },
            client: client.to_string(),
            stack: stack.to_string(),
            kong: kong.clone(),
            verdict: *verdict,
            observed: observed.as_ref().map(Observed::from),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Postgres {
    pub(super) major: u16,
    pub(super) version: Option<String>,
    pub(super) openssl: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Observed {
    pub(super) connected: bool,
    pub(super) tls: Option<Tls>,
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) server_log: Vec<Arc<str>>,
}

impl From<&ObservedRecord> for Observed {
    fn from(observed: &ObservedRecord) -> Self {
        let OutcomeRecord { connected, tls, error, .. } = &*observed.outcome;
        let tls = tls
            .as_ref()
            .and_then(|session| Some(Tls { version: session.version.clone()?, client_dn: session.client_dn.clone() }));
        Self { connected: *connected, tls, error: error.clone(), server_log: observed.server_log.clone() }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Tls {
    pub(super) version: String,
    pub(super) client_dn: Option<String>,
}
