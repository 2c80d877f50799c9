//! The cells nearest to one: those that differ from it in the fewest settings and end otherwise.

use std::sync::Arc;

use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{Case, Change, Expected, Situation, Step, Suite};

use super::situation::{heading, lines};

/// A cell beside another one.
pub(super) struct Neighbour {
    /// Its id.
    pub(super) id: String,
    /// Which of its steps, if not the first.
    pub(super) step: Option<String>,
    /// What is configured in the other cell, and not in this one.
    pub(super) without: Vec<String>,
    /// What is configured in this one, and not in the other.
    pub(super) with: Vec<String>,
}

impl Neighbour {
    /// In how many settings the two differ; one that has another value counts once.
    fn distance(&self) -> usize {
        self.without.len().max(self.with.len())
    }
}

/// More differences explain nothing.
const FAR: usize = 6;

/// Where to look for a neighbour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// The cell's own scenario.
    Scenario,
    /// The cell's own scenario, and all others if it has none.
    All,
}

/// The nearest step of a case whose end is as wanted.
pub(super) fn nearest(
    suite: &Suite,
    cell: &Cell,
    step: &Step,
    among: Among,
    is_wanted: &dyn Fn(&Expected) -> bool,
) -> Option<Neighbour> {
    let here = described(&step.situation, &step.situation);
    let name = |case: &Case| case.id.split('.').next().map(str::to_owned);
    let relation = |case: &Case| match () {
        () if name(case) == name(&cell.case) => 0,
        () if case.scenario == cell.case.scenario => 1,
        () => 2,
    };
    let is_there = |case: &&Arc<Case>| among == Among::All || case.scenario == cell.case.scenario;
    let candidates = suite.cases().filter(is_there).filter_map(|case| beside(cell, case)).flat_map(|other| {
        let steps = 0..other.case.steps.len();
        steps.map(move |number| (other.clone(), number))
    });
    let wanted = candidates.filter_map(|(other, number)| {
        let there = &other.case.steps[number];
        let expected = there.expect.as_ref()?.on(cell.stack, cell.profile.edition);
        let lines = described(&there.situation, &step.situation);
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>()
        };
        let neighbour = Neighbour {
            id: other.id.to_string(),
            step: (there.change != Change::First).then(|| heading("", there.change)),
            without: only(&here, &lines),
            with: only(&lines, &here),
        };
        let distance = neighbour.distance();
        (is_wanted(expected) && (1..=FAR).contains(&distance)).then_some((distance, relation(&other.case), neighbour))
    });
    wanted.min_by_key(|(distance, relation, _)| (*relation > 1, *distance, *relation)).map(|(.., neighbour)| neighbour)
}

/// The cell of another case at the same point, if it has a meaning there.
fn beside(cell: &Cell, case: &Arc<Case>) -> Option<Cell> {
    let (_, point) = cell.id.split_once('@')?;
    let other = Cell { id: format!("{}@{point}", case.id).into(), case: case.clone(), ..cell.clone() };
    other.excluded().is_none().then_some(other)
}

/// A configuration, and its certificates as far as they are not what another one has under the same names.
fn described(situation: &Situation, other: &Situation) -> Vec<String> {
    let mut all = lines(situation);
    if situation.tree == other.tree {
        return all;
    }
    let differs = |name: &&String| situation.tree.certificates.get(*name) != other.tree.certificates.get(*name);
    for name in situation.tree.certificates.keys().filter(differs) {
        let fields = serde_json::to_value(&situation.tree.certificates[name]).unwrap_or_default();
        let fields = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        all.extend(fields.map(|(field, value)| format!("certificate {name}: {field} {}", plain(value))));
    }
    all
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
