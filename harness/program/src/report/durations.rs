//! `durations.json`, for the next run.

use std::io;
use std::path::PathBuf;

use super::reporter::{Reporter, replace_file};
use crate::record::{DURATIONS, Durations, Results};

/// The file in a folder.
pub(super) struct DurationsReport {
    pub(super) folder: PathBuf,
}

impl Reporter for DurationsReport {
    fn finish(&mut self, run: &Results) -> io::Result<()> {
        replace_file(&self.folder.join(DURATIONS), &|out| Ok(serde_json::to_writer(out, &Durations::of(run))?))
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.folder.join(DURATIONS))
    }
}
