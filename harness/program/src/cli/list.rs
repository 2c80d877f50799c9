//! `list`

use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;

use super::{CellArgs, Exit, Failure};
use crate::runfolder::RunFolder;
use crate::session::Options;
use postgres_tls_server::Major;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    cells: CellArgs,
    /// One JSON array of cells.
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let options = args.cells.options();
    let suite = options.suite()?;
    let majors = if options.majors.is_empty() { here(&options).await } else { options.majors.clone() };
    let cells = options.plan(&suite, majors)?;
    let mut out = io::stdout().lock();
    let written = if args.json {
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| {
                serde_json::json!({
                    "id": cell.id, "scenario": cell.case.scenario, "case": cell.case.name, "place": cell.case.place,
                    "claims": cell.case.claims, "source": cell.case.source, "postgres": cell.major,
                    "kong": cell.profile.to_string(), "client": cell.client, "stack": cell.stack,
                    "excluded": cell.excluded(),
                })
            })
            .collect();
        serde_json::to_writer_pretty(&mut out, &cells).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        cells.iter().try_for_each(|cell| writeln!(out, "{}", cell.id))
    };
    match written {
        // Somebody who looks at the beginning only.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::environment(format!("cannot write the list: {error}"))),
        Ok(()) => Ok(Exit::Success),
    }
}

/// The majors that there are here, or, where there is nothing to run them with, those that the suite knows.
async fn here(options: &Options) -> Vec<Major> {
    let known = || (13..=18).map(Major).collect();
    let Ok(folder) = RunFolder::create() else { return known() };
    match options.runtime(&Arc::new(folder)).await {
        Ok(chosen) => chosen.runtime.offers().into_iter().map(|offer| offer.major).collect(),
        Err(_) => known(),
    }
}
