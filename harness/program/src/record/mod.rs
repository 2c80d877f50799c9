//! What a run has found out, as it is kept: `events.jsonl` while the run goes on, `results.json` when it has ended.
//! `harness/schema` has the schemas of both.

mod agreement;
mod cell;
mod entry;
mod folder;
mod host;
mod merge;
mod read;
mod run;
#[cfg(test)]
pub(crate) mod sample;
mod time;

pub use agreement::{Agreement, DifferingCells, SideBySide};
pub use cell::{CellRecord, EarlierRecord, ObservedRecord, PostgresRecord};
pub use entry::{Entry, LogError, RunEvent};
pub use folder::{LATEST, ROOT, new_run};
pub use host::Host;
pub use merge::{MergeError, Tolerance, merge};
pub use read::{EVENTS, RESULTS, ReadError, results_file};
pub use run::{Results, RunEnd, RunRecord};
