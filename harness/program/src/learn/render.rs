//! What was learned, for people.

use std::io::{self, Write};
use std::path::Path;

use kong_pg_scenarios::format::Wording;

use super::Learned;

/// How many cells are named that nothing explains.
const SHOWN: usize = 5;

/// Writes what was learned into a file, and what is left to be done.
///
/// # Errors
/// What the writer says.
pub fn write_learned(out: &mut dyn Write, learned: &Learned, file: &Path) -> io::Result<()> {
    let Learned { wordings, unexplained, other_failures, sources } = learned;
    for (version, source) in sources {
        writeln!(out, "{version}: measured, {source}")?;
        for wording in wordings.iter().filter(|wording| wording.version == *version) {
            let (cells, name) = (wording.cells, &wording.text);
            if !wording.is_new {
                writeln!(out, "  {cells:>4} cells  {name}: as on another version")?;
                continue;
            }
            writeln!(out, "  {cells:>4} cells  {name}: new")?;
            match &wording.wording {
                Wording::Lines(lines) if lines.is_empty() => writeln!(out, "                (nothing)")?,
                wording => wording.lines().iter().try_for_each(|line| writeln!(out, "                {line}"))?,
            }
        }
    }
    if wordings.is_empty() {
        writeln!(out, "No text was learned.")?;
    } else {
        writeln!(out, "{} texts added to {}; review them, and run again", wordings.len(), file.display())?;
    }
    if !unexplained.is_empty() {
        writeln!(out, "\n{} cells lack a text, and no wording explains them:", unexplained.len())?;
        for (cell, reason) in unexplained.iter().take(SHOWN) {
            writeln!(out, "  {cell}\n    {reason}")?;
        }
        if unexplained.len() > SHOWN {
            writeln!(out, "  and {} more", unexplained.len() - SHOWN)?;
        }
    }
    if *other_failures > 0 {
        writeln!(out, "\n{other_failures} other cells failed, for something else than a missing text")?;
    }
    Ok(())
}
