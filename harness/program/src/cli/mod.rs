//! The command line.

mod bench;
mod cells;
mod certs;
mod check;
mod claims;
mod clean;
mod diagnose;
mod diff;
mod env;
mod exit;
mod explain;
mod export;
mod generate;
mod installation;
mod judge;
mod limits;
mod list;
mod merge;
mod new;
mod releases;
mod report;
mod results;
mod run;
mod signals;
mod texts;
mod up;
mod upgrade;
mod vacuity;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, Parser, Subcommand};

use self::cells::CellArgs;
pub use self::exit::Exit;
use self::exit::{Failure, print, write_json};
use self::installation::InstallationArgs;
use self::releases::{ReleaseArgs, release};

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
  kong-pg-tls run --kong-release 3.99.toml             as a release that is described in a file
  kong-pg-tls run --runtime docker --postgres 13,18    in containers of two PostgreSQL majors
  kong-pg-tls run --image 17=my/postgres:17            with an image of your own
  kong-pg-tls run --client kong,libpq                  with two clients, and where they differ
  kong-pg-tls run --kong-image kong:3.9                with a real Kong, as the release in the image
  kong-pg-tls run --kong-image 3.9-oss=A,3.10=B        with two, and what is different between them
  kong-pg-tls run --shard 2/4                          the second of four parts
  kong-pg-tls run --rerun target/kong-pg-tls/latest    what failed, was not run, or is new
  kong-pg-tls run 'tls/*' --until-failure              again and again, to find a flaky cell

Exit status: see `kong-pg-tls --help`.";

const VACUITY_EXAMPLES: &str = "\
Examples:
  kong-pg-tls vacuity                          every cell, with everything that can be broken
  kong-pg-tls vacuity 'mtls/*' --json          some scenarios, for a program
  kong-pg-tls vacuity --break no-revocation    only the CRLs
  kong-pg-tls vacuity --texts                  the texts, by what the last run has observed

Exit status: 100 if a cell or a text cannot fail; see `kong-pg-tls --help`.";

/// Proves, against real PostgreSQL servers, that Kong Gateway connects over TLS and mutual TLS the way its documents
/// say, and fails the way they say.
#[derive(Debug, Parser)]
#[command(name = "kong-pg-tls", version, about, long_about = None, after_help = EXAMPLES)]
struct Cli {
    /// Whether colours are used: `auto` uses them on a terminal.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    color: ColorChoice,
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
    /// List the claims of the documentation with their cases and verdicts, and where it is wrong.
    Claims(claims::ClaimsArgs),
    /// Check the configuration of Kong and of the server; with --live, also connect as Kong would.
    Check(Box<check::CheckArgs>),
    /// Make a scenario of an installation's own files, which anyone can run.
    New(new::NewArgs),
    /// Find the causes behind a message of Kong or a line of PostgreSQL's log.
    Diagnose(diagnose::DiagnoseArgs),
    /// Compare the results of two runs: what regressed, what was fixed, and what explains it.
    Diff(diff::DiffArgs),
    /// Show what an upgrade of Kong or PostgreSQL changes for a configuration, and try it.
    Upgrade(upgrade::UpgradeArgs),
    /// Add the texts of a new version of PostgreSQL or OpenSSL to texts.yaml, from a run on it.
    Texts(texts::TextsArgs),
    /// Make reports of the results of a run: a page, JUnit, Markdown, annotations, TAP.
    Report(report::ReportArgs),
    /// Put the parts of a run together: shards, or runs on different machines.
    Merge(merge::MergeArgs),
    /// Decide each verdict of a run again, from what was recorded.
    Judge(judge::JudgeArgs),
    /// Show what is configured and expected in each case, or everything about one cell.
    Explain(explain::ExplainArgs),
    /// Write a cell for other programs: kong.conf, Compose, Helm, CloudNativePG, or a scenario of its own.
    #[command(after_help = export::EXAMPLES)]
    Export(export::ExportArgs),
    /// Run the server of a cell, with commands to paste, until Ctrl-C.
    #[command(after_help = up::EXAMPLES)]
    Up(up::UpArgs),
    /// Make certificates for a server and Kong, with the settings of both sides to paste.
    #[command(after_help = certs::EXAMPLES)]
    Certs(certs::CertsArgs),
    /// Show which runtimes, servers and clients can be used here, and why others cannot.
    Env,
    /// Break the configuration of every cell that passes, and show which cells pass all the same.
    #[command(after_help = VACUITY_EXAMPLES)]
    Vacuity(vacuity::VacuityArgs),
    /// Measure what TLS costs: connections in every mode and with every client, queries, storms and distances.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::BenchArgs),
    /// Remove what an interrupted run left behind.
    Clean,
    /// Write the completions for a shell.
    Completions(generate::CompletionsArgs),
    /// Write the manual pages.
    Man(generate::ManArgs),
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.color {
        ColorChoice::Auto => {}
        ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
        ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::environment(format!("cannot start: {error}")).report(),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(&args).await,
            Command::List(args) => list::list(&args).await,
            Command::Claims(args) => claims::claims(&args),
            Command::New(args) => new::new(&args),
            Command::Diagnose(args) => diagnose::diagnose(&args),
            Command::Diff(args) => diff::diff(&args),
            Command::Upgrade(args) => upgrade::upgrade(&args).await,
            Command::Texts(args) => texts::texts(&args),
            Command::Report(args) => report::report(&args),
            Command::Merge(args) => merge::merge(&args),
            Command::Judge(args) => judge::judge(&args),
            Command::Explain(args) => explain::explain(&args),
            Command::Export(args) => export::export(&args),
            Command::Certs(args) => certs::certs(&args),
            Command::Up(args) => up::up(&args).await,
            Command::Check(args) => check::check(&args).await,
            Command::Vacuity(args) => vacuity::vacuity(&args).await,
            Command::Bench(args) => bench::bench(&args).await,
            Command::Env => env::env().await,
            Command::Clean => clean::clean().await,
            Command::Completions(args) => generate::completions(&args, Cli::command()),
            Command::Man(args) => generate::man(&args, Cli::command()),
        }
    });
    // Background tasks are not waited for any longer.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    done.map_or_else(|failure| failure.report(), ExitCode::from)
}
