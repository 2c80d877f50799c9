//! `vacuity`

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use strum::VariantArray;

use super::cells::word;
use super::limits::LimitArgs;
use super::signals::Signals;
use super::{CellArgs, Exit, Failure, print, write_json};
use crate::record::{CellRecord, Entry, RunEnd, RunEvent};
use crate::report::{Reporter, write_score};
use crate::session::{Options, Session};
use crate::vacuity::{Indifferent, Mutation, Trial};

#[derive(Debug, Args)]
pub(super) struct VacuityArgs {
    #[command(flatten)]
    cells: CellArgs,
    /// What to break; everything by default.
    #[arg(long = "break", value_name = "WHAT,..", value_delimiter = ',', value_parser = word::<Mutation>())]
    mutations: Vec<Mutation>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

/// A bar for one round of cells; nothing where the standard error is no terminal.
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
            RunEvent::RunStarted(run) => self.0.set_length(run.planned as u64),
            RunEvent::CellFinished(_) => self.0.inc(1),
            RunEvent::CellStarted { .. } | RunEvent::CellKept(_) | RunEvent::RunEnded { .. } => {}
        }
    }
}

pub(super) async fn vacuity(args: &VacuityArgs) -> Result<Exit, Failure> {
    let limits = args.limits.limits();
    let mut signals = Signals::listen()?;
    let session = Session::open(&Options { limits, ..args.cells.options() }).await?;
    let trial = tried(&session, &args.mutations, &mut signals).await;
    session.close().await;
    let Some(trial) = trial else { return Ok(Exit::Interrupted) };
    // The built-in entries are about the built-in scenarios.
    let indifferent = if args.cells.scenarios.is_none() { Indifferent::built_in() } else { Indifferent::default() };
    let score = trial.score(&indifferent);
    print(|out| if args.json { write_json(out, &score) } else { write_score(out, &score) })?;
    Ok(match score.total.mutants {
        0 => Exit::Environment,
        _ if score.is_clean() => Exit::Success,
        _ => Exit::Failed,
    })
}

/// Runs the cells, and the mutants of those that pass; `None` if it was interrupted.
async fn tried(session: &Session, mutations: &[Mutation], signals: &mut Signals) -> Option<Trial> {
    let mut round = async |name: &str, cells| {
        let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(Round::new(name))];
        let results = session.run(cells, Vec::new(), &mut reporters, signals.wait()).await;
        (results.end == RunEnd::Finished).then_some(results.cells)
    };
    let records: Vec<CellRecord> = round("unbroken", session.cells.clone()).await?;
    let mut trial = Trial::of(&session.cells, &records);
    let mutations = if mutations.is_empty() { Mutation::VARIANTS } else { mutations };
    for mutation in mutations {
        let results = round(&mutation.to_string(), trial.mutants(*mutation)).await?;
        trial.record(*mutation, &results);
    }
    Some(trial)
}
