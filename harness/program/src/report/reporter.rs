//! The trait of what reports a run, and what reports have in common.

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::judge::Verdict;
use crate::record::{CellRecord, Entry, Results};

/// How many names a sentence lists.
const SHOWN: usize = 6;

/// How many cells have which verdict: `12 pass, 1 fail`.
pub(super) fn tally(verdicts: impl Iterator<Item = Verdict>) -> String {
    let verdicts: Vec<_> = verdicts.collect();
    let count = |verdict: Verdict| verdicts.iter().filter(|other| **other == verdict).count();
    let counts = Verdict::ALL.iter().map(|verdict| (count(*verdict), verdict));
    let counts: Vec<_> =
        counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if counts.is_empty() { "not run".into() } else { counts.join(", ") }
}

/// A list that may be long, as a part of a sentence.
pub(super) fn some(names: &[String]) -> String {
    match names {
        [first, others @ ..] if names.len() > SHOWN => format!("{first} and {} others", others.len()),
        names => names.join(", "),
    }
}

/// One form in which a run is reported.
pub trait Reporter: Send {
    /// Something has happened in the run.
    fn event(&mut self, _entry: &Entry) {}

    /// The run starts over with all cells, and only the last repetition counts.
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

/// What puts the content of a file into a writer, piece by piece: the results of a run of all releases are hundreds of
/// megabytes.
pub type Content<'a> = &'a dyn Fn(&mut dyn io::Write) -> io::Result<()>;

/// What writes a file: [`write_file`] or [`replace_file`].
pub type Write = fn(&Path, Content<'_>) -> io::Result<()>;

/// Writes a file named on the command line, completely or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write_file(path: &Path, content: Content<'_>) -> io::Result<()> {
    // A device, a pipe or a link, as /dev/stdout is one, is written to and not replaced.
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return written(File::create(path)?, content).map(drop);
    }
    replace_file(path, content)
}

/// Writes a file of a folder of results, completely or not at all. A link in its place is replaced and not followed:
/// others may be able to write to the folder.
///
/// # Errors
/// If it cannot be written.
pub fn replace_file(path: &Path, content: Content<'_>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As many may read it as the process's mask says.
    let permissions = PermissionsExt::from_mode(0o666);
    let unfinished = tempfile::Builder::new().prefix(".unfinished-").permissions(permissions).tempfile_in(folder)?;
    written(unfinished, content)?.persist(path).map(drop).map_err(|error| error.error)
}

/// The file with this content.
fn written<F: io::Write>(file: F, content: Content<'_>) -> io::Result<F> {
    let mut file = BufWriter::new(file);
    content(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_written_through_and_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        for content in ["new", "again"] {
            write_file(&link, &|out| out.write_all(content.as_bytes())).expect("it can be written");
            assert!(link.is_symlink());
            assert_eq!(std::fs::read_to_string(&file).expect("a file"), content);
        }
    }

    #[test]
    fn a_link_among_the_results_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        std::fs::write(&file, "precious").expect("a file");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        replace_file(&link, &|out| out.write_all(b"new")).expect("it can be written");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "precious");
        assert_eq!(std::fs::read_to_string(&link).expect("a file"), "new");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn verdicts_are_counted_from_good_to_bad() {
        assert_eq!(tally([Verdict::Fail, Verdict::Pass, Verdict::Pass].into_iter()), "2 pass, 1 fail");
        assert_eq!(tally([].into_iter()), "not run");
    }
}
