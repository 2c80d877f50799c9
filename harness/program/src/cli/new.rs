//! `new`

use std::path::PathBuf;

use clap::Args;
use kong_pg_scenarios::vocabulary::quoted;

use super::{Exit, Failure, InstallationArgs, print};
use crate::desk::check::scenario::{FILE, ScenarioError, new_scenario};

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls new mine --from kong.conf --postgresql postgresql.conf --hba pg_hba.conf
  kong-pg-tls run --scenarios mine --bless     runs it, and writes down what happens
  kong-pg-tls new mine --from kong.conf --with-keys
                                               copies of the very files, keys included

Exit status:
  0 written   2 a file cannot be read, or the folder exists   3 it cannot be written";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct NewArgs {
    /// The folder to make.
    #[arg(value_name = "SCENARIO")]
    folder: PathBuf,
    /// kong.conf, or another file that `check` reads.
    #[arg(long, value_name = "KONG.CONF")]
    from: PathBuf,
    #[command(flatten)]
    installation: InstallationArgs,
    /// Copy the files, private keys included. Without it, certificates are described, and the suite makes others like
    /// them with keys of their own.
    #[arg(long)]
    with_keys: bool,
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        let exit = if matches!(error, ScenarioError::Io { .. }) { Exit::Environment } else { Exit::Usage };
        Self { exit, message: error.to_string() }
    }
}

pub(super) fn new(args: &NewArgs) -> Result<Exit, Failure> {
    let request = args.installation.request(Some(args.from.clone()))?;
    let scenario = new_scenario(&request, args.with_keys)?;
    scenario.write(&args.folder)?;
    print(|out| {
        writeln!(out, "{} is written.", args.folder.join(FILE).display())?;
        scenario.notes.iter().try_for_each(|note| writeln!(out, "  {note}"))?;
        writeln!(out, "\nTo run it and write down what happens:")?;
        writeln!(out, "  kong-pg-tls run --scenarios {} --bless", quoted(&args.folder.to_string_lossy()))
    })?;
    Ok(Exit::Success)
}
