//! The matrix at the end of a run: scenarios by PostgreSQL majors, with the reasons of cells that were not run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use comfy_table::{ColumnConstraint, Width};
use indexmap::IndexMap;
use postgres_tls_server::Major;

use super::screen::Screen;
use super::table as plain;
use crate::judge::Verdict;
use crate::record::{CellRecord, Results};

/// Writes how many cells of each scenario passed on each major, and why cells were not run.
pub(super) fn write_matrix(out: &mut dyn Write, screen: Screen, run: &Results) -> io::Result<()> {
    let majors: BTreeSet<_> = run.cells.iter().map(|cell| cell.postgres.major).collect();
    let mut scenarios = IndexMap::<&str, BTreeMap<Major, Vec<&CellRecord>>>::new();
    for cell in &run.cells {
        scenarios.entry(&cell.scenario).or_default().entry(cell.postgres.major).or_default().push(cell);
    }
    let rows: Vec<Row<'_>> = scenarios
        .into_iter()
        .map(|(scenario, on)| Row { scenario, on: on.iter().map(|(major, cells)| (*major, summary(cells))).collect() })
        .collect();
    let table = table(&rows, &majors);
    if table.lines().all(|line| screen.fits(line.chars().count())) {
        writeln!(out, "\n{table}\n")?;
    } else {
        writeln!(out, "\n{}\n", list(&rows, &majors, screen))?;
    }
    reasons(out, screen, run)
}

/// What came of a scenario on each major.
struct Row<'a> {
    scenario: &'a str,
    on: BTreeMap<Major, String>,
}

fn table(rows: &[Row<'_>], majors: &BTreeSet<Major>) -> String {
    let columns = majors.iter().map(|major| format!("PostgreSQL {major}"));
    let mut table = plain::table([String::new()].into_iter().chain(columns));
    for Row { scenario, on } in rows {
        let columns = majors.iter().map(|major| on.get(major).cloned().unwrap_or_default());
        table.add_row([(*scenario).to_owned()].into_iter().chain(columns));
    }
    plain::align(&mut table, |index| index > 0);
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(12)));
    }
    plain::text(&table)
}

/// The table where it is too wide: for each scenario what came of it, with the majors it came of if they differ.
fn list(rows: &[Row<'_>], majors: &BTreeSet<Major>, screen: Screen) -> String {
    let widest = rows.iter().map(|row| row.scenario.len()).max().unwrap_or_default();
    let line = |Row { scenario, on }: &Row<'_>| {
        let mut alike = IndexMap::<&str, Vec<String>>::new();
        for (major, summary) in on {
            alike.entry(summary).or_default().push(major.to_string());
        }
        let on = |majors: &[String]| format!(" on {}", majors.join(", "));
        let is_all = |on: &[String]| on.len() == majors.len();
        let parts =
            alike.iter().map(|(summary, at)| format!("{summary}{}", if is_all(at) { String::new() } else { on(at) }));
        let next = " ".repeat(widest + 2);
        screen.prose(&format!("{scenario:<widest$}  "), &next, &parts.collect::<Vec<_>>().join("; "))
    };
    let majors: Vec<_> = majors.iter().map(ToString::to_string).collect();
    let title = format!("On each of PostgreSQL {}, unless it is named:", majors.join(", "));
    [screen.prose("", "", &title)].into_iter().chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
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
    use crate::record::RunEnd;
    use crate::record::sample::{cell, run};

    /// Two scenarios on two majors, of which one differs.
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
        write_matrix(&mut out, Screen::terminal(columns), &results).expect("text");
        String::from_utf8(out).expect("UTF-8")
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
