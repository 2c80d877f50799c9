//! A diagnosis for people.

use std::io::{self, Write};

use anstyle::Style;
use kong_pg_scenarios::format::Speaker;

use super::{Diagnosis, Suspect};
use crate::report::indent;

/// How many causes are shown; the others are in `--json`.
const SHOWN: usize = 5;

/// Writes a diagnosis, wrapped to a width in columns.
///
/// # Errors
/// What the writer says.
pub fn write_diagnosis(out: &mut dyn Write, diagnosis: &Diagnosis, width: usize) -> io::Result<()> {
    let bold = Style::new().bold();
    if let Some(about) = &diagnosis.unrelated {
        let text = format!("This is not about Kong's connection to PostgreSQL; it is about {about}.");
        return writeln!(out, "{}", indent(&text, 0, width));
    }
    let (Some(who), Some(step)) = (diagnosis.who, diagnosis.step) else {
        return writeln!(
            out,
            "None of this is a text that the suite knows.\n\nGive both sides if you can: what Kong prints, and the lines of PostgreSQL's log from the same moment."
        );
    };
    let stack = diagnosis.stack.map(|stack| format!(" ({stack})")).unwrap_or_default();
    writeln!(out, "Printed by {}{stack} {}:", name(who), step.describe())?;
    diagnosis.texts.iter().take(SHOWN).try_for_each(|text| writeln!(out, "{}", indent(text, 2, width)))?;
    if matches!(who, Speaker::Pooler | Speaker::ManagedServer | Speaker::Proxy) {
        writeln!(out, "\n{}", indent("This is not a text of PostgreSQL itself.", 0, width))?;
    }
    if diagnosis.causes.first().is_some_and(|suspect| !suspect.tls) {
        writeln!(out, "\n{}", indent("This is not about TLS.", 0, width))?;
    }
    for (number, suspect) in (1..).zip(diagnosis.causes.iter().take(SHOWN)) {
        writeln!(out, "\n{bold}{number}. {}{bold:#}", indent(&suspect.cause, 3, width).trim_start())?;
        suspect_lines(out, suspect, width)?;
    }
    let hidden = diagnosis.causes.len().saturating_sub(SHOWN);
    if hidden > 0 {
        writeln!(out, "\n... and {hidden} less likely; --json has all")?;
    }
    Ok(())
}

fn suspect_lines(out: &mut dyn Write, suspect: &Suspect, width: usize) -> io::Result<()> {
    let mut row = |name: &str, text: &str| {
        let text = indent(text, 16, width);
        writeln!(out, "   {name:<13}{}", text.trim_start())
    };
    row("if", &suspect.tell_apart)?;
    row("fix", &suspect.fix)?;
    suspect.failing.iter().take(1).try_for_each(|case| row("fails in", case))?;
    suspect.passing.iter().take(1).try_for_each(|case| row("fixed in", case))?;
    suspect.source.iter().try_for_each(|source| row("known from", source))
}

fn name(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Kong => "Kong",
        Speaker::Nginx => "nginx inside Kong",
        Speaker::Openssl => "OpenSSL",
        Speaker::Postgresql => "PostgreSQL",
        Speaker::Pooler => "a connection pooler",
        Speaker::ManagedServer => "a managed server",
        Speaker::Proxy => "something between Kong and PostgreSQL",
        Speaker::Libpq => "libpq (psql and drivers built on it)",
        Speaker::System => "the operating system",
    }
}
