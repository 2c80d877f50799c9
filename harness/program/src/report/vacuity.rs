//! The score of `vacuity`, for people.

use std::io::{self, Write};

use comfy_table::Table;

use super::table::{align, table, text};
use crate::vacuity::{Row, Score};

/// Writes the score by scenario and by mutation, and the cells that cannot fail.
///
/// # Errors
/// If the output cannot be written.
pub fn write_score(out: &mut dyn Write, score: &Score) -> io::Result<()> {
    let mut scenarios = table(["scenario", "cells", "can fail", "mutants", "detected"].map(str::to_owned));
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
    let mut mutations = table(["broken", "mutants", "detected"].map(str::to_owned));
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

fn write_table(out: &mut dyn Write, mut table: Table) -> io::Result<()> {
    align(&mut table, |index| index > 0);
    writeln!(out, "{}\n", text(&table))
}
