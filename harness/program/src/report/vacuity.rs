//! The score of `vacuity`, for people.

use std::io::{self, Write};

use comfy_table::Table;

use super::table::{align, table, text};
use crate::vacuity::{Row, Score, TextRow, TextScore};

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

/// Writes the score of the texts by file, and those that cannot fail.
///
/// # Errors
/// If the output cannot be written.
pub fn write_text_score(out: &mut dyn Write, score: &TextScore) -> io::Result<()> {
    let mut files = table(["file", "texts", "reached", "can fail"].map(str::to_owned));
    for (file, TextRow { passages, reached, can_fail, .. }) in &score.files {
        files.add_row([(*file).to_owned(), passages.to_string(), reached.to_string(), can_fail.to_string()]);
    }
    write_table(out, files)?;
    for idle in &score.idle {
        match (&idle.because, idle.is_unused) {
            (Some(because), _) => writeln!(out, "indifferent  {}: {because}", idle.passage)?,
            (None, true) => writeln!(out, "cannot fail  {}: no case expects it", idle.passage)?,
            (None, false) => writeln!(out, "cannot fail  {}: every cell passes with another word", idle.passage)?,
        }
    }
    for entry in &score.stale {
        writeln!(out, "indifferent.yaml: no text that `{entry}` matches needs a reason; remove the entry")?;
    }
    let sum = |of: fn(&TextRow) -> usize| score.files.values().map(of).sum::<usize>();
    let (can_fail, reached) = (sum(|row| row.can_fail), sum(|row| row.reached));
    let (not_recorded, others) = (sum(|row| row.not_recorded), score.not_reached.len());
    writeln!(out, "{can_fail} of {reached} texts that the run reaches can fail; {others} others are not reached,")?;
    writeln!(out, "{not_recorded} of them because only the last step of a cell is recorded")
}

fn write_table(out: &mut dyn Write, mut table: Table) -> io::Result<()> {
    align(&mut table, |index| index > 0);
    writeln!(out, "{}\n", text(&table))
}
