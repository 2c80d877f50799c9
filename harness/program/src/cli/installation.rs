//! The options that name an installation's files and who reads them.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, ReleaseArgs, release};
use crate::desk::check::{Kind, Request};
use postgres_tls_server::Major;

#[derive(Debug, Args)]
pub(super) struct InstallationArgs {
    /// The format of the file, if it is not recognized.
    #[arg(long = "as", value_name = "kong.conf|env|docker-inspect|compose|kubernetes|helm")]
    kind: Option<Kind>,
    /// The folder that has the files of Kong's container: `/etc/ca.crt` is looked for in `DIR/etc/ca.crt`.
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
    /// The release of Kong; the newest Enterprise one by default.
    #[arg(long, value_name = "RELEASE")]
    kong: Option<String>,
    #[command(flatten)]
    releases: ReleaseArgs,
    /// The server's major version.
    #[arg(long, value_name = "MAJOR", default_value = "18")]
    postgres: Major,
}

impl InstallationArgs {
    /// What to read, with this file as Kong's configuration.
    pub(super) fn request(&self, file: Option<PathBuf>) -> Result<Request, Failure> {
        let known = self.releases.releases()?;
        let profile = self.kong.as_ref().map_or_else(|| Ok(known.newest()), |name| release(&known, "--kong", name))?;
        Ok(Request {
            file,
            kind: self.kind,
            env_files: Vec::new(),
            prefix: None,
            root: self.root.clone(),
            postgresql: self.postgresql.clone(),
            hba: self.hba.clone(),
            ident: self.ident.clone(),
            profile,
            major: self.postgres.0,
            days: 0,
        })
    }
}
