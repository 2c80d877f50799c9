//! The score of `vacuity`, for people.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

use crate::vacuity::{Row, Score};

/// Writes the score by scenario and by mutation, and the cells that cannot fail.
///
/// # Errors
/// If the output cannot be written.
pub fn write_score(out: &mut dyn Write, score: &Score) -> io::Result<()> {
    let mut scenarios = table(["scenario", "cells", "can fail", "mutants", "detected"]);
    for (scenario, Row { cells, can_fail, mutants, detected }) in &score.scenarios {
        scenarios.add_row([
            scenario.clone(),
            cells.to_string(),
            can_fail.to_string(),
            mutants.to_string(),
            detected.to_string(),
        ]);
    }
    write_table(out, scenarios)?;
    let mut mutations = table(["broken", "mutants", "detected", "", ""]);
    for (mutation, (mutants, detected)) in &score.mutations {
        mutations.add_row([mutation.to_string(), mutants.to_string(), detected.to_string()]);
    }
    write_table(out, mutations)?;
    for survivor in &score.survivors {
        if let Some(because) = &survivor.because {
            writeln!(out, "indifferent  {}: {because}", survivor.id)?;
        } else {
            let tried: Vec<_> = survivor.tried.iter().map(ToString::to_string).collect();
            writeln!(out, "cannot fail  {}: it passes with {}", survivor.id, tried.join(", "))?;
        }
    }
    for entry in &score.stale {
        writeln!(out, "indifferent.yaml: every cell of `{entry}` can fail; remove the entry")?;
    }
    let Row { cells, can_fail, mutants, detected } = score.total;
    writeln!(out, "{can_fail} of {cells} passing cells can fail; {detected} of {mutants} mutants were detected")
}

fn table(header: [&str; 5]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

fn write_table(out: &mut dyn Write, mut table: Table) -> io::Result<()> {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{}\n", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}
