//! A report for people: by file, in 80 columns.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::super::Report;
use super::super::catalog::{Code, entry};
use super::super::fault::{Fault, Severity};

/// How a report looks.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// With colours.
    pub colour: bool,
}

const COLUMNS: usize = 80;

/// Writes a report.
///
/// # Errors
/// It cannot be written.
pub fn write_text(out: &mut dyn Write, report: &Report, look: Look) -> io::Result<()> {
    writeln!(out, "Checked as Kong {} reads it: {}", report.release, report.inputs.join(", "))?;
    let mut file = None;
    for fault in &report.faults {
        if file != Some(&fault.place.file) {
            file = Some(&fault.place.file);
            writeln!(out, "\n{}", fault.place.file)?;
        }
        write_fault(out, fault, look)?;
    }
    writeln!(out, "\n{}", summary(&report.faults))
}

pub(in super::super) fn write_fault(out: &mut dyn Write, fault: &Fault, look: Look) -> io::Result<()> {
    let known = entry(fault.code);
    let label = format!("{}[{}]", fault.severity, fault.code);
    let shown = if look.colour { format!("{0}{label}{0:#}", style(fault.severity)) } else { label.clone() };
    let head = wrap(&format!("{}: {label}: {}", fault.place, fault.what), "  ", "      ");
    write!(out, "{}", head.replacen(&label, &shown, 1))?;
    write!(out, "{}", wrap(&format!("why: {}", known.why), "      ", "           "))?;
    write!(out, "{}", wrap(&format!("fix: {}", fault.fix), "      ", "           "))?;
    for proof in known.cells.iter().filter(|_| fault.counts()) {
        writeln!(out, "      shown by {}", proof.case)?;
    }
    Ok(())
}

fn style(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    colour.on_default().bold()
}

fn summary(faults: &[Fault]) -> String {
    let count = |severity, name: &str| {
        let count = faults.iter().filter(|fault| fault.severity == severity).count();
        (count > 0).then(|| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
    };
    let counts = [count(Severity::Error, "error"), count(Severity::Warning, "warning")];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    let notes = count(Severity::Note, "note");
    if counts.is_empty() {
        let besides = notes.map(|notes| format!(" ({notes})")).unwrap_or_default();
        return format!("Nothing wrong was found{besides}.");
    }
    format!("{}.", [counts, notes.into_iter().collect()].concat().join(", "))
}

/// Breaks a text at blanks.
pub(in super::super) fn wrap(text: &str, first: &str, rest: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push_str(&line);
            lines.push('\n');
            rest.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines + &line + "\n"
}

/// Writes all codes as a table in Markdown, for the documentation.
///
/// # Errors
/// It cannot be written.
pub fn write_codes(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| code | severity | why | fix |\n|---|---|---|---|")?;
    for code in Code::ALL {
        let known = entry(*code);
        writeln!(out, "| `{code}` | {} | {} | {} |", known.severity, known.why, known.fix)?;
    }
    Ok(())
}
