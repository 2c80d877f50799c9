//! Two runs, or two parts of one, side by side: what regressed, what was fixed, and which version or client explains it.

mod axes;
mod parts;
mod render;
mod results;
mod wording;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Serialize;
use strum::Display;

use axes::Axes;
pub use axes::{Axis, AxisChange};
pub use parts::{NoSuchPart, Parts};
pub use render::{write_markdown, write_text};
use results::{Cell, Observed};
pub use results::{ReadError, Run};
pub use wording::different_lines;
use wording::{normalize, pattern};

use crate::judge::Verdict;

/// How a cell's result differs from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display, Serialize)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Change {
    /// It was as expected, and is not any more.
    Regressed,
    /// It was not as expected, and is now.
    Fixed,
    /// It is as expected in both, and something else comes of it: another TLS version, a refusal.
    OutcomeChanged,
    /// The same comes of it, in other words on either side.
    TextChanged,
    /// It is only in the new run.
    New,
    /// It is only in the old run.
    Gone,
}

impl Change {
    /// Whether something else comes of the cell, and not only other words.
    #[must_use]
    pub fn is_of_outcome(self) -> bool {
        matches!(self, Self::Regressed | Self::Fixed | Self::OutcomeChanged)
    }
}

/// Cells that changed in one way for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// How they changed.
    pub change: Change,
    /// What the first of them was, in short. The others differ from it at most in names and numbers.
    pub before: String,
    /// What the first of them is, in short.
    pub after: String,
    /// The axes that all of them share and that cells which did not change do not: `only PostgreSQL 18`.
    pub only: Vec<String>,
    /// Their ids in the new run, or in the old one if they are gone.
    pub cells: Vec<String>,
}

/// A cell as it was and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Its id in the old run, if it is in it.
    pub was: Option<String>,
    /// Its id in the new run, if it is in it.
    pub is: Option<String>,
    /// How it changed, if it did.
    pub change: Option<Change>,
}

/// How many cells have a meaning in one of the two runs only, as the case is not about the other version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NotApplicable {
    /// In the old run.
    pub before: usize,
    /// In the new run.
    pub after: usize,
}

/// Two runs compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What the two runs differ in as a whole: `PostgreSQL 17.12 -> 18.6`.
    pub axes: Vec<AxisChange>,
    /// How many cells are in both, and have a meaning in both.
    pub compared: usize,
    /// How many have one in one of them only.
    pub not_applicable: NotApplicable,
    /// How many cells changed, by the kind of change.
    pub counts: BTreeMap<Change, usize>,
    /// The changes, worst first and the largest groups first among them.
    pub groups: Vec<Group>,
    /// Whether the new run was interrupted, so that cells which are gone may only not have been reached.
    pub partial: bool,
    /// All cells of both runs, in the order of the new one.
    #[serde(skip)]
    pub pairs: Vec<Pair>,
}

impl Comparison {
    /// Compares two runs.
    #[must_use]
    pub fn new(old: &Run, new: &Run) -> Self {
        let axes = Axes::of(old, new);
        let before: IndexMap<String, &Cell> = old.cells.iter().map(|cell| (axes.key(cell), cell)).collect();
        let after: IndexMap<String, &Cell> = new.cells.iter().map(|cell| (axes.key(cell), cell)).collect();
        let mut grouped = Groups::default();
        let mut pairs = Vec::new();
        let (mut compared, mut not_applicable) = (0, NotApplicable::default());
        let mut pair = |was: Option<&Cell>, is: Option<&Cell>, change| {
            let id = |cell: Option<&Cell>| cell.map(|cell| cell.id.clone());
            pairs.push(Pair { was: id(was), is: id(is), change });
        };
        for (key, cell) in &after {
            let Some(was) = before.get(key) else {
                grouped.add(Change::New, (String::new(), cell.verdict.to_string()), cell);
                pair(None, Some(cell), Some(Change::New));
                continue;
            };
            let change = match meaning(was, cell) {
                Meaning::Both => {
                    compared += 1;
                    change(was, cell)
                }
                Meaning::New => {
                    not_applicable.before += 1;
                    None
                }
                Meaning::Old => {
                    not_applicable.after += 1;
                    None
                }
                Meaning::Neither => None,
            };
            pair(Some(was), Some(cell), change);
            if let Some(change) = change {
                grouped.add(change, describe(change, was, cell), cell);
            }
        }
        for (_, cell) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
            grouped.add(Change::Gone, (cell.verdict.to_string(), String::new()), cell);
            pair(Some(cell), None, Some(Change::Gone));
        }
        let mut counts = BTreeMap::new();
        let mut groups = Vec::new();
        for ((change, ..), Alike { before, after, cells }) in grouped.0 {
            *counts.entry(change).or_default() += cells.len();
            let only = axes::only(&cells, new);
            let cells = cells.iter().map(|cell| cell.id.clone()).collect();
            groups.push(Group { change, before, after, only, cells });
        }
        groups.sort_by_key(|group| (group.change, std::cmp::Reverse(group.cells.len())));
        Self { axes: axes.changes, compared, not_applicable, counts, groups, partial: new.is_partial(), pairs }
    }

    /// The cells that changed, by their ids in the new run, or in the old one if they are gone.
    pub fn changed(&self) -> impl Iterator<Item = (&str, Change)> {
        self.pairs.iter().filter_map(|pair| Some((pair.is.as_deref().or(pair.was.as_deref())?, pair.change?)))
    }

    /// Whether something is worse than it was; with `texts`, also if only words changed.
    #[must_use]
    pub fn is_worse(&self, texts: bool) -> bool {
        self.counts.contains_key(&Change::Regressed) || texts && self.counts.contains_key(&Change::TextChanged)
    }
}

/// Changed cells by what they have in common: the change, and the patterns of before and after.
#[derive(Default)]
struct Groups<'a>(IndexMap<(Change, String, String), Alike<'a>>);

/// Cells that changed alike, and what the first of them was and is.
struct Alike<'a> {
    before: String,
    after: String,
    cells: Vec<&'a Cell>,
}

impl<'a> Groups<'a> {
    fn add(&mut self, change: Change, (before, after): (String, String), cell: &'a Cell) {
        let alike = self.0.entry((change, pattern(&before), pattern(&after)));
        alike.or_insert_with(|| Alike { before, after, cells: Vec::new() }).cells.push(cell);
    }
}

/// In which runs a cell has a meaning.
enum Meaning {
    Both,
    Old,
    New,
    Neither,
}

/// A cell that has a meaning in the new run only and is not as expected has one in both: it is to be seen.
fn meaning(was: &Cell, is: &Cell) -> Meaning {
    match (was.verdict == Verdict::Unsupported, is.verdict == Verdict::Unsupported) {
        (true, true) => Meaning::Neither,
        (true, false) if !is.verdict.is_problem() => Meaning::New,
        (false, true) => Meaning::Old,
        _ => Meaning::Both,
    }
}

fn change(was: &Cell, is: &Cell) -> Option<Change> {
    match (was.verdict.is_problem(), is.verdict.is_problem()) {
        (false, true) => return Some(Change::Regressed),
        (true, false) => return Some(Change::Fixed),
        _ => {}
    }
    if outcome(was) != outcome(is) {
        return Some(Change::OutcomeChanged);
    }
    (!says_the_same(was, is) && texts(was) != texts(is)).then_some(Change::TextChanged)
}

/// What came of a cell, whatever the words.
fn outcome(cell: &Cell) -> String {
    match &cell.observed {
        None => cell.verdict.to_string(),
        Some(Observed { connected: true, tls, .. }) => match tls {
            Some(tls) => {
                let dn = tls.client_dn.as_deref().map(|dn| format!(" as {dn}")).unwrap_or_default();
                format!("connects in {}{dn}", tls.version)
            }
            None => "connects in plaintext".to_owned(),
        },
        Some(Observed { error: None, .. }) => "makes no connection".to_owned(),
        Some(_) => "is refused".to_owned(),
    }
}

/// Whether both sides say the same to the letter, as in most cells.
fn says_the_same(was: &Cell, is: &Cell) -> bool {
    match (&was.observed, &is.observed) {
        (Some(was), Some(is)) => (&was.error, &was.server_log) == (&is.error, &is.server_log),
        _ => false,
    }
}

/// What both sides say, without what differs in every run.
fn texts(cell: &Cell) -> (Option<String>, Vec<String>) {
    let Some(observed) = &cell.observed else { return (None, Vec::new()) };
    let of_connection = |line: &&Arc<str>| !line.starts_with("LOG:  connection ");
    let log = observed.server_log.iter().filter(of_connection).map(|line| normalize(line));
    (observed.error.as_deref().map(normalize), log.collect())
}

/// Before and after, in the words that tell the difference.
fn describe(change: Change, was: &Cell, is: &Cell) -> (String, String) {
    let shown = |cell: &Cell| {
        let (error, _) = texts(cell);
        error.map_or_else(|| outcome(cell), |error| error.lines().next().unwrap_or_default().to_owned())
    };
    match change {
        Change::TextChanged => {
            let ((error_was, log_was), (error_is, log_is)) = (texts(was), texts(is));
            if error_was == error_is { differing_lines(&log_was, &log_is) } else { (shown(was), shown(is)) }
        }
        Change::OutcomeChanged => (shown(was), shown(is)),
        _ => {
            let with_verdict = |cell: &Cell| match cell.verdict {
                Verdict::Pass => shown(cell),
                verdict => format!("{verdict}: {}", shown(cell)),
            };
            (with_verdict(was), with_verdict(is))
        }
    }
}

/// The lines of either log that the other does not have.
fn differing_lines(was: &[String], is: &[String]) -> (String, String) {
    let without = |lines: &[String], others: &[String]| {
        let own: Vec<_> = lines.iter().filter(|line| !others.contains(line)).cloned().collect();
        if own.is_empty() { "(the server logs less)".to_owned() } else { own.join(" / ") }
    };
    (without(was, is), without(is, was))
}

#[cfg(test)]
mod tests;
