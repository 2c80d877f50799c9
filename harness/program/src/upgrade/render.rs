//! An upgrade for people.

use std::io::{self, Write};

use indexmap::IndexMap;
use textwrap::Options;

use super::{ChangedText, Effect, Fact, Tried, Upgrade};

/// Writes what an upgrade changes.
///
/// # Errors
/// What the writer says.
pub fn write_upgrade(out: &mut dyn Write, upgrade: &Upgrade, width: usize) -> io::Result<()> {
    let Upgrade { from, to, facts, texts, tried, .. } = upgrade;
    writeln!(out, "From Kong {from} to {to}")?;
    if facts.is_empty() {
        writeln!(out, "\nNo fact about the two differs for this configuration.")?;
    }
    for Fact { what, before, after, fix, worse } in facts {
        let mark = if *worse { "  (may break)" } else { "" };
        writeln!(out, "\n{what}{mark}")?;
        wrapped(out, width, "  was  ", before)?;
        wrapped(out, width, "  is   ", after)?;
        fix.iter().try_for_each(|fix| wrapped(out, width, "  fix  ", fix))?;
    }
    if !texts.is_empty() {
        writeln!(out, "\nTexts that change")?;
    }
    for ChangedText { text, before, after } in texts {
        writeln!(out, "  {text}")?;
        wrapped(out, width, "    was  ", &shown(before))?;
        wrapped(out, width, "    is   ", &shown(after))?;
    }
    if tried.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nTried, with the settings of this configuration and certificates of the suite")?;
    let mut alike = IndexMap::<_, Vec<&Tried>>::new();
    for tried in tried.iter().filter(|tried| tried.effect != Effect::Same) {
        let Tried { stack, before, after, effect, fix, .. } = tried;
        alike.entry((effect, stack.to_string(), &before.says, &after.says, fix)).or_default().push(tried);
    }
    for ((effect, stack, before, after, fix), tried) in alike {
        writeln!(out, "\n{effect}, {stack}")?;
        wrapped(out, width, "  was  ", before)?;
        wrapped(out, width, "  is   ", after)?;
        fix.iter().try_for_each(|fix| wrapped(out, width, "  fix  ", fix))?;
        for Tried { server, before, after, .. } in tried {
            writeln!(out, "  with {server}\n    {}\n    {}", before.cell, after.cell)?;
        }
    }
    let same = tried.iter().filter(|tried| tried.effect == Effect::Same).count();
    let worse = tried.iter().filter(|tried| tried.effect == Effect::Worse).count();
    writeln!(out, "\n{} of {} attempts end as before, {worse} worse", same, tried.len())
}

fn shown(lines: &[String]) -> String {
    if lines.is_empty() { "(nothing)".to_owned() } else { lines.join(" / ") }
}

fn wrapped(out: &mut dyn Write, width: usize, label: &str, text: &str) -> io::Result<()> {
    let indent = " ".repeat(label.len());
    let options = Options::new(width).initial_indent(label).subsequent_indent(&indent).break_words(false);
    writeln!(out, "{}", textwrap::fill(text, options))
}
