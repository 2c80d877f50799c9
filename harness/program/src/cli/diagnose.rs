//! `diagnose`

use std::io::{self, IsTerminal, Read};

use clap::Args;
use kong_pg_client::Stack;
use postgres_tls_server::Major;

use super::{Exit, Failure, ReleaseArgs, print, release, write_json};
use crate::desk::diagnose::{Circumstances, find_causes, write_diagnosis};
use crate::session::load_causes;

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls diagnose '20: unable to get local issuer certificate'
  kong-pg-tls diagnose 'certificate verify failed' --kong 3.14-enterprise
  kong start 2>&1 | kong-pg-tls diagnose -
  kong-pg-tls diagnose \"$KONG_SAYS\" \"$POSTGRESQL_LOGS\"

Exit status:
  0 causes are known   4 nothing in the text is known";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiagnoseArgs {
    /// What Kong printed, what PostgreSQL logged, or both; `-` reads a whole log from the standard input.
    #[arg(value_name = "TEXT", required = true)]
    texts: Vec<String>,
    /// The Kong release, such as 3.9-oss or 3.14-enterprise.
    #[arg(long, value_name = "RELEASE")]
    kong: Option<String>,
    #[command(flatten)]
    releases: ReleaseArgs,
    /// Kong's TLS stack that printed it: `luasec` while nginx starts, `cosocket` on the command line since
    /// 3.5 and in workers.
    #[arg(long, value_name = "luasec|cosocket")]
    stack: Option<Stack>,
    /// The PostgreSQL major.
    #[arg(long, value_name = "MAJOR")]
    postgres: Option<Major>,
    /// One JSON object: who, step, causes.
    #[arg(long)]
    json: bool,
}

/// More than this of a log is not read, in bytes.
const LIMIT: u64 = 16 << 20;

pub(super) fn diagnose(args: &DiagnoseArgs) -> Result<Exit, Failure> {
    let known = args.releases.releases()?;
    let release = args.kong.as_deref().map(|name| release(&known, "--kong", name)).transpose()?;
    let mut text = String::new();
    for given in &args.texts {
        if given == "-" {
            let mut bytes = Vec::new();
            let read = io::stdin().take(LIMIT).read_to_end(&mut bytes);
            read.map_err(|error| Failure::environment(format!("cannot read the standard input: {error}")))?;
            text.push_str(&String::from_utf8_lossy(&bytes));
        } else {
            text.push_str(given);
        }
        text.push('\n');
    }
    let causes = load_causes()?;
    let circumstances = Circumstances { release, stack: args.stack, major: args.postgres };
    let diagnosis = find_causes(&causes, &text, &circumstances);
    let width = terminal_size::terminal_size().filter(|_| io::stdout().is_terminal());
    let width = width.map_or(80, |(width, _)| usize::from(width.0));
    print(|out| if args.json { write_json(out, &diagnosis) } else { write_diagnosis(out, &diagnosis, width) })?;
    Ok(if diagnosis.causes.is_empty() { Exit::NothingMatched } else { Exit::Success })
}
