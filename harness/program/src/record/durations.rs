//! `durations.json`: how long the cells of a run took, so that the next runs know what is slow. It is small, where
//! `results.json` of the whole suite takes seconds to read.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use postgres_tls_server::RuntimeKind;
use serde::{Deserialize, Serialize};

use super::folder::newest_runs;
use super::run::Results;
use crate::run::Pace;

/// The name of the file in a folder.
pub const DURATIONS: &str = "durations.json";

/// How many of the kept runs count.
const RUNS: usize = 5;

/// How long cells took, in milliseconds, by their ids and by where their servers ran.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Durations(IndexMap<RuntimeKind, BTreeMap<String, u64>>);

impl Durations {
    /// Those of the cells that were run to their end.
    #[must_use]
    pub fn of(run: &Results) -> Self {
        let mut durations = Self::default();
        for cell in run.cells.iter().filter(|cell| cell.verdict.is_proof()) {
            durations.0.entry(cell.runtime).or_default().insert(cell.id.to_string(), cell.duration_ms);
        }
        durations
    }

    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(DURATIONS)).ok()?).ok()
    }
}

/// What the kept runs tell, and the one whose results are in a folder, if that is another.
#[must_use]
pub fn usual_pace(folder: Option<&Path>) -> Pace {
    let folders = folder.map(PathBuf::from).into_iter().chain(newest_runs());
    let mut earlier = HashMap::<_, Vec<_>>::new();
    for Durations(durations) in folders.filter_map(|folder| Durations::read(&folder)).take(RUNS) {
        for (runtime, cells) in durations {
            for (cell, ms) in cells {
                earlier.entry((runtime, cell)).or_default().push(Duration::from_millis(ms));
            }
        }
    }
    Pace::of(earlier)
}
