//! The end of a run on several releases or majors: what is different between them.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use anstyle::Style;

use super::screen::Screen;
use crate::compare::{Axis, Parts, write_markdown};

/// Of so many comparisons, the changes are shown; more have a line each.
const IN_FULL: usize = 3;
/// How many groups of a comparison are shown.
const GROUPS: usize = 5;
/// How much of a summary in Markdown they may take.
const LIMIT: usize = 20_000;

/// Writes what is different between the releases and the majors of a run, and how to see all of it.
pub(super) fn write_comparisons(
    out: &mut dyn Write,
    screen: Screen,
    comparisons: &[Parts],
    folder: &Path,
) -> io::Result<()> {
    let bold = Style::new().bold();
    for Parts { comparison, .. } in comparisons {
        let axes: Vec<_> = comparison.axes.iter().map(ToString::to_string).collect();
        writeln!(out, "{bold}{}{bold:#}", axes.join(", "))?;
        let shown = if comparisons.len() > IN_FULL { 0 } else { GROUPS };
        for group in comparison.groups.iter().filter(|group| group.change.is_of_outcome()).take(shown) {
            let first = group.cells.first().map_or("", String::as_str);
            writeln!(out, "  {}, like {first}", group.heading())?;
            writeln!(out, "{}", screen.prose("    was  ", "         ", &group.before))?;
            writeln!(out, "{}", screen.prose("    is   ", "         ", &group.after))?;
        }
        writeln!(out, "{}", screen.prose("  ", "    ", &comparison.summary()))?;
    }
    match comparisons.iter().find(|parts| !parts.comparison.counts.is_empty()) {
        Some(parts) => writeln!(out, "  all of it: kong-pg-tls diff {} {}\n", folder.display(), option(parts)),
        None if comparisons.is_empty() => Ok(()),
        None => writeln!(out),
    }
}

/// `--kong 3.13-enterprise,3.14-enterprise`
fn option(Parts { axis, before, after, .. }: &Parts) -> String {
    let name = match axis {
        Axis::Postgres => "--postgres",
        Axis::Kong => "--kong",
        Axis::Client => "--client",
        Axis::Stack => "--stack",
    };
    format!("{name} {before},{after}")
}

/// The same for a summary in Markdown, folded.
pub(super) fn markdown(comparisons: &[Parts]) -> String {
    let mut text = String::new();
    for Parts { axis, before, after, comparison } in comparisons {
        if comparison.counts.is_empty() {
            continue;
        }
        let mut table = Vec::new();
        // Writing to memory cannot fail.
        let _ = write_markdown(&mut table, comparison);
        let table = String::from_utf8_lossy(&table);
        let section = format!("<details><summary>{axis} {before} -> {after}</summary>\n\n{table}\n</details>\n\n");
        if text.len() + section.len() > LIMIT {
            let _ = writeln!(text, "{axis} {before} -> {after}: {}\n", comparison.summary());
        } else {
            text += &section;
        }
    }
    text
}
