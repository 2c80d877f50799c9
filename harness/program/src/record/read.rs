//! Reading the results of a run: from `results.json`, or from the log of a run that did not come to write it.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::entry::{LogError, replay};
use super::run::{FORMAT, Results};

/// The name of the result file in a folder.
pub const RESULTS: &str = "results.json";
/// The name of the log in a folder.
pub const EVENTS: &str = "events.jsonl";

/// Why results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; name a results.json, an events.jsonl, or the folder of a run", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not a result file of this version.
    #[error("{} is not a result file of this version: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is a result file of another version.
    #[error("{} is not a result file of this version: it has format {format}, and this version reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// It is not a log of this version.
    #[error("{} is not a log of a run: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: LogError,
    },
}

/// The result file in a folder, or its log if there is none; a file as it is.
#[must_use]
pub fn results_file(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let (results, log) = (path.join(RESULTS), path.join(EVENTS));
    if !results.exists() && log.exists() { log } else { results }
}

impl Results {
    /// Reads a result file or a log, or the one in a folder.
    ///
    /// # Errors
    /// If there is none, or if it is something else.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let path = results_file(path);
        let unreadable = |source| ReadError::Unreadable { path: path.clone(), source };
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let log = File::open(&path).map_err(unreadable)?;
            return replay(BufReader::new(log)).map_err(|source| ReadError::Log { path: path.clone(), source });
        }
        let text = std::fs::read(&path).map_err(unreadable)?;
        serde_json::from_slice(&text).map_err(|source| match format_of(&text) {
            Some(format) if format != u64::from(FORMAT) => ReadError::Format { path: path.clone(), format },
            _ => ReadError::Malformed { path: path.clone(), source },
        })
    }
}

fn format_of(text: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(text).ok()?.get("format")?.as_u64()
}
