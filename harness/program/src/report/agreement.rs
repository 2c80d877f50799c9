//! Whether the witnesses agree with `kong`: for each of them in how many cells, and where not, for which reason.

use std::collections::HashMap;
use std::io::{self, Write};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::Report;
use crate::format::KongText;
use crate::judge::{Observation, Outcome, Verdict};
use crate::run::CellResult;
use crate::suite::Expected;
use crate::vocabulary::ClientKind;
use kong_pg_client::{ErrorDelivery, Refusal, Stack};

/// How a witness agrees with `kong`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Agreement {
    /// The witness.
    pub client: ClientKind,
    /// How many cells both have run.
    pub compared: usize,
    /// In how many of them the same came of it; for a client that speaks as Kong, to the letter.
    pub agree: usize,
    /// Where each said something else of what a race decides.
    pub races: Vec<Parting>,
    /// Where they part.
    pub differences: Vec<Parting>,
    /// What the witness has no counterpart for.
    pub unsupported: Vec<Parting>,
}

/// Cells in which a witness and `kong` part, for one reason.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Parting {
    /// The reason.
    pub because: String,
    /// The cells, by what the witnesses said in each.
    pub cells: Vec<SideBySide>,
}

/// What the witnesses said in a cell.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SideBySide {
    /// `scenario/path::case-slug@pg17+kong-3.15-enterprise+kong-cosocket`, without the client.
    pub cell: String,
    /// What each of them said, in short.
    pub said: IndexMap<String, String>,
}

/// What makes two cells one, but for who connects.
type Place<'a> = (&'a str, u16, String, Stack);

fn place(result: &CellResult) -> Place<'_> {
    let cell = &result.cell;
    (&cell.case.id, cell.major.0, cell.profile.to_string(), cell.stack)
}

impl Report {
    /// The agreement of each witness with `kong`; none, if `kong` was not run, or alone.
    #[must_use]
    pub fn agreements(&self) -> Vec<Agreement> {
        let mut by_place = HashMap::<Place<'_>, Vec<&CellResult>>::new();
        for result in &self.results {
            by_place.entry(place(result)).or_default().push(result);
        }
        let mut agreements = IndexMap::<ClientKind, Gathered>::new();
        for result in self.results.iter().filter(|result| result.cell.client != ClientKind::Kong) {
            let beside = &by_place[&place(result)];
            if let Some(kong) = beside.iter().find(|other| other.cell.client == ClientKind::Kong) {
                agreements.entry(result.cell.client).or_default().add(kong, result, beside);
            }
        }
        agreements.into_iter().map(|(client, gathered)| gathered.agreement(client)).collect()
    }
}

/// Cells by reason.
type ByReason = IndexMap<String, Vec<SideBySide>>;

#[derive(Default)]
struct Gathered {
    compared: usize,
    agree: usize,
    races: ByReason,
    differences: ByReason,
    unsupported: ByReason,
}

impl Gathered {
    fn add(&mut self, kong: &CellResult, result: &CellResult, beside: &[&CellResult]) {
        let reason = || result.reason.clone().unwrap_or_else(|| UNEXPLAINED.into());
        if kong.verdict == Verdict::Unsupported {
            return;
        }
        let into = match (result.verdict, compare(kong, result)) {
            (Verdict::Unsupported, _) => self.unsupported.entry(reason()),
            (_, Compared::Agree) => {
                self.compared += 1;
                self.agree += 1;
                return;
            }
            (_, Compared::Race(because)) => {
                self.compared += 1;
                self.races.entry(because)
            }
            (_, Compared::Differ) => {
                self.compared += 1;
                self.differences.entry(reason())
            }
        };
        into.or_default().push(side_by_side(beside));
    }

    fn agreement(self, client: ClientKind) -> Agreement {
        let Self { compared, agree, races, differences, unsupported } = self;
        let partings = |by_reason: ByReason| {
            let mut partings: Vec<_> =
                by_reason.into_iter().map(|(because, cells)| Parting { because, cells }).collect();
            partings.sort_by_key(|parting| std::cmp::Reverse(parting.cells.len()));
            partings
        };
        let (races, differences, unsupported) = (partings(races), partings(differences), partings(unsupported));
        Agreement { client, compared, agree, races, differences, unsupported }
    }
}

const UNEXPLAINED: &str = "nobody knows why";

enum Compared {
    Agree,
    Race(String),
    Differ,
}

fn compare(kong: &CellResult, result: &CellResult) -> Compared {
    let (Some(ours), Some(theirs)) = (&kong.observed, &result.observed) else { return Compared::Differ };
    let same = if result.cell.client.speaks_as_kong() {
        let words = |observed: &Observation| observed.outcome.as_ref().err().map(Refusal::as_kong_prints_it);
        // Each text has the folder of its own Kong in it.
        let as_expected = || expected_text(kong).is_some() && expected_text(kong) == expected_text(result);
        in_short(ours, result.cell.client) == in_short(theirs, result.cell.client)
            && (words(ours) == words(theirs) || as_expected())
    } else {
        // Each has been held to the same expectation, step by step.
        kong.mismatches.is_empty() && result.mismatches.is_empty()
    };
    let of_its_own = || {
        let expected = result.expected.as_ref().filter(|_| result.cell.client.is_kong_itself())?;
        crate::client::race(result.cell.stack, expected, theirs).map(str::to_owned)
    };
    match race(kong, ours, theirs).or_else(of_its_own) {
        _ if same => Compared::Agree,
        Some(because) => Compared::Race(because),
        None => Compared::Differ,
    }
}

/// Which of the texts that Kong may say it said, the first being 0.
fn expected_text(result: &CellResult) -> Option<usize> {
    let Some(Outcome::Refused { kong: accepted, .. }) = &result.expected.as_ref()?.outcome else { return None };
    let said = result.observed.as_ref()?.outcome.as_ref().err()?;
    accepted.iter().position(|text| *text == said.text)
}

/// Why each may say something else, if both say what a race decides between.
fn race(kong: &CellResult, ours: &Observation, theirs: &Observation) -> Option<String> {
    let Some(Outcome::Refused { kong: accepted, .. }) = &kong.expected.as_ref()?.outcome else { return None };
    let is_one = |observed: &Observation| {
        observed
            .outcome
            .as_ref()
            .is_err_and(|refusal| refusal.delivery != ErrorDelivery::Hung && accepted.contains(&refusal.text))
    };
    if !is_one(ours) || !is_one(theirs) {
        return None;
    }
    let cell = &kong.cell;
    cell.case.steps.iter().filter_map(|step| step.expect.as_ref()).find_map(|expect| {
        match expect.on(cell.stack, cell.profile.edition) {
            Expected::Refused { kong, .. } => match kong.text() {
                KongText::AnyOf(any) => Some(any.because.clone()),
                KongText::One(_) => None,
            },
            _ => None,
        }
    })
}

/// What came of it, as far as a client can be looked at.
fn in_short(observed: &Observation, client: ClientKind) -> String {
    match &observed.outcome {
        Ok(connected) => {
            let proof = &connected.proof;
            let dn = proof.client_dn.as_deref().filter(|_| client.is_transparent());
            let dn = dn.map(|dn| format!(", as {dn}")).unwrap_or_default();
            format!("connects, TLS {}{dn}", proof.version.as_deref().unwrap_or("off"))
        }
        Err(refusal) if refusal.delivery == ErrorDelivery::Hung => "hangs".into(),
        Err(_) => "does not connect".into(),
    }
}

fn side_by_side(beside: &[&CellResult]) -> SideBySide {
    let said = |result: &&CellResult| {
        let told = match &result.observed {
            Some(observed) => match &observed.outcome {
                Err(refusal) if refusal.delivery != ErrorDelivery::Hung => refusal.text.clone(),
                _ => in_short(observed, result.cell.client),
            },
            None => result.reason.clone().unwrap_or_default(),
        };
        (result.cell.client.to_string(), told)
    };
    let cell = beside.first().map(|result| {
        let cell = &result.cell;
        format!("{}@pg{}+kong-{}+{}", cell.case.id, cell.major, cell.profile, cell.stack)
    });
    SideBySide { cell: cell.unwrap_or_default(), said: beside.iter().map(said).collect() }
}

/// Writes how the witnesses agree, each reason for which they part with one cell that shows it, and which entries of
/// differences.yaml are out of date.
pub fn write_agreement(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    for agreement in report.agreements() {
        let Agreement { client, compared, agree, races, differences, unsupported } = agreement;
        let letter = if client.speaks_as_kong() { " to the letter" } else { "" };
        writeln!(out, "kong and {client} agree{letter} in {agree} of {compared} cells")?;
        for (what, partings) in [("race", races), ("differ", differences), ("cannot", unsupported)] {
            for Parting { because, cells } in partings {
                writeln!(out, "  {:>4} {what}: {because}", cells.len())?;
                let Some(SideBySide { cell, said }) = cells.first() else { continue };
                writeln!(out, "       {cell}")?;
                for (client, said) in said {
                    writeln!(out, "         {client:<10} {}", said.lines().collect::<Vec<_>>().join(" / "))?;
                }
            }
        }
        writeln!(out)?;
    }
    for difference in &report.stale {
        let entry = &difference.entry;
        writeln!(out, "{}: no cell of {} differs so any more: {}", difference.place, difference.client, entry.because)?;
    }
    Ok(())
}
