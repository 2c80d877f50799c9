//! `export`

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use strum::VariantNames as _;

use super::cells::OneCellArgs;
use super::{Exit, Failure, print};
use crate::desk::export::{self, Address, Deployment, ExportError, FolderError, Format};
use crate::runfolder::RunFolder;
use certificate_trees::{Authority, PkiError};
use postgres_tls_server::Major;

pub(super) const EXAMPLES: &str = "\
Examples:
  kong-pg-tls export 'mtls/cert::a-certificate.expired.default' --as kong.conf
  kong-pg-tls export CASE --as compose --out repro && cd repro && docker-compose up
  kong-pg-tls export CASE --as scenario --out report   a scenario that anyone can run:
  kong-pg-tls run --scenarios report

Exit status:
  0 written   2 unknown format, or one that cannot express the cell   4 no such cell";

/// The major where nothing says another one.
const MAJOR: Major = Major(18);

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    cell: OneCellArgs,
    /// What to write: Kong's settings, both sides for Compose, Kong's Helm chart or CloudNativePG, or a scenario.
    #[arg(long = "as", value_name = "FORMAT", value_parser = format())]
    format: Format,
    /// A new folder to write it to, with the certificates that it names.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where Kong reaches the server; 127.0.0.1 by default, and CloudNativePG's service in Helm values.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The server's port.
    #[arg(long, value_name = "PORT", default_value = "5432", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

fn format() -> impl clap::builder::TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::VARIANTS).try_map(|text| Format::from_str(&text))
}

impl From<PkiError> for Failure {
    fn from(error: PkiError) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let exit = if matches!(error, FolderError::Exists(_)) { Exit::Usage } else { Exit::Environment };
        Self { exit, message: error.to_string() }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Certificates(error) => error.into(),
            ExportError::Folder(error) => error.into(),
            ExportError::NotPossible { .. } => Self { exit: Exit::Usage, message: error.to_string() },
            ExportError::Yaml(_) | ExportError::Value(_) => Self::environment(error.to_string()),
        }
    }
}

pub(super) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let host = args.host.as_deref().unwrap_or(args.format.host()).to_owned();
    write(&args.cell, args.format, args.out.as_deref(), &Address { host, port: args.port })
}

/// Writes a cell in a format.
pub(super) fn write(
    cell: &OneCellArgs,
    format: Format,
    out: Option<&Path>,
    address: &Address,
) -> Result<Exit, Failure> {
    let suite = cell.suite()?;
    let cell = cell.named(MAJOR).find(&suite)?;
    let run = RunFolder::create().map_err(|error| Failure::environment(format!("cannot make a folder: {error}")))?;
    let authority = Authority::new(run.path().join("guide"));
    let deployment = Deployment::make(cell, &suite.texts, &authority)?;
    match out {
        None => {
            let document = export::document(format, &deployment, &authority, address)?;
            print(|out| out.write_all(document.as_bytes()))?;
        }
        Some(folder) => {
            export::write(format, &deployment, &authority, address, folder)?;
            print(|out| writeln!(out, "{}", folder.join(format.file()).display()))?;
        }
    }
    Ok(Exit::Success)
}
