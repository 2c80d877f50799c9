//! `upgrade`

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::signals::Signals;
use super::{Exit, Failure, ReleaseArgs, print, write_json};
use crate::desk::check::read_settings;
use crate::run::{CellRequest, RuntimeChoice, RuntimeRequest};
use crate::upgrade::{Request, Upgrade, UpgradeError, write_upgrade};
use postgres_tls_server::Major;

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls upgrade kong.conf --from 3.13 --to 3.14             and try it
  kong-pg-tls upgrade kong.conf --from 3.13 --to 3.14 --no-run    from the facts only
  kong-pg-tls upgrade kong.conf --from 3.9-oss --to 3.15 --postgres 15:17

Exit status:
  0 nothing changes for the worse   100 something does
  2 not a configuration or release   3 the environment failed";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct UpgradeArgs {
    /// kong.conf, or another file that `check` reads.
    #[arg(value_name = "KONG.CONF")]
    file: PathBuf,
    /// The release that runs now.
    #[arg(long, value_name = "RELEASE")]
    from: String,
    /// The release to upgrade to.
    #[arg(long, value_name = "RELEASE")]
    to: String,
    #[command(flatten)]
    releases: ReleaseArgs,
    /// The PostgreSQL major before and after, if it is upgraded as well; one major if it is not.
    #[arg(long, value_name = "15:17", value_parser = majors)]
    postgres: Option<(Major, Major)>,
    /// Where PostgreSQL runs: `auto`, `docker` or `local`.
    #[arg(long, value_name = "RUNTIME", default_value = "auto", env = "KONG_PG_TLS_RUNTIME")]
    runtime: RuntimeChoice,
    /// Only compare the facts about both releases; run nothing.
    #[arg(long)]
    no_run: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

fn majors(text: &str) -> Result<(Major, Major), postgres_tls_server::InvalidMajor> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    Ok((from.parse()?, to.parse()?))
}

pub(super) async fn upgrade(args: &UpgradeArgs) -> Result<Exit, Failure> {
    let request = Request {
        settings: read_settings(&args.file)?,
        releases: (args.from.clone(), args.to.clone()),
        release_files: args.releases.files.clone(),
        postgres: args.postgres,
        runtime: RuntimeRequest { choice: args.runtime, ..RuntimeRequest::default() },
    };
    let suite = CellRequest { release_files: args.releases.files.clone(), ..CellRequest::default() }.suite()?;
    let mut upgrade = Upgrade::of_facts(&request, &suite)?;
    if !args.no_run {
        let mut signals = Signals::listen()?;
        upgrade.prove(&request, signals.wait()).await?;
    }
    let terminal = terminal_size::terminal_size().filter(|_| io::stdout().is_terminal());
    let width = terminal.map_or(80, |(width, _)| usize::from(width.0));
    print(|out| if args.json { write_json(out, &upgrade) } else { write_upgrade(out, &upgrade, width) })?;
    Ok(if upgrade.worse { Exit::Failed } else { Exit::Success })
}

impl From<UpgradeError> for Failure {
    fn from(error: UpgradeError) -> Self {
        match error {
            UpgradeError::Session(error) => error.into(),
            UpgradeError::Release(_) => Self::usage(error.to_string()),
            UpgradeError::Folder(_) => Self::environment(error.to_string()),
            UpgradeError::Interrupted => Self { exit: Exit::Interrupted, message: error.to_string() },
        }
    }
}
