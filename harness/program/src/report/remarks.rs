//! Settings of Kong that are ignored or misread without a message.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::reporter::cells;
use super::screen::Screen;
use super::seen::{Seen, as_before};
use crate::record::Results;

/// Writes the remarks on the configurations of a run, each once: those that are new in full.
pub(super) fn write_remarks(out: &mut dyn Write, screen: Screen, run: &Results, seen: &Seen) -> io::Result<()> {
    let mut remarks = BTreeMap::<&str, usize>::new();
    for remark in run.cells.iter().flat_map(|cell| &cell.remarks) {
        *remarks.entry(remark).or_default() += 1;
    }
    let (old, new): (Vec<_>, Vec<_>) = remarks.into_iter().partition(|(remark, _)| seen.has_remark(remark));
    if !new.is_empty() {
        writeln!(out, "Settings that Kong ignores or misreads without a message")?;
        for (remark, count) in new {
            writeln!(out, "{}", screen.prose("  ", "    ", &format!("{remark} ({})", cells(count))))?;
        }
        writeln!(out)?;
    }
    if !old.is_empty() {
        writeln!(out, "{}\n", screen.prose("", "", &as_before(old.len(), "remark")))?;
    }
    Ok(())
}
