//! The matrix at the end of a run: scenarios by PostgreSQL majors, with the reasons of cells that were not run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use comfy_table::{CellAlignment, ColumnConstraint, Table, Width, presets};

use crate::judge::Verdict;
use crate::record::{CellRecord, Results};

/// Writes how many cells of each scenario passed on each major, and why cells were not run.
pub(super) fn write_matrix(out: &mut dyn Write, run: &Results) -> io::Result<()> {
    let majors: BTreeSet<_> = run.cells.iter().map(|cell| cell.postgres.major).collect();
    let mut scenarios = Vec::<(&str, Vec<&CellRecord>)>::new();
    for result in &run.cells {
        let name = result.scenario.as_str();
        match scenarios.last_mut().filter(|(last, _)| *last == name) {
            Some((_, results)) => results.push(result),
            None => match scenarios.iter_mut().find(|(known, _)| *known == name) {
                Some((_, results)) => results.push(result),
                None => scenarios.push((name, vec![result])),
            },
        }
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([String::new()].into_iter().chain(majors.iter().map(|major| format!("PostgreSQL {major}"))));
    for (name, results) in &scenarios {
        let on = |major| {
            let here: Vec<_> = results.iter().filter(|result| result.postgres.major == major).collect();
            summary(&here)
        };
        table.add_row([(*name).to_owned()].into_iter().chain(majors.iter().map(|major| on(*major))));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(12)));
        }
    }
    writeln!(out, "\n{}\n", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))?;
    reasons(out, run)
}

/// `12` if all passed; otherwise out of how many, with the other verdicts: `10/12 2 fail`.
fn summary(results: &[&&CellRecord]) -> String {
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
fn reasons(out: &mut dyn Write, run: &Results) -> io::Result<()> {
    let mut reasons = BTreeMap::<(Verdict, &str), usize>::new();
    for result in run.cells.iter().filter(|result| matches!(result.verdict, Verdict::Unsupported | Verdict::Skipped)) {
        *reasons.entry((result.verdict, result.reason.as_deref().unwrap_or_default())).or_default() += 1;
    }
    for ((verdict, reason), count) in &reasons {
        writeln!(out, "{count} {}: {reason}", verdict.as_str())?;
    }
    if !reasons.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}
