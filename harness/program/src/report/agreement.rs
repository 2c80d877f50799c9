//! How far other clients agree with `kong`, with one cell for each reason why they do not.

use std::io::{self, Write};

use super::screen::Screen;
use crate::record::{Agreement, DifferingCells, Results};

/// Writes how far other clients agree with `kong`, and which entries of differences.yaml are out of date.
pub(super) fn write_agreement(out: &mut dyn Write, screen: Screen, run: &Results) -> io::Result<()> {
    for agreement in &run.agreement {
        let Agreement { client, compared, agree, races, differences, unsupported } = agreement;
        let verbatim = if client.speaks_as_kong() { " verbatim" } else { "" };
        writeln!(out, "kong and {client} agree{verbatim} in {agree} of {compared} cells")?;
        for (what, all) in [("race", races), ("differ", differences), ("not supported", unsupported)] {
            for DifferingCells { because, cells } in all {
                let reason = format!("{:>4} {what}: {because}", cells.len());
                writeln!(out, "{}", screen.prose("  ", "       ", &reason))?;
                let Some(first) = cells.first() else { continue };
                writeln!(out, "       {}", first.cell)?;
                for (client, report) in &first.reports {
                    let report = report.lines().collect::<Vec<_>>().join(" / ");
                    let line = format!("{client:<10} {report}");
                    writeln!(out, "{}", screen.prose("         ", "                    ", &line))?;
                }
            }
        }
        writeln!(out)?;
    }
    for place in &run.stale_differences {
        let text = format!("{place}: no cell of this client differs like this any more; remove the entry");
        writeln!(out, "{}", screen.prose("", "  ", &text))?;
    }
    Ok(())
}
