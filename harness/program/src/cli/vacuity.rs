//! `vacuity`

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kong_pg_scenarios::suite::Recompiler;
use strum::VariantArray;

use super::cells::word;
use super::limits::LimitArgs;
use super::signals::Signals;
use super::{CellArgs, Exit, Failure, print, write_json};
use crate::record::{Entry, LATEST, Results, RunEnd, RunEvent};
use crate::report::{Reporter, write_score, write_text_score};
use crate::session::{Options, Session, SessionError};
use crate::vacuity::{Indifferent, Mutation, TextTrial, Trial};

#[derive(Debug, Args)]
pub(super) struct VacuityArgs {
    #[command(flatten)]
    cells: CellArgs,
    /// What to break; everything by default.
    #[arg(long = "break", value_name = "WHAT,..", value_delimiter = ',', value_parser = word::<Mutation>())]
    mutations: Vec<Mutation>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Change one word in each text of outcomes.yaml and texts.yaml instead, and judge runs again: some cell must fail. No
    /// server is needed. By default the last run.
    #[arg(long, value_name = "DIR", num_args = 0.., default_missing_value = LATEST)]
    #[arg(conflicts_with_all = ["globs", "mutations"])]
    texts: Option<Vec<PathBuf>>,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

/// One round of cells: a bar or, where the standard error is no terminal, a line.
struct Round(ProgressBar);

impl Round {
    fn new(name: &str) -> Self {
        let style = ProgressStyle::with_template("{elapsed_precise} {msg} {wide_bar} {pos}/{len}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar.with_message(name.to_owned()))
    }
}

impl Reporter for Round {
    fn event(&mut self, entry: &Entry) {
        match &entry.event {
            RunEvent::RunStarted(run) => {
                self.0.set_length(run.planned as u64);
                if self.0.is_hidden() {
                    eprintln!("{}: {} cells", self.0.message(), run.planned);
                }
            }
            RunEvent::CellFinished(_) => self.0.inc(1),
            RunEvent::CellStarted { .. }
            | RunEvent::CellSlow { .. }
            | RunEvent::CellKept(_)
            | RunEvent::RunEnded { .. }
            | RunEvent::LeaksFound { .. } => {}
        }
    }
}

pub(super) async fn vacuity(args: &VacuityArgs) -> Result<Exit, Failure> {
    if let Some(runs) = &args.texts {
        return texts(args, runs);
    }
    let limits = args.limits.limits();
    let mut signals = Signals::listen()?;
    let session = Session::open(&Options { limits, ..args.cells.options() }).await?;
    let trial = tried(&session, &args.mutations, &mut signals).await;
    session.close().await;
    let Some(trial) = trial else { return Ok(Exit::Interrupted) };
    let score = trial.score(&indifferent(args));
    print(|out| if args.json { write_json(out, &score) } else { write_score(out, &score) })?;
    Ok(match score.total.mutants {
        0 => Exit::Environment,
        _ if score.is_clean() => Exit::Success,
        _ => Exit::Failed,
    })
}

/// The built-in entries are about the built-in scenarios.
fn indifferent(args: &VacuityArgs) -> Indifferent {
    if args.cells.scenarios.is_none() { Indifferent::built_in() } else { Indifferent::default() }
}

/// Changes a word in each text, and judges runs again.
fn texts(args: &VacuityArgs, runs: &[PathBuf]) -> Result<Exit, Failure> {
    let runs = runs.iter().map(|run| Results::read(run)).collect::<Result<Vec<_>, _>>()?;
    let releases = args.cells.releases.releases()?;
    let scenarios = Recompiler::read(args.cells.scenarios.as_deref(), releases).map_err(SessionError::Scenarios)?;
    let cases = scenarios.cases().map_err(SessionError::Scenarios)?;
    let score = TextTrial::new(scenarios, cases, &runs)?.score(&indifferent(args));
    print(|out| if args.json { write_json(out, &score) } else { write_text_score(out, &score) })?;
    Ok(if score.is_clean() { Exit::Success } else { Exit::Failed })
}

/// Runs the cells, and the mutants of those that pass; `None` if it was interrupted.
async fn tried(session: &Session, mutations: &[Mutation], signals: &mut Signals) -> Option<Trial> {
    let mut round = async |name: &str, cells| {
        let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(Round::new(name))];
        let results = session.run(cells, Vec::new(), &mut reporters, signals.wait()).await;
        (results.end == RunEnd::Finished).then_some(results)
    };
    let unbroken = round("unbroken", session.cells.clone()).await?;
    let mut trial = Trial::of(&session.cells, &unbroken);
    let mutations = if mutations.is_empty() { Mutation::VARIANTS } else { mutations };
    for mutation in mutations {
        let results = round(&mutation.to_string(), trial.mutants(*mutation)).await?;
        trial.record(*mutation, &results.cells);
    }
    Some(trial)
}
