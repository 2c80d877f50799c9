//! `report`

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, print};
use crate::report::{Results, html, results_file};

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls report target/kong-pg-tls/latest           writes report.html beside results.json
  kong-pg-tls report results.json --html /tmp/run.html   writes it there";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    /// A results.json, or the folder that has one.
    #[arg(value_name = "RESULTS", default_value = "target/kong-pg-tls/latest")]
    results: PathBuf,
    /// Where to write the page; report.html beside the results by default.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn report(args: &ReportArgs) -> Result<Exit, Failure> {
    let results = results_file(&args.results);
    let usage = |message: String| Failure { exit: Exit::Usage, message };
    let text = std::fs::read(&results)
        .map_err(|error| usage(format!("cannot read {}: {error}; `kong-pg-tls run` writes one", results.display())))?;
    let run: Results = serde_json::from_slice(&text)
        .map_err(|error| usage(format!("{} is not a result file of this version: {error}", results.display())))?;
    let page = args.html.clone().unwrap_or_else(|| results.with_file_name("report.html"));
    html::page(&run)
        .and_then(|text| std::fs::write(&page, text))
        .map_err(|error| Failure::environment(format!("cannot write {}: {error}", page.display())))?;
    print(|out| writeln!(out, "{}", page.display()))?;
    Ok(Exit::Success)
}
