//! Settings that mean something else than they look like, or nothing, of which Kong says nothing.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Report;

/// Writes what there is to say of the configurations of a run, each remark once.
pub fn write_remarks(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut remarks = BTreeMap::<&str, usize>::new();
    for remark in report.results.iter().flat_map(|result| &result.remarks) {
        *remarks.entry(remark).or_default() += 1;
    }
    if remarks.is_empty() {
        return Ok(());
    }
    writeln!(out, "Settings that are not what they look like, and of which Kong says nothing")?;
    for (remark, cells) in remarks {
        writeln!(out, "  {remark} ({cells} cells)")?;
    }
    writeln!(out)
}
