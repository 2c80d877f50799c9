//! The command line.

mod claims;
mod clean;
mod env;
mod list;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indexmap::IndexSet;

use crate::plan::Shard;
use crate::session::{Options, RuntimeChoice, SessionError};
use crate::vocabulary::ClientKind;
use kong_pg_client::{Profile, Stack};
use postgres_tls_server::Major;
use postgres_tls_server::RuntimeError;

/// How the program ends. It never ends with success after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every cell is as expected.
    Success = 0,
    /// Wrong usage, or a bad scenario file.
    Usage = 2,
    /// The environment failed: no runtime, a server that does not start where it should, a folder that cannot be
    /// written.
    Environment = 3,
    /// Nothing matched.
    NothingMatched = 4,
    /// A cell is not as expected.
    Failed = 100,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An end with something to say.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn environment(message: impl Into<String>) -> Self {
        Self { exit: Exit::Environment, message: message.into() }
    }

    fn tell(&self) -> ExitCode {
        eprintln!("kong-pg-tls: {}", self.message);
        self.exit.into()
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let exit = match &error {
            SessionError::Scenarios(faults) => {
                let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
                for fault in faults {
                    eprintln!("{}\n", fault.render(colour));
                }
                Exit::Usage
            }
            SessionError::Usage(_) => Exit::Usage,
            SessionError::NothingMatched(_) => Exit::NothingMatched,
            SessionError::Runtime(_) | SessionError::Client(_) | SessionError::Folder(_) => Exit::Environment,
        };
        Self { exit, message: error.to_string() }
    }
}

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls run                                  the whole suite, on whatever is here
  kong-pg-tls run --runtime docker --postgres all  on every PostgreSQL that there is an image of
  kong-pg-tls run 'mtls/*' --stack cosocket        the mTLS scenarios, as Kong's workers see them
  kong-pg-tls run 'mtls/cert::*' --kong 3.9-oss    one scenario, as an older release behaves
  kong-pg-tls list 'crl/*'                         what there is about revocation
  kong-pg-tls claims                               what the documents say, and whether it is so
  kong-pg-tls env                                  what can be used on this machine

Exit status:
  0 every cell as expected   2 wrong usage or a bad scenario file   3 the environment failed
  4 nothing matched          100 a cell failed                      130 interrupted";

/// Proves, against real PostgreSQL servers, that Kong Gateway connects over TLS and mutual TLS the way its documents
/// say, and fails the way they say.
#[derive(Debug, Parser)]
#[command(name = "kong-pg-tls", version, about, long_about = None, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run cells, and judge them.
    Run(run::RunArgs),
    /// Show the cells that `run` would run.
    List(list::ListArgs),
    /// Show the claims of the documents with their cases, what came of them in the last run, and where they are wrong.
    Claims(claims::ClaimsArgs),
    /// Show which runtimes, servers and clients can be used here; for each that cannot, why.
    Env,
    /// Remove what an interrupted run left behind.
    Clean,
}

/// Which cells, and where they run.
#[derive(Debug, Args)]
struct CellArgs {
    /// Cells whose id, or its `scenario/path::case-slug`, matches; all, if none is given.
    #[arg(value_name = "ID-GLOB")]
    globs: Vec<String>,
    /// Where PostgreSQL runs: `docker` containers, `local` processes, or `auto`: containers if there is an engine and
    /// an image.
    #[arg(long, value_name = "auto|docker|local", default_value = "auto", env = "KONG_PG_TLS_RUNTIME")]
    runtime: RuntimeChoice,
    /// PostgreSQL majors, or `all` that there are.
    #[arg(long, value_name = "13,17|all", value_parser = majors, default_value = "all", env = "KONG_PG_TLS_POSTGRES")]
    postgres: Named<Major>,
    /// The image of a major; `postgres:<major>` or `kong-pg-tls/postgres:<major>` by default.
    #[arg(long, value_name = "17=REF", value_parser = image)]
    image: Vec<(Major, String)>,
    /// Who connects: `kong`, this program's own re-creation of it, if nobody else is named; `libpq`, `rustls`.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    client: Vec<ClientKind>,
    /// Have a real Kong connect: an image of the release that --kong names.
    #[arg(long, value_name = "REF")]
    kong_image: Option<String>,
    /// Have a stranger's program connect; docs/client-protocol.md says how it is asked.
    #[arg(long, value_name = "PROGRAM")]
    client_command: Option<String>,
    /// Kong's TLS stacks.
    #[arg(long, value_name = "STACK,..", value_delimiter = ',', default_value = "luasec,cosocket")]
    stack: Vec<Stack>,
    /// Kong releases, or `all`; by default those that a case is about, or else the newest of Enterprise.
    #[arg(long, value_name = "PROFILE,..|all", value_parser = profiles)]
    kong: Option<Named<Profile>>,
    /// Only the K-th of N parts of the cells.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Run the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

/// A list that is given as one word.
#[derive(Debug, Clone)]
struct Named<T>(Vec<T>);

fn majors(text: &str) -> Result<Named<Major>, String> {
    if text == "all" { Ok(Named(Vec::new())) } else { list(text) }
}

fn profiles(text: &str) -> Result<Named<Profile>, String> {
    if text == "all" { Ok(Named(Profile::all())) } else { list(text) }
}

fn list<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<Named<T>, String> {
    text.split(',').map(str::parse).collect::<Result<_, T::Err>>().map(Named).map_err(|error| error.to_string())
}

fn image(text: &str) -> Result<(Major, String), String> {
    let (major, image) = text.split_once('=').ok_or("an image is given like 17=postgres:17-alpine")?;
    Ok((major.parse()?, image.to_owned()))
}

impl CellArgs {
    /// Those named, those that an image or a program is given for, or else Kong.
    fn clients(&self) -> Vec<ClientKind> {
        let named = self.client.iter().copied();
        let image = self.kong_image.iter().map(|_| ClientKind::KongImage);
        let command = self.client_command.iter().map(|_| ClientKind::Command);
        let clients: IndexSet<_> = named.chain(image).chain(command).collect();
        if clients.is_empty() { vec![ClientKind::Kong] } else { clients.into_iter().collect() }
    }

    fn options(&self) -> Options {
        let defaults = Options::default();
        Options {
            globs: self.globs.clone(),
            shard: self.shard,
            runtime: self.runtime,
            majors: self.postgres.0.clone(),
            images: self.image.clone(),
            profiles: self.kong.as_ref().map_or(defaults.profiles, |named| named.0.clone()),
            clients: self.clients(),
            kong_image: self.kong_image.clone(),
            client_command: self.client_command.clone(),
            stacks: self.stack.clone(),
            scenarios: self.scenarios.clone(),
            ..defaults
        }
    }
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::environment(format!("cannot start: {error}")).tell(),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(&args).await,
            Command::List(args) => list::list(&args).await,
            Command::Claims(args) => claims::claims(&args),
            Command::Env => env::env().await,
            Command::Clean => clean::clean().await,
        }
    });
    // What is still running in the background is no longer of interest.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    done.map_or_else(|failure| failure.tell(), ExitCode::from)
}
