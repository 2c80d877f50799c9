//! `explain`

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, print};
use crate::report::write_explanation;
use crate::session::load_suite;
use crate::suite::Case;
use crate::vocabulary::Globs;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Cases or scenarios, by id or by a glob: `versions/mismatch`, `mtls/cert::*none*`.
    #[arg(value_name = "CASE", required = true)]
    cases: Vec<String>,
    /// Read the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

/// The width of a table where there is no terminal, or only a narrow one.
const COLUMNS: u16 = 80;

pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let suite = load_suite(args.scenarios.as_deref())?;
    let globs = Globs::new(&args.cases).map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() })?;
    let is_asked_for = |case: &&Case| globs.is_match(&case.id) || globs.is_match(&case.scenario);
    let cases: Vec<_> = suite.cases().map(AsRef::as_ref).filter(is_asked_for).collect();
    if cases.is_empty() {
        let message = format!("no case matches {}; `kong-pg-tls list` lists them", args.cases.join(", "));
        return Err(Failure { exit: Exit::NothingMatched, message });
    }
    let terminal = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    let width = terminal.map_or(COLUMNS, |(width, _)| width.0.max(COLUMNS));
    print(|out| write_explanation(out, &cases, width))?;
    Ok(Exit::Success)
}
