//! `diff`

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, print, write_json};
use crate::compare::{Comparison, Run, write_markdown, write_text};

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls diff before/ after/                 two result folders
  kong-pg-tls diff old.json new.json --markdown   a table for a pull request
  kong-pg-tls diff before/ after/ --texts         a changed text counts as a regression

Exit status:
  0 nothing regressed   2 not a result file   100 something regressed";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiffArgs {
    /// The results to compare with: a results.json or the folder that has one.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The results to look at.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Count changed texts as regressions.
    #[arg(long)]
    texts: bool,
    /// Write a Markdown table.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn diff(args: &DiffArgs) -> Result<Exit, Failure> {
    let read =
        |path: &PathBuf| Run::read(path).map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() });
    let comparison = Comparison::new(&read(&args.old)?, &read(&args.new)?);
    print(|out| match args {
        DiffArgs { json: true, .. } => write_json(out, &comparison),
        DiffArgs { markdown: true, .. } => write_markdown(out, &comparison),
        _ => write_text(out, &comparison),
    })?;
    Ok(if comparison.is_worse(args.texts) { Exit::Failed } else { Exit::Success })
}
