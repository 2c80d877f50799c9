//! `run`

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use kong_pg_scenarios::load::block;

use super::cells::word;
use super::limits::LimitArgs;
use super::results::{Output, ResultsArgs, exit, exit_of, unwritable};
use super::signals::Signals;
use super::{CellArgs, Exit, Failure, print};
use crate::judge::Verdict;
use crate::leaks::adopt_descendants;
use crate::record::{Results, RunEnd};
use crate::report::{Detail, Display, finish, report_leaks};
use crate::session::{Blessed, EvidenceOf, EvidenceRequest, Limits, Options, Session, bless, is_open};

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
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// Run again what failed, what was not run, and what is new, of the run in this folder, with its cells and options;
    /// keep its other results.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["globs", "image", "client", "kong_image", "pgmoon", "client_command", "stack", "kong", "shard", "scenarios"])]
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

/// What is kept of cells.
#[derive(Debug, Args)]
struct EvidenceArgs {
    /// Keep, for the cells that failed or for all, both sides' logs, the files, and a packet capture with its TLS secrets,
    /// in the folder `evidence` beside the results.
    #[arg(
        long,
        value_name = "failed|all",
        value_parser = word::<EvidenceOf>(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "failed",
        conflicts_with = "bless"
    )]
    evidence: Option<EvidenceOf>,
    /// Keep the private keys of both sides, too.
    #[arg(long, requires = "evidence")]
    evidence_keys: bool,
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
    let evidence = EvidenceRequest { of: args.evidence.evidence, keys: args.evidence.evidence_keys };
    let asked = args.cells.options();
    let options = match &before {
        Some(before) => Options { limits, evidence, ..asked.like(&before.run.options) },
        None => Options { limits, evidence, ..asked },
    };
    let mut signals = Signals::listen()?;
    adopt_descendants();
    let mut session = Session::open(&options).await?;
    let (cells, kept) = session.outstanding(before.as_ref());
    let Output { folder, mut reporters, pace } = args.results.output(args.display.display())?;
    session.keep_evidence(&folder).map_err(|error| unwritable(&folder, &error))?;
    session.expect_pace(pace);
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
    let missing_evidence = session.missing_evidence();
    let left = session.close_and_look().await;
    let run = report_leaks(&mut reporters, run, left);
    finish(&mut reporters, &run)?;
    if let Some(missing) = missing_evidence {
        return Err(Failure::environment(missing));
    }
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
