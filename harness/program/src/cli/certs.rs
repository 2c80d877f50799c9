//! `certs`

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, print};
use crate::desk::certs::{self, CertsError, Flaw, Host, Request, User, write_certs};
use crate::runfolder::RunFolder;
use crate::session::load_suite;
use certificate_trees::Authority;

pub(super) const EXAMPLES: &str = "\
Examples:
  kong-pg-tls certs root-only --out tls                     a CA, a server, and Kong
  kong-pg-tls certs intermediate --out tls --host db.example.com --host 10.0.0.5
  kong-pg-tls certs self-signed --out tls --user kong --days 30 --kubernetes-secret
  kong-pg-tls certs guide/intermediate --out tls            with the guide's own commands

Exit status:
  0 written   2 no such tree, a bad name, or a folder that is not empty   3 the environment failed";

#[derive(Debug, Args)]
pub(super) struct CertsArgs {
    /// root-only, intermediate, two-intermediates or self-signed; with `guide/` before it, Kong's guide's own commands.
    #[arg(value_name = "TREE")]
    tree: String,
    /// The new folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A name or address of the server; may be given more than once; localhost and 127.0.0.1 by default.
    #[arg(long, value_name = "HOST")]
    host: Vec<Host>,
    /// The user that Kong logs in as; kong by default.
    #[arg(long, value_name = "NAME")]
    user: Option<User>,
    /// How long the certificates of the server and Kong are valid; 365 by default.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i16).range(1..=10000))]
    days: Option<i16>,
    /// Write Secrets of Kubernetes as well.
    #[arg(long)]
    kubernetes_secret: bool,
    /// Use the pki.yaml of this folder instead of the built-in one.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

impl From<CertsError> for Failure {
    fn from(error: CertsError) -> Self {
        match error {
            CertsError::Certificates(error) => error.into(),
            CertsError::Folder(error) => error.into(),
            _ => Self { exit: Exit::Usage, message: error.to_string() },
        }
    }
}

pub(super) fn certs(args: &CertsArgs) -> Result<Exit, Failure> {
    let suite = load_suite(args.scenarios.as_deref())?;
    let tree = suite.tree(&args.tree).map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() })?;
    let flaws = tree.recipe.map(|recipe| Flaw::of(&suite, recipe)).unwrap_or_default();
    let run = RunFolder::create().map_err(|error| Failure::environment(format!("cannot make a folder: {error}")))?;
    let authority = Authority::new(run.path().join("guide"));
    let request =
        Request { hosts: args.host.clone(), user: args.user.clone(), days: args.days, secrets: args.kubernetes_secret };
    let made = certs::make(&args.tree, &tree, flaws, &authority, &request, &args.out)?;
    print(|out| write_certs(out, &made))?;
    Ok(Exit::Success)
}
