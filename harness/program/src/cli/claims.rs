//! `claims`

use std::path::{Path, PathBuf};

use clap::Args;
use kong_pg_scenarios::format::ClaimsFile;
use kong_pg_scenarios::suite::read_file;

use super::{Exit, Failure, print};
use crate::record::{LATEST, ReadError, Results};
use crate::report::{Recorded, write_claims, write_comparison, write_deviations};
use crate::session::load_suite;

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls claims                               each claim with its cases and verdicts
  kong-pg-tls claims --deviations                  where the documents are wrong or incomplete
  kong-pg-tls claims --check postgresql-oauth.md   whether a file is as it was read, and what rests on it

Exit status:
  0 every claim has a case, and every case a reason; with --check, the files are as they were read
  100 one has none; with --check, a file has changed
  2 a scenario has a mistake; with --check, a file cannot be read, or claims.yaml has none of its name";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ClaimsArgs {
    /// Print where the documentation is wrong or incomplete instead, as in docs/deviations.md.
    #[arg(long, conflicts_with = "check")]
    deviations: bool,
    /// Compare files of the documentation, as its repositories have them, with those that the claims were read from.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "results")]
    check: Vec<PathBuf>,
    /// The folder of a run, its results.json or its events.jsonl.
    #[arg(long, value_name = "DIR", default_value = LATEST)]
    results: PathBuf,
    /// Use the scenarios of this folder instead of the built-in ones.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

pub(super) fn claims(args: &ClaimsArgs) -> Result<Exit, Failure> {
    let suite = load_suite(args.scenarios.as_deref())?;
    if !args.check.is_empty() {
        return check(&suite.claims, &args.check);
    }
    if args.deviations {
        print(|out| write_deviations(out, &suite))?;
        return Ok(Exit::Success);
    }
    let recorded = match Results::read(&args.results) {
        Ok(run) => Recorded::of(&run),
        Err(ReadError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Recorded::default()
        }
        Err(error) => return Err(error.into()),
    };
    print(|out| write_claims(out, &suite, &recorded))?;
    Ok(if suite.coverage().is_complete() { Exit::Success } else { Exit::Failed })
}

/// Compares all files before it ends, with the worst that it found.
fn check(claims: &ClaimsFile, paths: &[PathBuf]) -> Result<Exit, Failure> {
    let mut has_changed = false;
    let mut unknown = Vec::new();
    for path in paths {
        match check_one(claims, path)? {
            Some(is_same) => has_changed |= !is_same,
            None => unknown.push(path.display().to_string()),
        }
    }
    if !unknown.is_empty() {
        let documents = claims.documents.values().flat_map(|document| document.files.values());
        let known: Vec<_> = documents.map(|file| format!("  {}", file.path)).collect();
        return Err(Failure::usage(format!(
            "no claim rests on {}, by content or by name. Claims rest on these files:\n{}",
            unknown.join(", "),
            known.join("\n")
        )));
    }
    Ok(if has_changed { Exit::Failed } else { Exit::Success })
}

/// Whether a file is as it was read; `None` if no claim rests on it.
fn check_one(claims: &ClaimsFile, path: &Path) -> Result<Option<bool>, Failure> {
    let content = std::fs::read(path);
    let content = content.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
    let Some(found) = read_file(claims, path, &content) else { return Ok(None) };
    print(|out| write_comparison(out, path, &found))?;
    Ok(Some(found.is_same))
}
