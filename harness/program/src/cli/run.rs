//! `run`

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::limits::LimitArgs;
use super::results::{ResultsArgs, exit, exit_of};
use super::signals::Signals;
use super::{CellArgs, Exit, Failure, print};
use crate::judge::Verdict;
use crate::load::block;
use crate::record::{Results, RunEnd};
use crate::report::{Detail, Display, finish};
use crate::session::{Blessed, Limits, Options, Session, bless, is_open};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    cells: CellArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// End the run when a cell fails.
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    display: DisplayArgs,
    #[command(flatten)]
    attempts: AttemptArgs,
    #[command(flatten)]
    results: ResultsArgs,
    /// Run again what failed, what was not run, and what is new, of the run in this folder, with its cells and options;
    /// keep its other results.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["globs", "image", "client", "kong_image", "client_command", "stack", "kong", "shard", "scenarios"])]
    rerun: Option<PathBuf>,
    /// Write what is observed into the scenario files wherever `expect:` is empty. Nothing else in them changes.
    #[arg(long, requires = "scenarios", conflicts_with_all = ["rerun", "until_failure"])]
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
}

/// How often a cell is run.
#[derive(Debug, Args)]
struct AttemptArgs {
    /// Run a cell that failed up to N more times; one that then passes is flaky.
    #[arg(long, value_name = "N", default_value = "0", conflicts_with = "repeat")]
    retries: u32,
    /// A flaky cell fails the run.
    #[arg(long)]
    no_flaky: bool,
    /// Run each cell N times; one that fails in any of them fails.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Run the cells again and again, until one fails or Ctrl-C.
    #[arg(long)]
    until_failure: bool,
}

pub(super) async fn run(args: &RunArgs) -> Result<Exit, Failure> {
    args.results.check()?;
    let before = args.rerun.as_deref().map(Results::read).transpose()?;
    let limits = Limits {
        fail_fast: args.fail_fast,
        retries: args.attempts.retries,
        repeat: args.attempts.repeat,
        ..args.limits.limits()
    };
    let asked = args.cells.options();
    let options = match &before {
        Some(before) => Options { limits, ..asked.like(&before.run.options) },
        None => Options { limits, ..asked },
    };
    let mut signals = Signals::listen()?;
    let session = Session::open(&options).await?;
    let (cells, kept) = session.outstanding(before.as_ref());
    let mut reporters = args.results.reporters(args.display.display())?;
    let mut round = 1;
    let run = loop {
        let run = session.run(cells.clone(), kept.clone(), &mut reporters, signals.wait()).await;
        if !args.attempts.until_failure || run.end != RunEnd::Finished || run.verdicts().any(Verdict::is_failure) {
            break run;
        }
        eprintln!("round {round}: no failure");
        round += 1;
        for reporter in &mut reporters {
            reporter.again();
        }
    };
    let blessed = if args.bless { Some(bless(&session.cells, &run)) } else { None };
    session.close().await;
    finish(&mut reporters, &run)?;
    let Some(blessed) = blessed else { return Ok(exit(&run, args.attempts.no_flaky)) };
    let blessed = blessed.map_err(|error| Failure { exit: Exit::Failed, message: error.to_string() })?;
    print(|out| write_blessed(out, &blessed))?;
    Ok(exit_after_blessing(&run, &blessed, args.attempts.no_flaky))
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
fn exit_after_blessing(run: &Results, blessed: &[Blessed], no_flaky: bool) -> Exit {
    let others: Vec<_> = run.cells.iter().filter(|cell| !is_open(cell)).map(|cell| cell.verdict).collect();
    let open = run.cells.len() - others.len();
    if run.end == RunEnd::Interrupted || (others.is_empty() && blessed.is_empty()) {
        return exit(run, no_flaky);
    }
    if others.is_empty() { Exit::Success } else { exit_of(others.into_iter(), run.run.planned - open) }
}
