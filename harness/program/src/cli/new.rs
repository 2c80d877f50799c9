//! `new`

use std::path::PathBuf;

use clap::Args;

use super::releases::{ReleaseArgs, release};
use super::{Exit, Failure, print};
use crate::desk::check::scenario::{FILE, ScenarioError, new_scenario};
use crate::desk::check::{Kind, Request};
use crate::vocabulary::quoted;
use postgres_tls_server::Major;

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
    /// What the file is, if it is not recognized.
    #[arg(long = "as", value_name = "kong.conf|env|docker-inspect|compose|kubernetes|helm")]
    kind: Option<Kind>,
    /// The folder that has the files of Kong's container.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The server's postgresql.conf.
    #[arg(long, value_name = "FILE")]
    postgresql: Option<PathBuf>,
    /// The server's pg_hba.conf.
    #[arg(long, value_name = "FILE")]
    hba: Option<PathBuf>,
    /// The server's pg_ident.conf.
    #[arg(long, value_name = "FILE")]
    ident: Option<PathBuf>,
    /// Copy the files, private keys included. Without it, certificates are described, and the suite makes others like
    /// them with keys of their own.
    #[arg(long)]
    with_keys: bool,
    /// The release of Kong that reads the settings; the newest Enterprise one by default.
    #[arg(long, value_name = "RELEASE")]
    kong: Option<String>,
    #[command(flatten)]
    releases: ReleaseArgs,
    /// The server's major version.
    #[arg(long, value_name = "MAJOR", default_value = "18")]
    postgres: Major,
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        let exit = if matches!(error, ScenarioError::Io { .. }) { Exit::Environment } else { Exit::Usage };
        Self { exit, message: error.to_string() }
    }
}

pub(super) fn new(args: &NewArgs) -> Result<Exit, Failure> {
    let known = args.releases.releases()?;
    let profile = args.kong.as_ref().map_or_else(|| Ok(known.newest()), |name| release(&known, "--kong", name))?;
    let request = Request {
        file: Some(args.from.clone()),
        kind: args.kind,
        env_files: Vec::new(),
        prefix: None,
        root: args.root.clone(),
        postgresql: args.postgresql.clone(),
        hba: args.hba.clone(),
        ident: args.ident.clone(),
        profile,
        major: args.postgres.0,
        days: 0,
    };
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
