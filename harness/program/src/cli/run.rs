//! `run`

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::signals::Signals;
use super::{CellArgs, Exit, Failure, print};
use crate::judge::Verdict;
use crate::load::block;
use crate::record::{LATEST, ROOT, Results, RunEnd, new_run};
use crate::report::{Detail, Display, Seen, finish, reporters};
use crate::session::{Blessed, Limits, Options, Session, bless, is_open};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    cells: CellArgs,
    /// How many servers are used at once; by default as many as there are processors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// How long a cell may take.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// End the run when a cell fails.
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    display: DisplayArgs,
    /// The folder for results.json, events.jsonl, junit.xml and report.html; by default a new one below
    /// target/kong-pg-tls/runs, with target/kong-pg-tls/latest as a link to it.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// How many runs are kept in target/kong-pg-tls/runs.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..))]
    keep: u16,
    /// Write what is observed into the scenario files wherever `expect:` is empty. Nothing else in them changes.
    #[arg(long, requires = "scenarios")]
    bless: bool,
}

/// What is shown.
#[derive(Debug, Args)]
struct DisplayArgs {
    /// Show only what is bad, and the last line.
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    /// Show a line for each cell, and all deviations and remarks, not only those that the last run did not have.
    #[arg(long, short)]
    verbose: bool,
    /// Leave out which settings Kong ignores or misreads.
    #[arg(long)]
    no_remarks: bool,
}

impl DisplayArgs {
    fn display(&self) -> Display {
        let detail = match (self.quiet, self.verbose) {
            (true, _) => Detail::Quiet,
            (_, true) => Detail::Cells,
            _ => Detail::Scenarios,
        };
        Display { detail, no_remarks: self.no_remarks }
    }

    /// What need not be said again: all that the run before has said, whose results are in this folder.
    fn seen(&self, before: &Path) -> Seen {
        if self.verbose { Seen::default() } else { Seen::in_folder(before) }
    }
}

pub(super) async fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let limits = Limits { jobs: args.jobs, timeout_s: args.timeout, fail_fast: args.fail_fast };
    let options = Options { limits, ..args.cells.options() };
    writable(args.results.as_deref().unwrap_or(Path::new(ROOT)))?;
    let mut signals = Signals::listen()?;
    let session = Session::open(&options).await?;
    let seen = args.display.seen(args.results.as_deref().unwrap_or(Path::new(LATEST)));
    let folder = results_folder(args)?;
    let mut reporters =
        reporters(&folder, args.display.display(), seen).map_err(|error| unwritable(&folder, &error))?;
    let results = session.run(session.cells.clone(), &mut reporters, signals.wait()).await;
    let blessed = if args.bless { Some(bless(&session.cells, &results)) } else { None };
    session.close().await;
    finish(&mut reporters, &results)?;
    let Some(blessed) = blessed else { return Ok(exit(&results)) };
    let blessed = blessed.map_err(|error| Failure { exit: Exit::Failed, message: error.to_string() })?;
    print(|out| write_blessed(out, &blessed))?;
    Ok(exit_after_blessing(&results, &blessed))
}

fn write_blessed(out: &mut dyn Write, blessed: &[Blessed]) -> io::Result<()> {
    if blessed.is_empty() {
        return writeln!(out, "There is no empty `expect:` among these cells.");
    }
    for Blessed { place, expectation } in blessed {
        writeln!(out, "written at {place}:")?;
        block(expectation).lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    Ok(())
}

/// What was left open, and is no longer, is no failure.
fn exit_after_blessing(run: &Results, blessed: &[Blessed]) -> Exit {
    let others: Vec<_> = run.cells.iter().filter(|cell| !is_open(cell)).map(|cell| cell.verdict).collect();
    let open = run.cells.len() - others.len();
    if run.end == RunEnd::Interrupted || (others.is_empty() && blessed.is_empty()) {
        return exit(run);
    }
    if others.is_empty() { Exit::Success } else { exit_of(others.into_iter(), run.run.planned - open) }
}

/// The folder that is named, or a new one.
fn results_folder(args: &RunArgs) -> Result<PathBuf, Failure> {
    if let Some(folder) = &args.results {
        return Ok(folder.clone());
    }
    new_run(args.keep.into()).map_err(|error| unwritable(Path::new(ROOT), &error))
}

fn exit(run: &Results) -> Exit {
    if run.end == RunEnd::Interrupted {
        return Exit::Interrupted;
    }
    if !run.stale_differences.is_empty() {
        return Exit::Failed;
    }
    exit_of(run.verdicts(), run.run.planned)
}

/// Success needs proof: a cell that was run to its end, and none that could not be.
fn exit_of(verdicts: impl Iterator<Item = Verdict>, planned: usize) -> Exit {
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

/// Fails before the run, not after it.
fn writable(folder: &Path) -> Result<(), Failure> {
    let probe = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    probe.map(drop).map_err(|error| unwritable(folder, &error))
}

fn unwritable(folder: &Path, error: &io::Error) -> Failure {
    let path = folder.display();
    Failure::environment(format!("cannot write results to {path}: {error}; name another folder with --results"))
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
