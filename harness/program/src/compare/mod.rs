//! Two runs side by side: what regressed, what was fixed, and which version or client explains it.

mod axes;
mod render;
mod results;
mod wording;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;
use strum::Display;

use axes::Axes;
pub use axes::AxisChange;
pub use render::{write_markdown, write_text};
use results::{Cell, Observed};
pub use results::{ReadError, Run};
use wording::normalize;

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

/// Cells that changed in one way for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// How they changed.
    pub change: Change,
    /// What they were, in short.
    pub before: String,
    /// What they are, in short.
    pub after: String,
    /// The axes that all of them share and that cells which did not change do not: `only PostgreSQL 18`.
    pub only: Vec<String>,
    /// Their ids in the new run, or in the old one if they are gone.
    pub cells: Vec<String>,
}

/// Two runs compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What the two runs differ in as a whole: `PostgreSQL 17.12 -> 18.6`.
    pub axes: Vec<AxisChange>,
    /// How many cells are in both.
    pub compared: usize,
    /// How many cells changed, by the kind of change.
    pub counts: BTreeMap<Change, usize>,
    /// The changes, worst first and the largest groups first among them.
    pub groups: Vec<Group>,
    /// Whether the new run was interrupted, so that cells which are gone may only not have been reached.
    pub partial: bool,
}

impl Comparison {
    /// Compares two runs.
    #[must_use]
    pub fn new(old: &Run, new: &Run) -> Self {
        let axes = Axes::of(old, new);
        let before: IndexMap<String, &Cell> = old.cells.iter().map(|cell| (axes.key(cell), cell)).collect();
        let after: IndexMap<String, &Cell> = new.cells.iter().map(|cell| (axes.key(cell), cell)).collect();
        let mut grouped = IndexMap::<(Change, String, String), Vec<&Cell>>::new();
        let mut compared = 0;
        for (key, cell) in &after {
            let Some(was) = before.get(key) else {
                grouped.entry((Change::New, String::new(), cell.verdict.to_string())).or_default().push(cell);
                continue;
            };
            compared += 1;
            if let Some(change) = change(was, cell) {
                let (was, is) = describe(change, was, cell);
                grouped.entry((change, was, is)).or_default().push(cell);
            }
        }
        for (_, cell) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
            grouped.entry((Change::Gone, cell.verdict.to_string(), String::new())).or_default().push(cell);
        }
        let mut counts = BTreeMap::new();
        let mut groups = Vec::new();
        for ((change, before, after), cells) in grouped {
            *counts.entry(change).or_default() += cells.len();
            let only = axes::only(&cells, new);
            groups.push(Group {
                change,
                before,
                after,
                only,
                cells: cells.iter().map(|cell| cell.id.clone()).collect(),
            });
        }
        groups.sort_by_key(|group| (group.change, std::cmp::Reverse(group.cells.len())));
        Self { axes: axes.changes, compared, counts, groups, partial: new.is_partial() }
    }

    /// Whether something is worse than it was; with `texts`, also if only words changed.
    #[must_use]
    pub fn is_worse(&self, texts: bool) -> bool {
        self.counts.contains_key(&Change::Regressed) || texts && self.counts.contains_key(&Change::TextChanged)
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
    (texts(was) != texts(is)).then_some(Change::TextChanged)
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

/// What both sides say, without what differs in every run.
fn texts(cell: &Cell) -> (Option<String>, Vec<String>) {
    let Some(observed) = &cell.observed else { return (None, Vec::new()) };
    let of_connection = |line: &&String| !line.starts_with("LOG:  connection ");
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
mod tests {
    use super::*;

    fn run(cells: &[(&str, u16, &str, &str, &str)]) -> Run {
        let cells: Vec<_> = cells
            .iter()
            .map(|(case, major, version, verdict, error)| {
                let connected = error.is_empty();
                let error = (!connected).then_some(error);
                serde_json::json!({
                    "id": format!("{case}@pg{major}+kong-latest+kong-luasec"), "scenario": "a", "case": case,
                    "postgres": { "major": major, "version": version, "openssl": "3.0.19" },
                    "client": "kong", "stack": "luasec", "kong": "3.15-enterprise", "verdict": verdict, "reason": null,
                    "observed": { "connected": connected, "tls": null, "error": error, "server_log": [] }
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({ "planned": cells.len(), "cells": cells })).expect("a run")
    }

    fn changes(old: &Run, new: &Run) -> Vec<(Change, String, String)> {
        let of = |group: Group| (group.change, group.before, group.after);
        Comparison::new(old, new).groups.into_iter().map(of).collect()
    }

    #[test]
    fn a_cell_that_was_good_and_is_not_has_regressed() {
        let old = run(&[("a::x", 15, "15.18", "pass", ""), ("a::y", 15, "15.18", "fail", "closed")]);
        let new = run(&[("a::x", 15, "15.18", "fail", "closed"), ("a::y", 15, "15.18", "pass", "")]);
        let expected = [
            (Change::Regressed, "connects in plaintext".to_owned(), "fail: closed".to_owned()),
            (Change::Fixed, "fail: closed".to_owned(), "connects in plaintext".to_owned()),
        ];
        assert_eq!(changes(&old, &new), expected);
        assert!(Comparison::new(&old, &new).is_worse(false));
    }

    #[test]
    fn what_differs_in_every_run_is_no_change() {
        let error = |folder| {
            format!("SSL_CTX_load_verify_locations(\"/tmp/kong-pg-tls-{folder}/kong/kong-x/.ca_combined\") failed")
        };
        let old = run(&[("a::x", 15, "15.18", "pass", &error("aAbBcC"))]);
        let new = run(&[("a::x", 15, "15.18", "pass", &error("dDeEfF"))]);
        assert_eq!(changes(&old, &new), []);
    }

    #[test]
    fn a_changed_text_is_worse_only_if_asked() {
        let old = run(&[("a::x", 15, "15.18", "pass", "sslv3 alert certificate expired")]);
        let new = run(&[("a::x", 15, "15.18", "pass", "ssl/tls alert certificate expired")]);
        let compared = Comparison::new(&old, &new);
        assert_eq!(compared.groups[0].change, Change::TextChanged);
        assert!(!compared.is_worse(false) && compared.is_worse(true));
    }

    #[test]
    fn runs_on_two_majors_are_compared_across_them_and_say_so() {
        let old = run(&[("a::x", 17, "17.12", "pass", "")]);
        let new = run(&[("a::x", 18, "18.6", "fail", "closed")]);
        let compared = Comparison::new(&old, &new);
        assert_eq!(compared.compared, 1);
        assert_eq!(compared.axes[0].to_string(), "PostgreSQL 17.12 -> 18.6");
    }

    #[test]
    fn an_axis_that_only_the_changed_cells_have_explains_them() {
        let old = run(&[("a::x", 17, "17.12", "pass", ""), ("a::x", 18, "18.6", "pass", "")]);
        let new = run(&[("a::x", 17, "17.12", "pass", ""), ("a::x", 18, "18.7", "fail", "closed")]);
        assert_eq!(Comparison::new(&old, &new).groups[0].only, ["PostgreSQL 18"]);
    }

    #[test]
    fn new_and_gone_cells_are_not_regressions() {
        let old = run(&[("a::x", 15, "15.18", "pass", "")]);
        let new = run(&[("a::y", 15, "15.18", "pass", "")]);
        let compared = Comparison::new(&old, &new);
        let kinds: Vec<_> = compared.groups.iter().map(|group| group.change).collect();
        assert_eq!(kinds, [Change::New, Change::Gone]);
        assert!(!compared.is_worse(true));
    }
}
