//! Where results are kept: a folder for each run, of which `latest` is a link to the newest.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use super::read::EVENTS;

/// The folder of all runs, unless another is named.
pub const ROOT: &str = "target/kong-pg-tls";
/// The results of the newest run, unless they are written elsewhere.
pub const LATEST: &str = "target/kong-pg-tls/latest";

/// Makes the folder of a run that begins now, points `latest` to it, and removes the oldest runs but `keep`.
///
/// # Errors
/// If the folder or the link cannot be made.
pub fn new_run(keep: usize) -> io::Result<PathBuf> {
    let root = Path::new(ROOT);
    let runs = root.join("runs");
    fs::create_dir_all(&runs)?;
    let folder = create(&runs, &name(OffsetDateTime::now_utc()))?;
    point(&root.join("latest"), &folder)?;
    prune(&runs, keep.max(1));
    Ok(folder)
}

/// `2026-11-24T20-35-12Z`: sorts by time, and is a name on every file system.
fn name(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]-[minute]-[second]Z");
    time.format(format).unwrap_or_default()
}

/// A folder of that name, or of the next that is free: two runs can begin in the same second.
fn create(runs: &Path, name: &str) -> io::Result<PathBuf> {
    for number in 1..1000 {
        let folder = runs.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Makes or replaces the link, at no time without one. A folder of that name, as earlier versions made it, becomes a run.
fn point(link: &Path, folder: &Path) -> io::Result<()> {
    if link.is_dir() && !link.is_symlink() {
        fs::rename(link, create(folder.parent().unwrap_or(folder), "0000-before")?)?;
    }
    let name = folder.file_name().unwrap_or_default();
    let new = link.with_file_name(format!("latest-{}", name.to_string_lossy()));
    symlink(Path::new("runs").join(name), &new)?;
    fs::rename(new, link)
}

/// The folders of the runs that are kept, the newest first.
pub(super) fn newest_runs() -> Vec<PathBuf> {
    newest_first(&Path::new(ROOT).join("runs"))
}

fn newest_first(runs: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(runs).into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort_by(|one, other| other.cmp(one));
    folders
}

/// Removes the oldest folders. What cannot be removed stays, and so does a run in progress.
fn prune(runs: &Path, keep: usize) {
    for folder in newest_first(runs).iter().skip(keep).filter(|folder| !is_running(folder)) {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Whether the run still writes its log, which it has locked.
fn is_running(folder: &Path) -> bool {
    File::open(folder.join(EVENTS)).is_ok_and(|log| matches!(log.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(runs: &Path) -> Vec<String> {
        let entries = fs::read_dir(runs).expect("a folder").filter_map(Result::ok);
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_link_points_to_the_newest_run_and_an_earlier_folder_of_its_name_is_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let (runs, link) = (root.path().join("runs"), root.path().join("latest"));
        fs::create_dir_all(&runs).expect("a folder");
        fs::create_dir(&link).expect("a folder");
        fs::write(link.join("results.json"), "{}").expect("a file");
        for _ in 0..2 {
            let run = create(&runs, "2026-01-01T00-00-00Z").expect("a run");
            point(&link, &run).expect("a link");
            assert_eq!(link.canonicalize().expect("a link"), run.canonicalize().expect("a run"));
        }
        assert_eq!(names(&runs), ["0000-before", "2026-01-01T00-00-00Z", "2026-01-01T00-00-00Z-2"]);
        assert!(runs.join("0000-before/results.json").exists());
    }

    #[test]
    fn only_the_newest_runs_and_those_in_progress_are_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let runs: Vec<_> = ["1", "2", "3", "4"].map(|name| create(root.path(), name).expect("a run")).into();
        let log = File::create(runs[0].join(EVENTS)).expect("a log");
        log.lock().expect("a lock");
        prune(root.path(), 2);
        assert_eq!(names(root.path()), ["1", "3", "4"]);
    }
}
