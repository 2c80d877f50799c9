//! `up`

use std::io::{self, Write as _};
use std::path::PathBuf;

use certificate_trees::Authority;
use clap::Args;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::roles;
use kong_pg_scenarios::suite::Suite;
use postgres_tls_server::{Major, Pool, Runtime};

use super::cells::{OneCellArgs, RuntimeArgs};
use super::signals::Signals;
use super::{Exit, Failure, export, print};
use crate::desk::export::{Address, Deployment, Format};
use crate::desk::naming::NamingError;
use crate::desk::up::{LogEnd, Running, UpError, write_running};
use crate::runfolder::RunFolder;
use crate::session::{Chosen, with_advice};

pub(super) const EXAMPLES: &str = "\
Examples:
  kong-pg-tls up 'mtls/cert::a-certificate.expired.default'
  kong-pg-tls up CELL --port 5432 --keep          and keep its certificates afterwards
  kong-pg-tls up CELL --compose --out repro       server and Kong, for docker-compose

What --keep keeps is shown at the end; `kong-pg-tls clean` removes it.

Exit status:
  0 ended with Ctrl-C, and everything is removed   2 wrong usage
  3 the server does not start   4 no such cell";

/// The name of the folder for Kong's files, and that of the log in it.
const FOLDER: &str = "up";
const LOG: &str = "postgres.log";

/// The port in a Compose file.
const PORT: u16 = 5432;

#[derive(Debug, Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    cell: OneCellArgs,
    #[command(flatten)]
    runtime: RuntimeArgs,
    /// The server's port, instead of any that is free.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Keep certificates, Kong's settings and the server's log.
    #[arg(long, conflicts_with = "compose")]
    keep: bool,
    /// Write a docker-compose file of the server and Kong instead, and start nothing.
    #[arg(long)]
    compose: bool,
    /// The new folder for the docker-compose file and what it needs.
    #[arg(long, value_name = "DIR", requires = "compose")]
    out: Option<PathBuf>,
}

impl From<UpError> for Failure {
    fn from(error: UpError) -> Self {
        match error {
            UpError::Runtime(error) => Self::environment(with_advice(&error)),
            _ => Self::environment(error.to_string()),
        }
    }
}

pub(super) async fn up(args: &UpArgs) -> Result<Exit, Failure> {
    if args.compose {
        let address = Address { host: Format::Compose.host().to_owned(), port: args.port.unwrap_or(PORT) };
        return export::write(&args.cell, Format::Compose, args.out.as_deref(), &address);
    }
    let suite = args.cell.suite()?;
    let named = args.cell.named(Major(0));
    let asked: Vec<_> = named.asked_major(&suite)?.into_iter().collect();
    // Whether there is such a case is known before anything is searched for.
    named.case(&suite)?;
    let folder = |error| Failure::environment(format!("cannot make a folder: {error}"));
    let mut signals = Signals::listen()?;
    let run = RunFolder::create().map_err(folder)?;
    let Chosen { runtime, .. } = args.runtime.request().find_on(args.port, &asked, &run).await?;
    let cell = cell(args, &suite, &*runtime)?;
    let authority = Authority::new(run.path().join("guide"));
    let deployment = Deployment::make(cell, &suite.texts, &authority)?;
    let files = run.private(FOLDER).map_err(folder)?;
    let pool = Pool::new(runtime, 1, roles::statements_for(&suite));
    let served = tokio::select! {
        started = Running::start(&pool, deployment, &authority, run.path(), &files) => match started {
            Ok(running) => serve(running, args.keep, &pool, &mut signals).await,
            Err(error) => Err(error.into()),
        },
        () = signals.wait() => Ok(()),
    };
    pool.close().await;
    if args.keep && files.join(LOG).exists() {
        let kept = run.keep(FOLDER).map_err(|error| Failure::environment(format!("cannot keep the files: {error}")))?;
        print(|out| writeln!(out, "kept: {}\n`kong-pg-tls clean` removes it", kept.display()))?;
    }
    served.map(|()| Exit::Success)
}

/// The cell, on the newest major that it has a meaning on, if none is named.
fn cell(args: &UpArgs, suite: &Suite, runtime: &dyn Runtime) -> Result<Cell, NamingError> {
    let mut majors: Vec<_> = runtime.offers().into_iter().map(|offer| offer.major).collect();
    majors.sort_unstable();
    let newest = majors.last().copied().unwrap_or(Major(0));
    let fitting = majors.into_iter().rev().find_map(|major| args.cell.named(major).find(suite).ok());
    fitting.map_or_else(|| args.cell.named(newest).find(suite), Ok)
}

/// Shows the server and its log until a signal comes, or nobody reads any more.
async fn serve(mut running: Running, keep: bool, pool: &Pool, signals: &mut Signals) -> Result<(), Failure> {
    let runtime = pool.runtime_of(running.facts.major).map(|runtime| runtime.to_string()).unwrap_or_default();
    print(|out| write_running(out, &running, &runtime, keep))?;
    let show = |line: &str| {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    };
    let end = tokio::select! {
        end = running.follow(show) => end,
        () = signals.wait() => LogEnd::Reader,
    };
    if keep {
        let written = std::fs::write(running.folder.join(LOG), running.log());
        written.map_err(|error| Failure::environment(format!("cannot write the log: {error}")))?;
    }
    if end == LogEnd::Server { Err(UpError::Ended.into()) } else { Ok(()) }
}
