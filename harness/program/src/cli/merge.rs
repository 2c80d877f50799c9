//! `merge`

use std::path::PathBuf;

use clap::Args;

use super::results::{ResultsArgs, exit};
use super::{Exit, Failure};
use crate::record::{Results, Tolerance, merge as merged};
use crate::report::{Display, report_again};

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls merge part-1 part-2 part-3              the shards 1/3, 2/3 and 3/3
  kong-pg-tls merge on-15 on-17 --results all         runs on two majors, into a folder
  kong-pg-tls merge part-* --missing                  what there is, as a partial run

Exit status: that of the whole run; 2 if the parts cannot be merged.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MergeArgs {
    /// The folders of the parts, their results.json or their events.jsonl.
    #[arg(value_name = "DIR", required = true)]
    parts: Vec<PathBuf>,
    /// Take the newest result of a cell that is in more than one part.
    #[arg(long)]
    overlapping: bool,
    /// Merge although parts or cells are missing; the result is a partial run.
    #[arg(long)]
    missing: bool,
    #[command(flatten)]
    results: ResultsArgs,
}

pub(super) fn merge(args: &MergeArgs) -> Result<Exit, Failure> {
    let parts = args.parts.iter().map(|part| Results::read(part)).collect::<Result<Vec<_>, _>>()?;
    let tolerance = Tolerance { overlapping: args.overlapping, missing: args.missing };
    let run = merged(parts, tolerance).map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() })?;
    let mut reporters = args.results.output(Display::default())?.reporters;
    report_again(&mut reporters, &run)?;
    Ok(exit(&run, false))
}
