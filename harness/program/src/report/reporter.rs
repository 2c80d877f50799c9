//! The trait of what reports a run, and what reports have in common.

use std::io;
use std::path::{Path, PathBuf};

use crate::judge::Verdict;
use crate::record::{CellRecord, Entry, Results};

/// How many cells have which verdict: `12 pass, 1 fail`.
pub(super) fn tally(verdicts: impl Iterator<Item = Verdict>) -> String {
    let verdicts: Vec<_> = verdicts.collect();
    let count = |verdict: Verdict| verdicts.iter().filter(|other| **other == verdict).count();
    let counts = Verdict::ALL.iter().map(|verdict| (count(*verdict), verdict));
    let counts: Vec<_> =
        counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if counts.is_empty() { "not run".into() } else { counts.join(", ") }
}

/// One form in which a run is reported.
pub trait Reporter {
    /// Something has happened in the run.
    fn event(&mut self, _entry: &Entry) {}

    /// The run goes on with all cells from the beginning, and only the last time counts.
    fn again(&mut self) {}

    /// The run has ended.
    ///
    /// # Errors
    /// If the report cannot be written.
    fn finish(&mut self, _run: &Results) -> io::Result<()> {
        Ok(())
    }

    /// The file it writes, if it does.
    fn file(&self) -> Option<PathBuf> {
        None
    }
}

/// The cells that need attention, worst first.
pub(super) fn worst_first(run: &Results) -> Vec<&CellRecord> {
    let mut problems: Vec<_> = run.problems().collect();
    problems.sort_by_key(|cell| std::cmp::Reverse(cell.verdict));
    problems
}

/// `1 cell`, `2 cells`
pub(super) fn cells(count: usize) -> String {
    format!("{count} cell{}", if count == 1 { "" } else { "s" })
}

/// Writes a file completely or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    std::fs::write(&unfinished, content)?;
    std::fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted_from_good_to_bad() {
        assert_eq!(tally([Verdict::Fail, Verdict::Pass, Verdict::Pass].into_iter()), "2 pass, 1 fail");
        assert_eq!(tally([].into_iter()), "not run");
    }
}
