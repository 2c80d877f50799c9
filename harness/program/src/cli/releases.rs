//! The option that adds releases of Kong to the built-in ones.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::session::load_releases;
use kong_pg_client::{Profile, Releases};

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// A file of Kong releases, in the form of harness/kong/releases.toml; each takes the place of the built-in one of
    /// its name, or is added. May be given more than once.
    #[arg(long = "kong-release", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

impl ReleaseArgs {
    /// The built-in releases and those of the files.
    pub(super) fn releases(&self) -> Result<Releases, Failure> {
        load_releases(&self.files).map_err(|error| Failure::usage(error.to_string()))
    }
}

/// The release of a name that was given with an option.
pub(super) fn release(known: &Releases, option: &str, name: &str) -> Result<Profile, Failure> {
    known.find(name).map_err(|error| Failure::usage(format!("{option}: {error}")))
}
