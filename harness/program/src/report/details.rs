//! A cell that did not pass, in full: expected and observed side by side, the configuration, and how to run just it.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::last_green;
use super::live::style;
use crate::judge::Mismatch;
use crate::run::CellResult;

/// Writes one cell for people.
pub fn write_details(out: &mut dyn Write, result: &CellResult) -> io::Result<()> {
    let (colour, bold) = (style(result.verdict), Style::new().bold());
    let id = &result.cell.id;
    writeln!(out, "{colour}{}{colour:#} {bold}{id}{bold:#}", result.verdict.as_str())?;
    writeln!(out, "  {}", result.cell.case.name)?;
    writeln!(out, "  written at {}", result.cell.case.place)?;
    if let Some(server) = &result.server {
        let openssl = server.openssl.as_deref().unwrap_or("unknown");
        writeln!(out, "  on PostgreSQL {} with OpenSSL {openssl}, {}", server.version, result.runtime)?;
        if let Some(changed) = last_green::changed(server) {
            writeln!(out, "  {changed}")?;
        }
    }
    if let Some(reason) = &result.reason {
        writeln!(out, "  {reason}")?;
    }
    result.remarks.iter().try_for_each(|remark| writeln!(out, "  {remark}"))?;
    for mismatch in &result.mismatches {
        writeln!(out, "\n  {bold}{}{bold:#}", mismatch.what)?;
        writeln!(out, "{}", side_by_side(mismatch))?;
    }
    if let Some(observed) = &result.observed {
        if let Err(refusal) = &observed.outcome {
            writeln!(out, "\n  {bold}What Kong prints{bold:#}\n    {}", refusal.as_kong_prints_it())?;
        }
        if !observed.server.log.is_empty() {
            writeln!(out, "\n  {bold}What PostgreSQL logged{bold:#}")?;
            observed.server.log.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
        }
    }
    if let Some(files) = &result.files {
        for (name, text) in files.named() {
            writeln!(out, "\n  {bold}{name}{bold:#}")?;
            without_passwords(text).try_for_each(|line| writeln!(out, "    {line}"))?;
        }
    }
    writeln!(out, "\n  {bold}To run just this cell{bold:#}\n    kong-pg-tls run '{id}' --runtime {}\n", result.runtime)
}

fn without_passwords(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| match line.split_once('=') {
        Some((key, _)) if key.trim().to_lowercase().ends_with("password") => format!("{key}= ********"),
        _ => line.to_owned(),
    })
}

fn side_by_side(mismatch: &Mismatch) -> String {
    let column = |lines: &[String]| if lines.is_empty() { "(nothing)".to_owned() } else { lines.join("\n") };
    let expected: Vec<_> = mismatch.expected.iter().map(|any| column(any)).collect();
    let width = terminal_size::terminal_size().map_or(120, |(width, _)| width.0.max(60));
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
