//! `claims`

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure};
use crate::report::{Recorded, write_claims, write_deviations};
use crate::session::Options;

#[derive(Debug, Args)]
pub(super) struct ClaimsArgs {
    /// Write where the documents are wrong instead, as docs/deviations.md.
    #[arg(long)]
    deviations: bool,
    /// Where the results.json of the last run is.
    #[arg(long, value_name = "DIR", default_value = "target/kong-pg-tls/latest")]
    results: PathBuf,
    /// Read the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

pub(super) fn claims(args: &ClaimsArgs) -> Result<Exit, Failure> {
    let suite = Options { scenarios: args.scenarios.clone(), ..Options::default() }.suite()?;
    let mut out = io::stdout().lock();
    if args.deviations {
        return told(write_deviations(&mut out, &suite).map(|()| true));
    }
    let recorded = match Recorded::read(&args.results) {
        Ok(recorded) => recorded,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Recorded::default(),
        Err(error) => {
            let file = args.results.join("results.json");
            return Err(Failure::environment(format!("cannot read {}: {error}", file.display())));
        }
    };
    told(write_claims(&mut out, &suite, &recorded))
}

fn told(written: io::Result<bool>) -> Result<Exit, Failure> {
    match written {
        Ok(true) => Ok(Exit::Success),
        Ok(false) => Ok(Exit::Failed),
        // Somebody who looks at the beginning only.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::environment(format!("cannot write: {error}"))),
    }
}
