//! `explain`

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use kong_pg_scenarios::load::some_of;
use kong_pg_scenarios::plan::{Axes, Cell, PlanError, Selection, plan};
use kong_pg_scenarios::suite::{Case, Suite};
use kong_pg_scenarios::vocabulary::Globs;

use super::{Exit, Failure, print};
use crate::report::{write_cell_explanation, write_explanation};
use crate::session::load_suite;

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls explain versions/mismatch        all points of a scenario, as a table
  kong-pg-tls explain 'mtls/cert::*none*'      some of its cases
  kong-pg-tls explain keys/p-521::kongs@pg17   a cell on each stack, with everything about it
  kong-pg-tls explain keys/p-521::kongs@pg17+kong-3.9-oss+kong-luasec

Exit status:
  0 shown   2 not an id   4 no such case or cell";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// Cases or scenarios, by id or by a glob, for a table of their points; cells by their id, for everything about
    /// them. Of a cell's id, what follows the PostgreSQL major may be left out.
    #[arg(value_name = "CASE|CELL", required = true)]
    ids: Vec<String>,
    /// Read the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

/// The width of the output where there is no terminal, or only a narrow one.
const COLUMNS: u16 = 80;

pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let usage = |error: PlanError| Failure { exit: Exit::Usage, message: error.to_string() };
    let (of_cells, of_cases): (Vec<_>, Vec<_>) = args.ids.iter().cloned().partition(|id| id.contains('@'));
    let globs = Globs::new(&of_cases).map_err(|error| usage(error.into()))?;
    let suite = load_suite(args.scenarios.as_deref())?;
    let mut cells = Vec::new();
    for id in &of_cells {
        let found = cells_of(&suite, id).map_err(usage)?;
        if found.is_empty() {
            return Err(no_cell(&suite, id));
        }
        cells.extend(found);
    }
    let is_asked_for = |case: &&Case| globs.is_match(&case.id) || globs.is_match(&case.scenario);
    let cases: Vec<_> = suite.cases().map(AsRef::as_ref).filter(is_asked_for).collect();
    if cases.is_empty() && !of_cases.is_empty() {
        let message = format!("no case matches {}; `kong-pg-tls list` lists them", of_cases.join(", "));
        return Err(Failure { exit: Exit::NothingMatched, message });
    }
    let terminal = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    let width = terminal.map_or(COLUMNS, |(width, _)| width.0.max(COLUMNS));
    print(|out| {
        write_explanation(out, &cases, width)?;
        for (number, cell) in cells.iter().enumerate() {
            if number > 0 || !cases.is_empty() {
                writeln!(out, "\n")?;
            }
            write_cell_explanation(out, &suite, cell, width.into())?;
        }
        Ok(())
    })?;
    Ok(Exit::Success)
}

/// The cells of an id.
fn cells_of(suite: &Suite, id: &str) -> Result<Vec<Cell>, PlanError> {
    let (case, point) = id.split_once('@').unwrap_or((id, ""));
    Ok(plan(suite, &Axes::of_id(point, &suite.releases)?, &Selection::new(&[case.to_owned()], None)?))
}

fn no_cell(suite: &Suite, id: &str) -> Failure {
    let case = id.split('@').next().unwrap_or_default();
    let known: Vec<_> = suite.cases().map(|case| case.id.clone()).collect();
    let help = some_of(case, &known, "`kong-pg-tls list` lists all");
    Failure { exit: Exit::NothingMatched, message: format!("no cell matches {id}: {help}") }
}
