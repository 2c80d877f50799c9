//! `list`

use clap::Args;
use kong_pg_scenarios::plan::Cell;
use postgres_tls_server::Major;

use super::{CellArgs, Exit, Failure, print, write_json};
use crate::runfolder::RunFolder;
use crate::session::Options;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    cells: CellArgs,
    /// Write one JSON array of cells.
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let options = args.cells.options();
    let request = &options.cells;
    let suite = request.suite()?;
    let majors = if request.majors.is_empty() { available(&options).await } else { request.majors.clone() };
    let cells = request.cells(&suite, &majors)?;
    print(|out| {
        if args.json {
            write_json(out, &cells.iter().map(to_json).collect::<Vec<_>>())
        } else {
            cells.iter().try_for_each(|cell| writeln!(out, "{}", cell.id))
        }
    })?;
    Ok(Exit::Success)
}

fn to_json(cell: &Cell) -> serde_json::Value {
    serde_json::json!({
        "id": cell.id, "scenario": cell.case.scenario, "case": cell.case.name, "place": cell.case.place,
        "claims": cell.case.claims, "source": cell.case.source, "postgres": cell.major,
        "kong": cell.profile.to_string(), "client": cell.client, "stack": cell.stack,
        "excluded": cell.excluded(),
    })
}

/// The majors that are available here, or, if there is nothing to run them with, those that the suite describes.
async fn available(options: &Options) -> Vec<Major> {
    let described = || (13..=19).map(Major).collect();
    let Ok(folder) = RunFolder::create() else { return described() };
    match options.runtime.find(&[], &folder).await {
        Ok(chosen) => chosen.runtime.offers().into_iter().map(|offer| offer.major).collect(),
        Err(_) => described(),
    }
}
