//! What two runs were made with, and which of it explains a change.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::results::{Cell, Run};

/// Something that differs between two runs as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AxisChange {
    /// What it is: `PostgreSQL`, `OpenSSL`, `Kong`, `client`, `stack`.
    pub axis: &'static str,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

impl fmt::Display for AxisChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.axis, self.before, self.after)
    }
}

/// How a value is read from a cell.
type Reading = fn(&Cell) -> String;

/// An axis of a cell's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
pub enum Axis {
    /// The server's major.
    #[strum(serialize = "PostgreSQL")]
    Postgres,
    /// The release.
    Kong,
    /// The client.
    #[strum(serialize = "client")]
    Client,
    /// Kong's TLS stack.
    #[strum(serialize = "stack")]
    Stack,
}

impl Axis {
    const ALL: [Self; 4] = [Self::Postgres, Self::Kong, Self::Client, Self::Stack];

    pub(super) fn of(self, cell: &Cell) -> String {
        match self {
            Self::Postgres => cell.postgres.major.to_string(),
            Self::Kong => cell.kong.clone(),
            Self::Client => cell.client.clone(),
            Self::Stack => cell.stack.clone(),
        }
    }
}

/// Versions that are not part of a cell's id.
const VERSIONS: [(&str, Reading); 2] = [
    ("PostgreSQL", |cell| cell.postgres.version.clone().unwrap_or_default()),
    ("the server's OpenSSL", |cell| cell.postgres.openssl.clone().unwrap_or_default()),
];

fn values(run: &Run, reading: impl Fn(&Cell) -> String) -> BTreeSet<String> {
    run.cells.iter().map(reading).filter(|value| !value.is_empty()).collect()
}

/// The value that all cells of a run share.
fn single(run: &Run, reading: impl Fn(&Cell) -> String) -> Option<String> {
    let mut values = values(run, reading).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// The axes that distinguish the cells of two runs, and those by which the runs differ.
pub(super) struct Axes {
    kept: Vec<Axis>,
    pub(super) changes: Vec<AxisChange>,
}

impl Axes {
    /// Of an axis on which each run has one value, cells are compared across the two.
    pub(super) fn of(old: &Run, new: &Run) -> Self {
        let compare = |axis, reading: &dyn Fn(&Cell) -> String| {
            let (before, after) = (single(old, reading)?, single(new, reading)?);
            (before != after).then_some(AxisChange { axis, before, after })
        };
        let mut kept = Vec::new();
        let mut changes = Vec::new();
        for axis in Axis::ALL {
            match compare(axis.into(), &|cell| axis.of(cell)) {
                Some(change) => changes.push(change),
                None => kept.push(axis),
            }
        }
        for (axis, reading) in VERSIONS {
            let Some(change) = compare(axis, &reading) else { continue };
            match changes.iter_mut().find(|known| known.axis == change.axis) {
                // The full version says more than the major.
                Some(known) => *known = change,
                None => changes.push(change),
            }
        }
        Self { kept, changes }
    }

    /// What makes a cell the same in both runs.
    pub(super) fn key(&self, cell: &Cell) -> String {
        let axes: Vec<_> = self.kept.iter().map(|axis| axis.of(cell)).collect();
        format!("{}@{}", cell.case(), axes.join("+"))
    }
}

/// The axes on which cells share a value that others of the same cases do not have.
pub(super) fn only(cells: &[&Cell], run: &Run) -> Vec<String> {
    let cases: BTreeSet<_> = cells.iter().map(|cell| cell.case()).collect();
    let shared = |axis: Axis| {
        let theirs: BTreeSet<_> = cells.iter().map(|cell| axis.of(cell)).collect();
        let of_cases = run.cells.iter().filter(|cell| cases.contains(cell.case()));
        let all: BTreeSet<_> = of_cases.map(|cell| axis.of(cell)).collect();
        let value = theirs.first().filter(|_| theirs.len() == 1 && all.len() > 1)?;
        Some(format!("{axis} {value}"))
    };
    Axis::ALL.into_iter().filter_map(shared).collect()
}
