//! `claims`

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, print};
use crate::record::{LATEST, ReadError, Results};
use crate::report::{Recorded, write_claims, write_deviations};
use crate::session::load_suite;

#[derive(Debug, Args)]
pub(super) struct ClaimsArgs {
    /// Print where the documentation is wrong or incomplete instead, as in docs/deviations.md.
    #[arg(long)]
    deviations: bool,
    /// The folder of a run, its results.json or its events.jsonl.
    #[arg(long, value_name = "DIR", default_value = LATEST)]
    results: PathBuf,
    /// Use the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

pub(super) fn claims(args: &ClaimsArgs) -> Result<Exit, Failure> {
    let suite = load_suite(args.scenarios.as_deref())?;
    if args.deviations {
        print(|out| write_deviations(out, &suite))?;
        return Ok(Exit::Success);
    }
    let recorded = match Results::read(&args.results) {
        Ok(run) => Recorded::of(&run),
        Err(ReadError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Recorded::default()
        }
        Err(error) => return Err(error.into()),
    };
    print(|out| write_claims(out, &suite, &recorded))?;
    Ok(if suite.coverage().is_complete() { Exit::Success } else { Exit::Failed })
}
