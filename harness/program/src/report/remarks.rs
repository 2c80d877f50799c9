//! Settings of Kong that are ignored or misread without a message.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::reporter::cells;
use crate::record::Results;

/// Writes the remarks on the configurations of a run, each once.
pub(super) fn write_remarks(out: &mut dyn Write, run: &Results) -> io::Result<()> {
    let mut remarks = BTreeMap::<&str, usize>::new();
    for remark in run.cells.iter().flat_map(|cell| &cell.remarks) {
        *remarks.entry(remark).or_default() += 1;
    }
    if remarks.is_empty() {
        return Ok(());
    }
    writeln!(out, "Settings that Kong ignores or misreads without a message")?;
    for (remark, count) in remarks {
        writeln!(out, "  {remark} ({})", cells(count))?;
    }
    writeln!(out)
}
