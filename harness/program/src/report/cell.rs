//! One cell in full: expected and observed side by side, both sides' messages, the configuration, and how to run it again.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::last_green;
use super::progress::style;
use super::screen::Screen;
use crate::judge::{Attempt, KnownDeviation, Mismatch, Observation};
use crate::record::{CellRecord, ObservedRecord};

/// Writes one cell for people.
///
/// # Errors
/// If the output cannot be written.
pub fn write_cell(out: &mut dyn Write, screen: Screen, cell: &CellRecord) -> io::Result<()> {
    let verdict = cell.verdict;
    let (colour, bold) = (style(verdict), Style::new().bold());
    writeln!(out, "{colour}{verdict}{colour:#} {bold}{}{bold:#}", cell.id)?;
    writeln!(out, "{}", screen.prose("  ", "  ", &cell.case))?;
    writeln!(out, "  defined at {}", cell.place)?;
    if let Some(version) = &cell.postgres.version {
        let openssl = cell.postgres.openssl.as_deref().unwrap_or("unknown");
        let (runtime, kong) = (cell.runtime, &cell.kong);
        writeln!(out, "  on PostgreSQL {version} with OpenSSL {openssl} ({runtime}), as Kong {kong}")?;
        if let Some(changed) = last_green::changed(&cell.postgres) {
            writeln!(out, "  {changed}")?;
        }
    }
    if let Some(reason) = &cell.reason {
        writeln!(out, "{}", screen.prose("  ", "    ", reason))?;
    }
    for (word, text) in cell.marks() {
        writeln!(out, "{}", screen.prose("  ", "    ", &format!("{word}: {text}")))?;
    }
    for remark in &cell.remarks {
        writeln!(out, "{}", screen.prose("  ", "    ", remark))?;
    }
    for KnownDeviation { happens, instead, .. } in &cell.documented {
        writeln!(out, "{}", screen.prose("  ", "    ", &format!("what happens: {happens}")))?;
        writeln!(out, "{}", screen.prose("  ", "    ", &format!("do instead: {instead}")))?;
    }
    for mismatch in &cell.mismatches {
        writeln!(out, "\n  {bold}{}{bold:#}", mismatch.aspect)?;
        writeln!(out, "{}", side_by_side(mismatch, screen.table()))?;
    }
    if let Some(observed) = &cell.observed {
        write_messages(out, if cell.client.speaks_as_kong() { "Kong" } else { "The client" }, observed)?;
    }
    for (name, text) in &cell.files.0 {
        writeln!(out, "\n  {bold}{name}{bold:#}")?;
        text.lines().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    writeln!(out, "\n  {bold}To run only this cell{bold:#}\n    {}\n", cell.command)
}

/// One cell in full, without colours.
pub(super) fn plain(cell: &CellRecord) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_cell(&mut text, Screen::UNLIMITED, cell);
    anstream::adapter::strip_str(&String::from_utf8_lossy(&text)).to_string()
}

/// Both sides' messages, verbatim.
fn write_messages(out: &mut dyn Write, client: &str, observed: &ObservedRecord) -> io::Result<()> {
    let bold = Style::new().bold();
    let Observation { attempt, reload, relay_log, .. } = &observed.outcome.observation;
    match attempt {
        Attempt::Refused(refusal) => writeln!(out, "\n  {bold}{client}'s output{bold:#}\n    {}", refusal.printed())?,
        Attempt::Unconfirmed { claim } => writeln!(out, "\n  {bold}{client}'s output{bold:#}\n    ({claim})")?,
        Attempt::Hung => writeln!(out, "\n  {bold}{client}'s output{bold:#}\n    (none: it waits without end)")?,
        Attempt::NotMade | Attempt::Connected(_) => {}
    }
    write_log(out, "PostgreSQL's log when it applied the configuration", reload)?;
    write_log(out, "PostgreSQL's log of the connection", &observed.server_log)?;
    write_log(out, "The log of the program between Kong and PostgreSQL", relay_log)?;
    if let (Attempt::Unconfirmed { .. }, true) = (attempt, observed.server_log.is_empty()) {
        writeln!(out, "\n  {bold}PostgreSQL's log of the connection{bold:#}\n    (none: no connection was received)")?;
    }
    Ok(())
}

fn write_log(out: &mut dyn Write, title: &str, lines: &[impl AsRef<str>]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(out, "\n  {bold}{title}{bold:#}")?;
    lines.iter().try_for_each(|line| writeln!(out, "    {}", line.as_ref()))
}

fn side_by_side(mismatch: &Mismatch, width: u16) -> String {
    let column = |lines: &[String]| if lines.is_empty() { "(nothing)".to_owned() } else { lines.join("\n") };
    let expected: Vec<_> = mismatch.expected.iter().map(|any| column(any)).collect();
    let half = ColumnConstraint::Absolute(Width::Fixed((width - 4) / 2));
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(["expected", "observed"]);
    table.add_row([expected.join("\n  or\n"), column(&mismatch.observed)]);
    for column in table.column_iter_mut() {
        column.set_constraint(half).set_padding((0, 2));
    }
    table.to_string().lines().map(|line| format!("    {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}
