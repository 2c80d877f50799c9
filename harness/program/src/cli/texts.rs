//! `texts`

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, print};
use crate::learn::{learn, write, write_learned};
use crate::record::Results;
use crate::session::load_suite;

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls run --postgres 20                         fails where a text is missing
  kong-pg-tls texts --learn target/kong-pg-tls/latest   adds what was observed
  git diff scenarios/texts.yaml                         to be reviewed

Exit status:
  0 all missing texts were learned   4 no text is missing   100 some cells are not explained
  2 not a result file, or a texts.yaml that cannot be added to";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TextsArgs {
    /// Results of runs on the new version: a results.json, or the folder that has one; may be given more than once.
    #[arg(long, value_name = "RESULTS", required = true)]
    learn: Vec<PathBuf>,
    /// The folder of the scenarios, whose texts.yaml is extended.
    #[arg(long, value_name = "DIR", default_value = "scenarios")]
    scenarios: PathBuf,
}

pub(super) fn texts(args: &TextsArgs) -> Result<Exit, Failure> {
    let runs = args.learn.iter().map(|path| Results::read(path)).collect::<Result<Vec<_>, _>>()?;
    let suite = load_suite(Some(&args.scenarios))?;
    let learned = learn(&runs, &suite.texts);
    let file = args.scenarios.join("texts.yaml");
    if !learned.wordings.is_empty() {
        write(&learned, &file).map_err(|error| Failure::usage(error.to_string()))?;
    }
    print(|out| write_learned(out, &learned, &file))?;
    Ok(match (learned.wordings.is_empty(), learned.unexplained.is_empty()) {
        (_, false) => Exit::Failed,
        (true, true) => Exit::NothingMatched,
        (false, true) => Exit::Success,
    })
}
