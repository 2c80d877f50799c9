//! Two runs side by side in one page: what regressed, was fixed or changed first, and each changed cell with both
//! observations.

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde::Serialize;

use super::assembled::write_assembled;
use crate::compare::{Change, Comparison, Pair, different_lines};
use crate::judge::Verdict;
use crate::record::{CellRecord, Results, RunRecord};

const STYLE: &str = include_str!("two_runs.css");
const SCRIPT: &str = concat!(include_str!("elements.js"), include_str!("two_runs.js"));

/// Writes the page of a comparison of cells of these runs.
///
/// # Errors
/// If it cannot be written.
pub fn write_two_runs(out: &mut dyn io::Write, was: &Results, is: &Results, comparison: &Comparison) -> io::Result<()> {
    let (before, after) = (by_id(was), by_id(is));
    let cells = comparison.pairs.iter().map(|pair| {
        let was = pair.was.as_deref().and_then(|id| before.get(id));
        let is = pair.is.as_deref().and_then(|id| after.get(id));
        Cell::new(pair, was.copied(), is.copied())
    });
    let data = TwoRuns { comparison, runs: [&was.run, &is.run], cells: cells.collect() };
    write_assembled(out, STYLE, SCRIPT, &data)
}

fn by_id(run: &Results) -> HashMap<&str, &CellRecord> {
    run.cells.iter().map(|cell| (&*cell.id, cell)).collect()
}

/// The data of the page.
#[derive(Serialize)]
struct TwoRuns<'a> {
    comparison: &'a Comparison,
    runs: [&'a RunRecord; 2],
    cells: Vec<Cell<'a>>,
}

/// A cell in both runs.
#[derive(Serialize)]
struct Cell<'a> {
    change: Option<Change>,
    was: Option<Side<'a>>,
    is: Option<Side<'a>>,
    /// By the name of a text, the lines that only one of the two has, by their places.
    lines: BTreeMap<&'a str, (Vec<usize>, Vec<usize>)>,
}

/// A cell in one run. An unchanged cell has only its verdict.
#[derive(Serialize)]
#[serde(untagged)]
enum Side<'a> {
    Full(&'a CellRecord),
    Brief { id: &'a str, scenario: &'a str, verdict: Verdict },
}

impl<'a> Cell<'a> {
    fn new(pair: &Pair, was: Option<&'a CellRecord>, is: Option<&'a CellRecord>) -> Self {
        let change = pair.change;
        let side = |cell: &'a CellRecord| match change {
            Some(_) => Side::Full(cell),
            None => Side::Brief { id: &cell.id, scenario: &cell.scenario, verdict: cell.verdict },
        };
        let mut lines = BTreeMap::new();
        if let (Some(_), Some(was), Some(is)) = (change, was, is) {
            for (name, text) in texts(was) {
                let other = texts(is).find(|(other, _)| *other == name).map(|(_, text)| text).unwrap_or_default();
                lines.insert(name, different_lines(&text, &other));
            }
        }
        Self { change, was: was.map(side), is: is.map(side), lines }
    }
}

/// The texts of a cell by name, in lines.
fn texts(cell: &CellRecord) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let seen = cell.observed.as_ref();
    let error = seen.and_then(|seen| seen.outcome.error.as_deref()).unwrap_or_default();
    let log = seen.map_or(&[][..], |seen| &seen.server_log);
    let said = [("error", error.lines().collect()), ("server_log", log.iter().map(|line| &**line).collect())];
    said.into_iter().chain(cell.files.0.iter().map(|(name, text)| (name.as_str(), text.lines().collect())))
}

#[cfg(test)]
mod tests {
    use super::super::assembled::{text, unpacked};
    use super::*;
    use crate::compare::Run;
    use crate::record::RunEnd;
    use crate::record::sample::{cell, run};

    #[test]
    fn only_changed_cells_are_in_the_page_in_full() {
        let results = |verdict| {
            let cells = vec![cell(0, "pass", "not to be seen"), cell(1, verdict, "closed")];
            Results::new(run(2), cells, RunEnd::Finished, 1)
        };
        let (was, is) = (results("pass"), results("fail"));
        let comparison = Comparison::new(&Run::from(&was), &Run::from(&is));
        let page = text(|out| write_two_runs(out, &was, &is, &comparison));
        let data = unpacked(&page);
        assert_eq!(data["cells"][0]["is"].as_object().expect("a cell").len(), 3, "{data:#}");
        assert_eq!(
            (&data["cells"][1]["change"], &data["cells"][1]["is"]["reason"]),
            (&"regressed".into(), &"closed".into())
        );
        assert!(data["cells"][1]["lines"]["kong.conf"].is_array(), "{data:#}");
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("<link"));
    }
}
