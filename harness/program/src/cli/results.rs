//! Where the results of a command go, and its exit status.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure};
use crate::judge::Verdict;
use crate::record::{LATEST, ROOT, Results, RunEnd, new_run, usual_pace};
use crate::report::{Detail, Display, Reporter, Seen, reporters};
use crate::run::Pace;

/// Where results go.
#[derive(Debug, Args)]
pub(super) struct ResultsArgs {
    /// The folder for results.json, events.jsonl, junit.xml and report.html; by default a new one below
    /// target/kong-pg-tls/runs, with target/kong-pg-tls/latest as a link to it.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// How many runs are kept in target/kong-pg-tls/runs.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..))]
    keep: u16,
}

/// Where the results of a run go.
pub(super) struct Output {
    pub(super) folder: PathBuf,
    pub(super) reporters: Vec<Box<dyn Reporter>>,
    /// How long cells took in the runs before.
    pub(super) pace: Pace,
}

impl ResultsArgs {
    /// Fails before a run, not after it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let folder = self.results.as_deref().unwrap_or(Path::new(ROOT));
        let probe = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
        probe.map(drop).map_err(|error| unwritable(folder, &error))
    }

    /// The folder that is named, or a new one, and the reporters that write to it.
    pub(super) fn output(&self, display: Display) -> Result<Output, Failure> {
        let before = self.results.as_deref().unwrap_or(Path::new(LATEST));
        // All is shown on request.
        let seen = if display.detail == Detail::Cells { Seen::default() } else { Seen::in_folder(before) };
        let pace = usual_pace(self.results.as_deref());
        let folder = match &self.results {
            Some(folder) => std::fs::create_dir_all(folder).map(|()| folder.clone()),
            None => new_run(self.keep.into()),
        };
        let folder = folder.map_err(|error| unwritable(before, &error))?;
        let reporters = reporters(&folder, display, seen).map_err(|error| unwritable(&folder, &error))?;
        Ok(Output { folder, reporters, pace })
    }
}

pub(super) fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    let path = folder.display();
    Failure::environment(format!("cannot write results to {path}: {error}; name another folder with --results"))
}

/// The exit status of a run.
pub(super) fn exit(run: &Results, no_flaky: bool) -> Exit {
    if run.end == RunEnd::Interrupted {
        return Exit::Interrupted;
    }
    if !run.stale_differences.is_empty() || no_flaky && run.flaky().next().is_some() {
        return Exit::Failed;
    }
    exit_of(run.verdicts(), run.run.planned)
}

/// Success needs proof: a cell that was run to its end, and none that could not be.
pub(super) fn exit_of(verdicts: impl Iterator<Item = Verdict>, planned: usize) -> Exit {
    let verdicts: Vec<_> = verdicts.collect();
    let any = |wanted: &[Verdict]| verdicts.iter().any(|verdict| wanted.contains(verdict));
    if any(&[Verdict::Fail, Verdict::Timeout]) {
        Exit::Failed
    } else if any(&[Verdict::EnvironmentError, Verdict::Blocked])
        || verdicts.len() < planned
        || !verdicts.iter().any(|verdict| verdict.is_proof())
    {
        Exit::Environment
    } else {
        Exit::Success
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::proved(&[Verdict::Pass, Verdict::Unsupported], Exit::Success)]
    #[case::the_documents_are_wrong(&[Verdict::KnownDeviation], Exit::Success)]
    #[case::nothing_proved(&[Verdict::Unsupported, Verdict::Unsupported], Exit::Environment)]
    #[case::nothing_run(&[], Exit::Environment)]
    #[case::blocked(&[Verdict::Pass, Verdict::Blocked], Exit::Environment)]
    #[case::failed_and_blocked(&[Verdict::Fail, Verdict::Blocked], Exit::Failed)]
    #[case::timeout(&[Verdict::Pass, Verdict::Timeout], Exit::Failed)]
    #[case::environment(&[Verdict::Pass, Verdict::EnvironmentError], Exit::Environment)]
    fn success_needs_proof(#[case] verdicts: &[Verdict], #[case] expected: Exit) {
        assert_eq!(exit_of(verdicts.iter().copied(), verdicts.len()), expected);
    }

    #[test]
    fn a_cell_without_a_result_is_no_success() {
        assert_eq!(exit_of([Verdict::Pass].into_iter(), 2), Exit::Environment);
    }
}
