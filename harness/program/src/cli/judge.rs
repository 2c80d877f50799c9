//! `judge`

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, print};
use crate::record::{CellRecord, LATEST, Results};

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls judge                 the last run
  kong-pg-tls judge before/         the results of an earlier run, or of another machine

Exit status:
  0 every verdict is the same   2 not a result file   100 a verdict differs";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct JudgeArgs {
    /// The folder of a run, its results.json or its events.jsonl.
    #[arg(value_name = "DIR", default_value = LATEST)]
    results: PathBuf,
}

pub(super) fn judge(args: &JudgeArgs) -> Result<Exit, Failure> {
    let run = Results::read(&args.results)?;
    let (mut judged, mut other) = (0, Vec::new());
    for cell in &run.cells {
        let Some(again) = cell.judged_again() else { continue };
        judged += 1;
        if again != cell.judgement() {
            other.push((cell, again));
        }
    }
    let without = run.cells.len() - judged;
    print(|out| {
        for (CellRecord { id, verdict, .. }, again) in &other {
            let reason = again.reason.as_deref().unwrap_or("both sides are as expected");
            writeln!(out, "{id}\n  recorded: {verdict}\n  decided:  {} ({reason})", again.verdict)?;
        }
        write!(out, "{judged} verdicts decided again, {} are the same", judged - other.len())?;
        if without > 0 {
            write!(out, "; {without} cells ended before anything was observed")?;
        }
        let partial = run.partial().map(|partial| format!("; {partial}")).unwrap_or_default();
        writeln!(out, "{partial}")
    })?;
    Ok(if other.is_empty() { Exit::Success } else { Exit::Failed })
}
