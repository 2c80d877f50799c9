//! `check`

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Exit, Failure, InstallationArgs};
use crate::desk::check::live::{self, LiveError, LiveJson, Overrides};
use crate::desk::check::output::{Look, write_codes, write_json, write_sarif, write_text};
use crate::desk::check::{InputError, Report, Request, check as run_check};
use crate::session::load_causes;

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls check /etc/kong/kong.conf                  as the newest release reads it
  kong-pg-tls check kong.conf --kong 3.9-oss --json      for a program
  kong-pg-tls check --env-file kong.env --root ./rootfs  a container's variables and files
  docker inspect kong | kong-pg-tls check -              a running container
  helm template . | kong-pg-tls check -                  what would be deployed
  kong-pg-tls check kong.conf --postgresql postgresql.conf --hba pg_hba.conf
  kong-pg-tls check kong.conf --live                     and connect as Kong does
  kong-pg-tls check kong.conf --live --json              the same for a program
  kong-pg-tls check kong.conf --live --as-superuser postgres://postgres@db/postgres
                                                         and show the server's side

Exit status:
  0 nothing wrong was found   100 there are errors or warnings   2 it cannot be read";

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// kong.conf; also a file of variables, the output of `docker inspect`, a Compose file, a Kubernetes manifest or
    /// Helm values; `-` is standard input. Without it, the kong.conf that Kong finds by default, and KONG_* from the environment.
    #[arg(value_name = "KONG.CONF")]
    file: Option<PathBuf>,
    #[command(flatten)]
    installation: InstallationArgs,
    /// Read the variables from a file instead of the environment; may be repeated.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Kong's prefix, which may contain files of an earlier start.
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// Warn of certificates that expire within this many days.
    #[arg(long, value_name = "N", default_value_t = 30)]
    days: u32,
    /// Also connect, as Kong does, and show what the server sends.
    #[arg(long, conflicts_with = "sarif")]
    live: bool,
    /// Where to connect, instead of pg_host.
    #[arg(long, value_name = "HOST", requires = "live")]
    host: Option<String>,
    /// The port, instead of pg_port.
    #[arg(long, value_name = "PORT", requires = "live")]
    port: Option<u16>,
    /// The time limit of each step; pg_timeout or 10 by default.
    #[arg(long, value_name = "SECONDS", requires = "live", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
    /// The server's log, to show the lines that it gains meanwhile.
    #[arg(long, value_name = "FILE", requires = "live")]
    log: Option<PathBuf>,
    /// A superuser's connection string, to see the server's side: its settings, pg_hba.conf, what it shows of Kong's
    /// connections, and its log. Without a password in it, PGPASSWORD is used.
    #[arg(long, value_name = "DSN", requires = "live")]
    as_superuser: Option<String>,
    /// One JSON document.
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// SARIF 2.1.0, for code scanning.
    #[arg(long)]
    sarif: bool,
    /// Print the list of all codes, as in docs/check.md.
    #[arg(long, conflicts_with_all = ["file", "json", "sarif"])]
    codes: bool,
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self { exit: Exit::Usage, message: error.to_string() }
    }
}

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Self {
        let exit = match &error {
            LiveError::Refused(_) => Exit::Failed,
            LiveError::Folder(_) => Exit::Environment,
            _ => Exit::Usage,
        };
        Self { exit, message: error.to_string() }
    }
}

impl CheckArgs {
    fn request(&self) -> Result<Request, Failure> {
        Ok(Request {
            env_files: self.env_file.clone(),
            prefix: self.prefix.clone(),
            days: self.days,
            ..self.installation.request(self.file.clone())?
        })
    }

    fn write(&self, report: &Report) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            write_json(&mut out, report, None)
        } else if self.sarif {
            write_sarif(&mut out, report)
        } else {
            let colour = anstream::AutoStream::choice(&out) != anstream::ColorChoice::Never;
            write_text(&mut out, report, Look { colour })
        }?;
        out.flush()
    }
}

pub(super) async fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    if args.codes {
        return written(write_codes(&mut io::stdout().lock()), Exit::Success);
    }
    let request = args.request()?;
    let report = match run_check(&request) {
        // A host alone is connected to as a Kong without a configuration would.
        Err(InputError::Nothing) if args.live && args.host.is_some() => Report::empty(&request),
        checked => checked?,
    };
    let exit = if report.is_faulty() { Exit::Failed } else { Exit::Success };
    // One document has both.
    let exit =
        if args.live && (args.json || report.inputs.is_empty()) { exit } else { written(args.write(&report), exit)? };
    if args.live { connect(args, &request, &report).await } else { Ok(exit) }
}

async fn connect(args: &CheckArgs, request: &Request, report: &Report) -> Result<Exit, Failure> {
    let overrides = Overrides {
        host: args.host.clone(),
        port: args.port,
        log: args.log.clone(),
        superuser: args.as_superuser.clone(),
        limit: args.timeout.map(Duration::from_secs),
    };
    let plan = live::plan(request, &overrides)?;
    let causes = load_causes()?;
    if !args.json {
        written(live::write_announcement(&mut io::stdout().lock(), &plan), Exit::Success)?;
    }
    let result = live::run(&plan).await;
    let exit = if result.connects() && !report.is_faulty() { Exit::Success } else { Exit::Failed };
    let diagnosis = live::diagnose(&plan, &result, &causes);
    let mut out = anstream::stdout().lock();
    let outcome = if args.json {
        write_json(&mut out, report, Some(LiveJson::new(&plan, &result, diagnosis)))
    } else {
        live::write_result(&mut out, &plan, &result, diagnosis.as_ref())
    };
    written(outcome, exit)
}

fn written(result: io::Result<()>, exit: Exit) -> Result<Exit, Failure> {
    match result {
        Ok(()) => Ok(exit),
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        Err(error) => Err(Failure::environment(format!("cannot write: {error}"))),
    }
}
