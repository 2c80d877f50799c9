//! A comparison for people, on a terminal and in a pull request.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{AxisChange, Change, Comparison, Group};

/// How many cells of a group are named.
const CELLS: usize = 3;
/// How many groups of new, gone or merely reworded cells are shown.
const MINOR_GROUPS: usize = 10;

impl Comparison {
    /// How many cells were compared, and how many changed in which way.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts: Vec<_> = self.counts.iter().map(|(change, count)| format!("{count} {change}")).collect();
        let changes = if counts.is_empty() { "nothing changed".to_owned() } else { counts.join(", ") };
        format!("{} cells compared: {changes}{}", self.compared, self.not_applicable())
    }

    /// How many cells the runs do not share because the case is not about the other version.
    fn not_applicable(&self) -> String {
        let of = |axis: &str, value: &str| format!("{axis} {value}");
        let (before, after) = match self.axes.first() {
            Some(AxisChange { axis, before, after }) => (of(axis, before), of(axis, after)),
            None => ("the old run".to_owned(), "the new run".to_owned()),
        };
        let sides = [(self.not_applicable.before, before), (self.not_applicable.after, after)];
        let said = sides.into_iter().filter(|(count, _)| *count > 0);
        let said: Vec<_> = said.map(|(count, side)| format!("{count} to {side}")).collect();
        if said.is_empty() { String::new() } else { format!("; not applicable: {}", said.join(", ")) }
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let partial = self
            .partial
            .then(|| "The new run was interrupted: cells that are gone may only not have been reached.".to_owned());
        self.axes.iter().map(ToString::to_string).chain(partial)
    }

    /// The groups to show: all that matter, and the largest of the others.
    fn shown(&self) -> impl Iterator<Item = &Group> {
        let is_minor = |change| matches!(change, Change::TextChanged | Change::New | Change::Gone);
        let mut minor = 0;
        self.groups.iter().filter(move |group| {
            minor += usize::from(is_minor(group.change));
            !is_minor(group.change) || minor <= MINOR_GROUPS
        })
    }
}

fn style(change: Change) -> Style {
    match change {
        Change::Regressed => AnsiColor::Red.on_default().bold(),
        Change::Fixed => AnsiColor::Green.on_default(),
        _ => AnsiColor::Yellow.on_default(),
    }
}

impl Group {
    /// `12 outcome-changed, only stack luasec`
    #[must_use]
    pub fn heading(&self) -> String {
        let only = if self.only.is_empty() { String::new() } else { format!(", only {}", self.only.join(", ")) };
        format!("{} {}{only}", self.cells.len(), self.change)
    }
}

/// Writes a comparison for a terminal.
///
/// # Errors
/// What the writer says.
pub fn write_text(out: &mut dyn Write, comparison: &Comparison) -> io::Result<()> {
    comparison.notes().try_for_each(|note| writeln!(out, "{note}"))?;
    for group in comparison.shown() {
        let style = style(group.change);
        writeln!(out, "\n{style}{}{style:#}", group.heading())?;
        if !group.before.is_empty() {
            writeln!(out, "  was  {}", group.before)?;
        }
        if !group.after.is_empty() {
            writeln!(out, "  is   {}", group.after)?;
        }
        group.cells.iter().take(CELLS).try_for_each(|cell| writeln!(out, "    {cell}"))?;
        let more = group.cells.len().saturating_sub(CELLS);
        if more > 0 {
            writeln!(out, "    and {more} more")?;
        }
    }
    writeln!(out, "\n{}", comparison.summary())
}

/// Writes a comparison as Markdown, for a pull request.
///
/// # Errors
/// What the writer says.
pub fn write_markdown(out: &mut dyn Write, comparison: &Comparison) -> io::Result<()> {
    writeln!(out, "**{}**\n", comparison.summary())?;
    comparison.notes().try_for_each(|note| writeln!(out, "- {note}"))?;
    let groups: Vec<_> = comparison.shown().collect();
    if groups.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| change | was | is | cells |\n|---|---|---|---|")?;
    let quoted = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for group in groups {
        let cells: Vec<_> = group.cells.iter().take(CELLS).map(|cell| format!("`{cell}`")).collect();
        let more = group.cells.len().saturating_sub(CELLS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (was, is) = (quoted(&group.before), quoted(&group.after));
        writeln!(out, "| {} | {was} | {is} | {}{more} |", group.heading(), cells.join("<br>"))?;
    }
    Ok(())
}
