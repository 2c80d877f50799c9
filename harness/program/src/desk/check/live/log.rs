//! The server's log: what it says while Kong connects.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A log, and where it ended before anybody connected.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    end: u64,
}

/// The server may write what it has to say a little later than Kong hears of it.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);

/// More is not shown.
const LIMIT: u64 = 64 * 1024;

impl Log {
    /// Remembers where the log ends.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn follow(path: &Path) -> io::Result<Self> {
        let end = File::open(path)?.metadata()?.len();
        Ok(Self { path: path.to_owned(), end })
    }

    /// The same log from here on.
    pub(super) async fn skip_to_end(&self) -> Self {
        tokio::time::sleep(PATIENCE).await;
        Self::follow(&self.path).unwrap_or_else(|_| Self { path: self.path.clone(), end: self.end })
    }

    /// The lines that have been written since.
    pub(super) async fn since(&self) -> Vec<String> {
        tokio::time::sleep(PATIENCE).await;
        let read = || {
            let mut file = File::open(&self.path)?;
            // A log that has become shorter was truncated or replaced.
            let begins = if file.metadata()?.len() < self.end { 0 } else { self.end };
            file.seek(SeekFrom::Start(begins))?;
            let mut bytes = Vec::new();
            file.take(LIMIT).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(bytes)
        };
        match read() {
            Ok(bytes) => String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect(),
            Err(error) => vec![format!("(the log cannot be read any more: {error})")],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn only_what_is_written_afterwards_is_shown() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "old").expect("a line");
        let log = Log::follow(file.path()).expect("a log");
        writeln!(file, "new").expect("a line");
        assert_eq!(log.since().await, ["new"]);
        file.as_file().set_len(0).expect("an empty file");
        std::fs::write(file.path(), "x\n").expect("a line");
        assert_eq!(log.since().await, ["x"]);
    }
}
