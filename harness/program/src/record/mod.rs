//! The record of a run: `events.jsonl` while it is running, `results.json` when it has ended.
//! `harness/schema` has the schemas of both.

mod agreement;
mod capture;
mod cell;
mod certificates;
mod durations;
mod entry;
mod evidence;
mod folder;
mod host;
mod merge;
mod read;
mod run;
#[cfg(test)]
pub(crate) mod sample;
mod shared;
mod time;

pub use agreement::{Agreement, DifferingCells, SideBySide};
pub use cell::{CellRecord, EarlierRecord, FilesRecord, ObservedRecord, OutcomeRecord, PostgresRecord, SlowRecord};
pub use certificates::{CertificateRecord, CertificatesRecord, ChainRecord, KnownCertificates, LinkRecord};
pub use durations::{DURATIONS, Durations, usual_pace};
pub use entry::{Entry, LogError, RunEvent};
pub use evidence::EvidenceFolder;
pub use folder::{LATEST, ROOT, new_run};
pub use host::Host;
pub use merge::{MergeError, Tolerance, merge};
pub use read::{EVENTS, RESULTS, ReadError, results_file};
pub use run::{Results, RunEnd, RunRecord};
pub(crate) use shared::SharedParts;
