//! How far other clients agree with `kong`, the emulation: in how many cells, and why they differ in the others.

use std::collections::HashMap;

use indexmap::IndexMap;
use kong_pg_client::Stack;
use kong_pg_scenarios::vocabulary::ClientKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::CellRecord;
use crate::judge::{Attempt, ExpectedOutcome, Refusal, Verdict};

/// How far a client agrees with `kong`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Agreement {
    /// The client.
    pub client: ClientKind,
    /// How many cells both have run.
    pub compared: usize,
    /// In how many of them the outcome is the same; for a client that speaks as Kong, verbatim.
    pub agree: usize,
    /// Where they report different texts of which a race decides.
    pub races: Vec<DifferingCells>,
    /// Where they differ.
    pub differences: Vec<DifferingCells>,
    /// What the client does not support.
    pub unsupported: Vec<DifferingCells>,
}

/// Cells in which a client differs from `kong` for one reason.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DifferingCells {
    /// The reason.
    pub because: String,
    /// The cells.
    pub cells: Vec<SideBySide>,
}

/// What each client reported in a cell.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SideBySide {
    /// The cell's id without the client: `scenario/path::case-slug@pg17+kong-latest+cosocket`.
    pub cell: String,
    /// By client.
    pub reports: IndexMap<String, String>,
}

/// Everything of a cell but the client.
type Point<'a> = (&'a str, u16, &'a str, Stack);

fn point(cell: &CellRecord) -> Point<'_> {
    (cell.case_id(), cell.postgres.major.0, &cell.release, cell.stack)
}

/// The agreement of each client with `kong`; none if `kong` was not run, or alone.
pub(super) fn agreements(results: &[CellRecord]) -> Vec<Agreement> {
    let mut by_point = HashMap::<Point<'_>, Vec<&CellRecord>>::new();
    for result in results {
        by_point.entry(point(result)).or_default().push(result);
    }
    let mut agreements = IndexMap::<ClientKind, Collected>::new();
    for result in results.iter().filter(|result| result.client != ClientKind::Kong) {
        let beside = &by_point[&point(result)];
        if let Some(kong) = beside.iter().find(|other| other.client == ClientKind::Kong) {
            agreements.entry(result.client).or_default().add(kong, result, beside);
        }
    }
    agreements.into_iter().map(|(client, collected)| collected.agreement(client)).collect()
}

/// Cells by reason.
type ByReason = IndexMap<String, Vec<SideBySide>>;

#[derive(Default)]
struct Collected {
    compared: usize,
    agree: usize,
    races: ByReason,
    differences: ByReason,
    unsupported: ByReason,
}

impl Collected {
    fn add(&mut self, kong: &CellRecord, result: &CellRecord, beside: &[&CellRecord]) {
        let without_meaning = |result: &CellRecord| matches!(result.verdict, Verdict::Unsupported | Verdict::Blocked);
        let reason = || result.reason.as_deref().unwrap_or("for an unknown reason").to_owned();
        if without_meaning(kong) {
            return;
        }
        let into = if without_meaning(result) {
            self.unsupported.entry(reason())
        } else {
            self.compared += 1;
            if is_same(kong, result) {
                self.agree += 1;
                return;
            }
            match race(kong, result) {
                Some(because) => self.races.entry(because.to_owned()),
                None => self.differences.entry(reason()),
            }
        };
        into.or_default().push(side_by_side(beside));
    }

    fn agreement(self, client: ClientKind) -> Agreement {
        let Self { compared, agree, races, differences, unsupported } = self;
        let by_size = |by_reason: ByReason| {
            let cells = by_reason.into_iter().map(|(because, cells)| DifferingCells { because, cells });
            let mut cells: Vec<_> = cells.collect();
            cells.sort_by_key(|differing| std::cmp::Reverse(differing.cells.len()));
            cells
        };
        let (races, differences, unsupported) = (by_size(races), by_size(differences), by_size(unsupported));
        Agreement { client, compared, agree, races, differences, unsupported }
    }
}

fn is_same(kong: &CellRecord, result: &CellRecord) -> bool {
    let (Some(ours), Some(theirs)) = (kong.observation(), result.observation()) else { return false };
    if !result.client.speaks_as_kong() {
        // Each has been compared with the same expectation, step by step.
        return kong.mismatches.is_empty() && result.mismatches.is_empty();
    }
    let printed = |attempt: &Attempt| attempt.refusal().map(Refusal::printed);
    // Each text contains the path of that Kong's own folder.
    let same_expected_text = || accepted_text(kong).is_some() && accepted_text(kong) == accepted_text(result);
    outcome(&ours.attempt, result.client) == outcome(&theirs.attempt, result.client)
        && (printed(&ours.attempt) == printed(&theirs.attempt) || same_expected_text())
}

/// Why the two may report different texts, if the judge has found that a race decides: between texts that the scenario
/// accepts, or in the client's own stack.
fn race<'a>(kong: &'a CellRecord, result: &'a CellRecord) -> Option<&'a str> {
    let theirs = result.race.as_deref()?;
    let is_its_own = !result.mismatches.is_empty();
    (is_its_own || kong.race.is_some()).then_some(theirs)
}

/// Which of the accepted texts was reported, counted from 0.
fn accepted_text(result: &CellRecord) -> Option<usize> {
    let Some(ExpectedOutcome::Refused { kong: accepted, .. }) = &result.expectation()?.outcome else { return None };
    let reported = result.observation()?.attempt.refusal()?;
    accepted.iter().position(|text| *text == reported.text)
}

/// The outcome in short, as far as a client shows it.
fn outcome(attempt: &Attempt, client: ClientKind) -> String {
    match attempt {
        Attempt::NotMade => "no attempt".into(),
        Attempt::Connected(session) => {
            let dn = session.client_dn.as_deref().filter(|_| client.is_transparent());
            let dn = dn.map(|dn| format!(", as {dn}")).unwrap_or_default();
            format!("connects, TLS {}{dn}", session.version())
        }
        Attempt::Unconfirmed { claim } => claim.clone(),
        Attempt::Refused(_) => "does not connect".into(),
        Attempt::Hung => "hangs".into(),
    }
}

fn side_by_side(beside: &[&CellRecord]) -> SideBySide {
    let report = |result: &&CellRecord| {
        let report = match result.observation().map(|observed| &observed.attempt) {
            Some(Attempt::Refused(refusal)) => refusal.text.clone(),
            Some(attempt) => outcome(attempt, result.client),
            None => result.reason.as_deref().unwrap_or_default().to_owned(),
        };
        (result.client.to_string(), report)
    };
    let cell = beside
        .first()
        .map(|cell| format!("{}@pg{}+kong-{}+{}", cell.case_id(), cell.postgres.major, cell.release, cell.stack));
    SideBySide { cell: cell.unwrap_or_default(), reports: beside.iter().map(report).collect() }
}
