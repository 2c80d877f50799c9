//! The matrix at the end of a run: scenarios by PostgreSQL majors and, if there are several, releases of Kong, with the
//! reasons of cells that were not run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Write};

use comfy_table::{ColumnConstraint, Width};
use indexmap::IndexMap;
use postgres_tls_server::Major;

use super::screen::Screen;
use super::table as plain;
use crate::compare::Parts;
use crate::judge::Verdict;
use crate::record::{CellRecord, Results};

/// More columns are not read as a table, however wide the screen is.
const COLUMNS: usize = 8;

/// Writes the verdicts of the cells of each scenario in each column, where the columns differ first, and why cells were not
/// run. `releases` are those that have columns of their own; none, if all cells of a major share one.
pub(super) fn write_matrix(
    out: &mut dyn Write,
    screen: Screen,
    run: &Results,
    releases: &[String],
    comparisons: &[Parts],
) -> io::Result<()> {
    let columns = Columns::of(run, releases);
    let mut scenarios = IndexMap::<&str, BTreeMap<Column, Vec<&CellRecord>>>::new();
    for cell in &run.cells {
        scenarios.entry(&cell.scenario).or_default().entry(columns.of_cell(cell)).or_default().push(cell);
    }
    let differ = differences(comparisons);
    let row = |(scenario, on): (_, BTreeMap<Column, Vec<&CellRecord>>)| Row {
        scenario,
        on: on.iter().map(|(column, cells)| (*column, summary(cells))).collect(),
        differ: differ.get(scenario).copied().unwrap_or_default(),
    };
    let mut rows: Vec<Row<'_>> = scenarios.into_iter().map(row).collect();
    rows.sort_by_key(|row| row.differ == 0);
    let table = table(&rows, &columns);
    if columns.all.len() <= COLUMNS && table.lines().all(|line| screen.fits(line.chars().count())) {
        writeln!(out, "\n{table}\n")?;
    } else {
        writeln!(out, "\n{}\n", list(&rows, &columns, screen))?;
    }
    reasons(out, screen, run)
}

/// In how many cells of each scenario something else comes of it in one column than in another.
fn differences(comparisons: &[Parts]) -> HashMap<String, usize> {
    let changed = comparisons.iter().flat_map(|parts| parts.comparison.changed());
    let cells: HashSet<_> = changed.filter(|(_, change)| change.is_of_outcome()).map(|(id, _)| id).collect();
    let mut differ = HashMap::new();
    for id in cells {
        let scenario = id.split_once("::").map_or(id, |(scenario, _)| scenario);
        *differ.entry(scenario.to_owned()).or_default() += 1;
    }
    differ
}

/// A PostgreSQL major and the place of a release among those that have columns.
type Column = (Major, usize);

/// The columns of the matrix.
struct Columns<'a> {
    all: BTreeSet<Column>,
    releases: &'a [String],
}

impl<'a> Columns<'a> {
    fn of(run: &Results, releases: &'a [String]) -> Self {
        let mut columns = Self { all: BTreeSet::new(), releases };
        columns.all = run.cells.iter().map(|cell| columns.of_cell(cell)).collect();
        columns
    }

    fn of_cell(&self, cell: &CellRecord) -> Column {
        let release = self.releases.iter().position(|release| *release == cell.kong);
        (cell.postgres.major, release.unwrap_or_default())
    }

    fn majors(&self) -> BTreeSet<Major> {
        self.all.iter().map(|(major, _)| *major).collect()
    }

    fn heading(&self, (major, release): Column) -> String {
        match self.releases.get(release) {
            None => format!("PostgreSQL {major}"),
            Some(release) if self.majors().len() == 1 => format!("Kong {release}"),
            Some(release) => format!("PostgreSQL {major}\n{release}"),
        }
    }

    /// In the middle of a sentence: `15`, `3.14-enterprise`, `15 as 3.14-enterprise`.
    fn name(&self, (major, release): Column) -> String {
        match self.releases.get(release) {
            None => major.to_string(),
            Some(release) if self.majors().len() == 1 => release.clone(),
            Some(release) => format!("{major} as {release}"),
        }
    }

    fn title(&self) -> String {
        let majors: Vec<_> = self.majors().iter().map(ToString::to_string).collect();
        let (majors, releases) = (majors.join(", "), self.releases.join(", "));
        if releases.is_empty() {
            return format!("On each of PostgreSQL {majors}, unless it is named:");
        }
        format!("On PostgreSQL {majors} as each of Kong {releases}, unless one is named:")
    }
}

/// The verdicts of a scenario in each column.
struct Row<'a> {
    scenario: &'a str,
    on: BTreeMap<Column, String>,
    /// In how many cells the columns differ.
    differ: usize,
}

fn table(rows: &[Row<'_>], columns: &Columns<'_>) -> String {
    let differ = rows.iter().any(|row| row.differ > 0);
    let headings = columns.all.iter().map(|column| columns.heading(*column));
    let last = differ.then(|| "differ".to_owned());
    let mut table = plain::table([String::new()].into_iter().chain(headings).chain(last));
    for row in rows {
        let cells = columns.all.iter().map(|column| row.on.get(column).cloned().unwrap_or_default());
        let last = differ.then(|| if row.differ > 0 { row.differ.to_string() } else { String::new() });
        table.add_row([row.scenario.to_owned()].into_iter().chain(cells).chain(last));
    }
    plain::align(&mut table, |index| index > 0);
    for column in table.column_iter_mut().skip(1).take(columns.all.len()) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(12)));
    }
    plain::text(&table)
}

/// The table where it is too wide: for each scenario its verdicts, with their columns if they differ.
fn list(rows: &[Row<'_>], columns: &Columns<'_>, screen: Screen) -> String {
    let widest = rows.iter().map(|row| row.scenario.len()).max().unwrap_or_default();
    let line = |Row { scenario, on, differ }: &Row<'_>| {
        let mut alike = IndexMap::<&str, Vec<String>>::new();
        for (column, summary) in on {
            alike.entry(summary).or_default().push(columns.name(*column));
        }
        let on = |columns: &[String]| format!(" on {}", columns.join(", "));
        let is_all = |on: &[String]| on.len() == columns.all.len();
        let parts =
            alike.iter().map(|(summary, at)| format!("{summary}{}", if is_all(at) { String::new() } else { on(at) }));
        let differ = (*differ > 0).then(|| format!("{differ} differ"));
        let next = " ".repeat(widest + 2);
        screen.prose(&format!("{scenario:<widest$}  "), &next, &parts.chain(differ).collect::<Vec<_>>().join("; "))
    };
    let title = screen.prose("", "", &columns.title());
    [title].into_iter().chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

/// `12` if all passed; otherwise out of how many, with the other verdicts: `10/12 2 fail`.
fn summary(results: &[&CellRecord]) -> String {
    let passed = results.iter().filter(|result| result.verdict == Verdict::Pass).count();
    if passed == results.len() {
        return passed.to_string();
    }
    let count = |verdict: Verdict| results.iter().filter(|result| result.verdict == verdict).count();
    let others = Verdict::ALL.iter().copied().filter(|verdict| *verdict != Verdict::Pass);
    let others = others.map(|verdict| (count(verdict), verdict.as_str())).filter(|(count, _)| *count > 0);
    let others: Vec<_> = others.map(|(count, name)| format!("{count} {name}")).collect();
    format!("{passed}/{} {}", results.len(), others.join(" "))
}

/// The reasons of cells that were not run and are not shown in full.
fn reasons(out: &mut dyn Write, screen: Screen, run: &Results) -> io::Result<()> {
    let mut reasons = BTreeMap::<(Verdict, &str), usize>::new();
    for result in run.cells.iter().filter(|result| matches!(result.verdict, Verdict::Unsupported | Verdict::Skipped)) {
        *reasons.entry((result.verdict, result.reason.as_deref().unwrap_or_default())).or_default() += 1;
    }
    for ((verdict, reason), count) in &reasons {
        writeln!(out, "{}", screen.prose("", "  ", &format!("{count} {verdict}: {reason}")))?;
    }
    if !reasons.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Axis, Run};
    use crate::record::RunEnd;
    use crate::record::sample::{cell, run};

    /// Two scenarios on two majors, of which the second differs.
    fn matrix(columns: usize) -> String {
        let at = |number, scenario: &str, major, verdict| {
            let mut cell = cell(number, verdict, "no");
            (cell.scenario, cell.postgres.major) = (scenario.to_owned(), Major(major));
            cell
        };
        let cells = [("a", 15, "pass"), ("a", 17, "pass"), ("b", 15, "pass"), ("b", 17, "fail")];
        let cells =
            cells.into_iter().enumerate().map(|(number, (name, major, verdict))| at(number, name, major, verdict));
        let results = Results::new(run(4), cells.collect(), RunEnd::Finished, 1);
        let mut out = Vec::new();
        let compared = Run::from(&results).comparisons();
        write_matrix(&mut out, Screen::terminal(columns), &results, &[], &compared).expect("text");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn releases_have_columns_of_their_own() {
        let at = |number, kong: &str| {
            let cell = cell(number, "pass", "");
            CellRecord { kong: kong.to_owned(), id: format!("a::x@pg17+kong-{kong}+kong-luasec").into(), ..cell }
        };
        let results = Results::new(run(2), vec![at(0, "3.9-oss"), at(1, "3.10-enterprise")], RunEnd::Finished, 1);
        let releases = Run::from(&results).columns(Axis::Kong);
        let mut out = Vec::new();
        write_matrix(&mut out, Screen::UNLIMITED, &results, &releases, &[]).expect("text");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.lines().nth(1).map(str::trim), Some("Kong 3.9-oss  Kong 3.10-enterprise"), "{text}");
    }

    #[test]
    fn a_matrix_that_is_too_wide_becomes_a_list() {
        let wide = matrix(80);
        assert!(wide.contains("   PostgreSQL 15  PostgreSQL 17\n") && wide.contains("0/1 1 fail\n"), "{wide}");
        let narrow = matrix(30);
        assert_eq!(
            narrow.trim(),
            "On each of PostgreSQL 15, 17,\nunless it is named:\na  1\nb  1 on 15; 0/1 1 fail on 17"
        );
    }
}
