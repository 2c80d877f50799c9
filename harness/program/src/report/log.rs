//! `events.jsonl`: what happens in a run, line by line and while it happens.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use super::reporter::Reporter;
use crate::record::{EVENTS, Entry, Results};

/// The log in a folder. It is locked while the run lasts.
pub(super) struct EventLog {
    path: PathBuf,
    file: File,
    /// Why it ends early, if it does: a full disk does not stop the run.
    failed: Option<io::Error>,
}

impl EventLog {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(EVENTS);
        // A link is replaced and not followed: others may be able to write to the folder.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::create_new(&path)?;
        // Where the file system has no locks, the oldest runs are removed by age alone.
        let _ = file.try_lock();
        Ok(Self { path, file, failed: None })
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        // In one piece and without a buffer: what a killed run has written can be read.
        self.file.write_all(&line)
    }
}

impl Reporter for EventLog {
    fn event(&mut self, entry: &Entry) {
        if self.failed.is_none() {
            self.failed = self.write(entry).err();
        }
    }

    fn again(&mut self) {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        self.failed = self.failed.take().or(emptied.err());
    }

    fn finish(&mut self, _run: &Results) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}
