//! A run that has ended, the trait of what reports it, and what reports have in common.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::judge::Verdict;
use crate::run::{Agreement, CellResult, Event, RunInfo};
use crate::suite::Difference;

/// A run that has ended.
#[derive(Debug)]
pub struct Report {
    /// What the run was to do, and where.
    pub info: RunInfo,
    /// The results, in the order of the plan.
    pub results: Vec<CellResult>,
    /// How far other clients agree with `kong`.
    pub agreement: Vec<Agreement>,
    /// Entries of differences.yaml that no cell confirms although all of their cells were run.
    pub stale: Vec<Arc<Difference>>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// How long it took.
    pub duration: Duration,
}

impl Report {
    /// How many cells have a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict() == verdict).count()
    }

    /// `12 pass, 1 fail`
    #[must_use]
    pub fn tally(&self) -> String {
        tally(self.results.iter().map(CellResult::verdict))
    }

    /// `158 of 722 cells were run`, unless all were.
    #[must_use]
    pub fn partial(&self) -> Option<String> {
        let (done, planned) = (self.results.len(), self.info.planned);
        (done < planned).then(|| format!("{done} of {planned} cells were run"))
    }
}

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
    fn event(&mut self, _event: &Event) {}

    /// The run has ended.
    ///
    /// # Errors
    /// If the report cannot be written.
    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    /// The file it writes, if it does.
    fn file(&self) -> Option<PathBuf> {
        None
    }
}

/// `1 cell`, `2 cells`
pub(super) fn cells(count: usize) -> String {
    format!("{count} cell{}", if count == 1 { "" } else { "s" })
}

/// A configuration file without the passwords in it.
pub(super) fn without_passwords(text: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim().to_lowercase().ends_with("password") => format!("{key}= ********\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Writes a file completely or not at all.
pub(super) fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    std::fs::write(&unfinished, content)?;
    std::fs::rename(unfinished, path)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_in_files_and_variables() {
        let text = "pg_ssl = on\npg_password = secret\nKONG_PG_PASSWORD=secret\npg_user = password\n";
        let masked = "pg_ssl = on\npg_password = ********\nKONG_PG_PASSWORD= ********\npg_user = password\n";
        assert_eq!(without_passwords(text), masked);
    }

    #[test]
    fn verdicts_are_counted_from_good_to_bad() {
        assert_eq!(tally([Verdict::Fail, Verdict::Pass, Verdict::Pass].into_iter()), "2 pass, 1 fail");
        assert_eq!(tally([].into_iter()), "not run");
    }

    /// The report of a run without a cell.
    pub(in super::super) fn empty() -> Report {
        let info = RunInfo {
            planned: 0,
            runtime: postgres_tls_server::RuntimeKind::Local,
            why: String::new(),
            servers: Vec::new(),
            releases: Vec::new(),
            clients: std::collections::BTreeMap::new(),
            rerun: crate::run::RerunOptions::default(),
            started: std::time::SystemTime::UNIX_EPOCH,
        };
        let (results, agreement, stale) = (Vec::new(), Vec::new(), Vec::new());
        Report { info, results, agreement, stale, interrupted: false, duration: Duration::ZERO }
    }
}
