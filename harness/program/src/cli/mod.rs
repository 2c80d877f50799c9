//! The command line.

mod check;
mod claims;
mod clean;
mod diagnose;
mod diff;
mod env;
mod explain;
mod list;
mod report;
mod run;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use strum::VariantNames;

use crate::plan::{KongRelease, Shard};
use crate::report::ReportError;
use crate::session::{
    CellRequest, ClientRequest, Options, RuntimeChoice, RuntimeRequest, SessionError, clients_of, with_advice,
};
use crate::vocabulary::ClientKind;
use kong_pg_client::{Profile, Stack};
use postgres_tls_server::{InvalidMajor, Major, RuntimeError};

/// How the program ends. It never ends with success after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every cell that was run is as expected, and at least one was.
    Success = 0,
    /// Wrong usage, or a mistake in a scenario file.
    Usage = 2,
    /// The environment failed (no runtime, a server that does not start where it should, a folder that cannot be
    /// written), or something that was asked for could not be run here.
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

/// Why a command ends early: an exit status and a message.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn environment(message: impl Into<String>) -> Self {
        Self { exit: Exit::Environment, message: message.into() }
    }

    fn report(&self) -> ExitCode {
        print_error(&format!("kong-pg-tls: {}", self.message));
        self.exit.into()
    }
}

/// Writes to the standard error, which may be closed.
fn print_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes to the standard output. A closed pipe is no failure: the reader has seen enough.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot write to the standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes one JSON value, for people as well.
fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::environment(with_advice(&error))
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let exit = match &error {
            SessionError::Scenarios(faults) => {
                let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
                for fault in faults {
                    print_error(&format!("{}\n", fault.render(colour)));
                }
                Exit::Usage
            }
            SessionError::Request(_) | SessionError::ImageRelease(_) => Exit::Usage,
            SessionError::NothingMatched(_) => Exit::NothingMatched,
            SessionError::Runtime(_) | SessionError::Client(_) | SessionError::Folder(_) => Exit::Environment,
        };
        Self { exit, message: error.to_string() }
    }
}

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls run                                  the whole suite, on what is available here
  kong-pg-tls run 'mtls/*' --stack cosocket        the mTLS scenarios, as Kong's workers connect
  kong-pg-tls list 'crl/*'                         the cells about revocation
  kong-pg-tls claims                               what the documents say, and whether it is true
  kong-pg-tls env                                  what can be used on this machine

Exit status:
  0    every cell that was run is as expected
  2    wrong usage, or a mistake in a scenario file
  3    the environment failed, or something that was asked for could not be run here
  4    nothing matched
  100  a cell failed
  130  interrupted";

const RUN_EXAMPLES: &str = "\
Examples:
  kong-pg-tls run                                      the whole suite, on what is available here
  kong-pg-tls run 'mtls/*' --stack cosocket            the mTLS scenarios, as Kong's workers connect
  kong-pg-tls run 'mtls/cert::*' --kong 3.9-oss        one scenario, as an older release behaves
  kong-pg-tls run --runtime docker --postgres 13,18    in containers of two PostgreSQL majors
  kong-pg-tls run --image 17=my/postgres:17          with an image of your own
  kong-pg-tls run --client kong,libpq                  with two clients, and where they differ
  kong-pg-tls run --kong-image kong:3.9                with a real Kong, as the release in the image
  kong-pg-tls run --shard 2/4                          the second of four parts

Exit status: see `kong-pg-tls --help`.";

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
    /// Run cells and judge them.
    #[command(after_help = RUN_EXAMPLES)]
    Run(run::RunArgs),
    /// List the cells that `run` would run.
    List(list::ListArgs),
    /// List the claims of the documents with their cases, their verdicts in the last run, and where they are wrong.
    Claims(claims::ClaimsArgs),
    /// Check Kong's configuration, and the server's beside it; with --live, connect as it would.
    Check(Box<check::CheckArgs>),
    /// Find the causes behind a message of Kong or a line of PostgreSQL's log.
    Diagnose(diagnose::DiagnoseArgs),
    /// Compare the results of two runs: what regressed, what was fixed, and what explains it.
    Diff(diff::DiffArgs),
    /// Make a page of the results of a run.
    Report(report::ReportArgs),
    /// Show what is configured at each point of a case, and what is expected there.
    Explain(explain::ExplainArgs),
    /// Show which runtimes, servers and clients can be used here, and why others cannot.
    Env,
    /// Remove what an interrupted run left behind.
    Clean,
}

/// Which cells, and where they run.
#[derive(Debug, Args)]
struct CellArgs {
    /// Cells whose id, or its `scenario/path::case-slug`, matches; all cells if none is given.
    #[arg(value_name = "ID-GLOB")]
    globs: Vec<String>,
    /// Where PostgreSQL runs: in containers, as local processes, or `auto`: in containers if an engine answers and has
    /// an image, otherwise as local processes.
    #[arg(long, value_parser = word::<RuntimeChoice>(), default_value = "auto", env = "KONG_PG_TLS_RUNTIME")]
    runtime: RuntimeChoice,
    /// PostgreSQL majors, or `all` that are available.
    #[arg(long, value_name = "13,17|all", value_parser = majors, default_value = "all", env = "KONG_PG_TLS_POSTGRES")]
    postgres: Listed<Major>,
    /// The image of a major; by default postgres:MAJOR or kong-pg-tls/postgres:MAJOR.
    #[arg(long, value_name = "MAJOR=IMAGE", value_parser = image)]
    image: Vec<(Major, String)>,
    /// Clients; by default `kong`, this program's emulation of Kong.
    #[arg(long, value_parser = word::<ClientKind>(), value_delimiter = ',')]
    client: Vec<ClientKind>,
    /// Use a real Kong as a client, from this image.
    #[arg(long, value_name = "IMAGE")]
    kong_image: Option<String>,
    /// Use an external program as a client; docs/client-protocol.md describes the protocol.
    #[arg(long, value_name = "COMMAND")]
    client_command: Option<String>,
    /// Kong's TLS stacks.
    #[arg(long, value_parser = stack(), value_delimiter = ',', default_value = "luasec,cosocket")]
    stack: Vec<Stack>,
    /// Kong releases, `latest`, or `all`; by default those that a case is about, or else the release in --kong-image,
    /// or else the latest.
    #[arg(long, value_name = "RELEASE,..|all", value_parser = releases)]
    kong: Option<Listed<KongRelease>>,
    /// Only the K-th of N parts of the cells.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Use the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

/// Several values of one option.
#[derive(Debug, Clone)]
struct Listed<T>(Vec<T>);

/// One of a closed list of words, which `--help` lists, too.
fn word<T>() -> impl TypedValueParser<Value = T>
where
    T: VariantNames + std::str::FromStr<Err = strum::ParseError> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(T::VARIANTS).try_map(|text| text.parse::<T>())
}

fn stack() -> impl TypedValueParser<Value = Stack> {
    PossibleValuesParser::new(Stack::ALL.iter().map(Stack::to_string))
        .try_map(|text| text.parse::<Stack>().map_err(io::Error::other))
}

fn majors(text: &str) -> Result<Listed<Major>, InvalidMajor> {
    if text == "all" { Ok(Listed(Vec::new())) } else { listed(text) }
}

fn releases(text: &str) -> Result<Listed<KongRelease>, crate::plan::PlanError> {
    if text == "all" {
        let all = Profile::all().into_iter().map(|profile| KongRelease::Named(profile.into()));
        return Ok(Listed(all.collect()));
    }
    listed(text)
}

fn listed<T: std::str::FromStr>(text: &str) -> Result<Listed<T>, T::Err> {
    text.split(',').map(str::parse).collect::<Result<_, _>>().map(Listed)
}

fn image(text: &str) -> Result<(Major, String), Box<dyn Error + Send + Sync>> {
    let (major, image) = text.split_once('=').ok_or("expected an image like 17=postgres:17-alpine")?;
    Ok((major.parse()?, image.to_owned()))
}

impl CellArgs {
    fn options(&self) -> Options {
        let clients = ClientRequest { kong_image: self.kong_image.clone(), command: self.client_command.clone() };
        let cells = CellRequest {
            scenarios: self.scenarios.clone(),
            globs: self.globs.clone(),
            shard: self.shard,
            majors: self.postgres.0.clone(),
            releases: self.kong.as_ref().map(|kong| kong.0.clone()).unwrap_or_default(),
            clients: clients_of(&self.client, &clients),
            stacks: self.stack.clone(),
        };
        let runtime = RuntimeRequest { choice: self.runtime, images: self.image.clone() };
        Options { cells, runtime, clients, ..Options::default() }
    }
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::environment(format!("cannot start: {error}")).report(),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(&args).await,
            Command::List(args) => list::list(&args).await,
            Command::Claims(args) => claims::claims(&args),
            Command::Diagnose(args) => diagnose::diagnose(&args),
            Command::Diff(args) => diff::diff(&args),
            Command::Report(args) => report::report(&args),
            Command::Explain(args) => explain::explain(&args),
            Command::Check(args) => check::check(&args).await,
            Command::Env => env::env().await,
            Command::Clean => clean::clean().await,
        }
    });
    // Background tasks are not waited for any longer.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    done.map_or_else(|failure| failure.report(), ExitCode::from)
}
