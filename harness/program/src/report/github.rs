//! Annotations of GitHub Actions: commands on the standard output that show a message at a line of a file.

use indexmap::IndexMap;

use super::reporter::{cells, tally, worst_first};
use crate::record::{CellRecord, Results};

/// How many annotations of a kind GitHub shows in a step.
const SHOWN: usize = 10;

/// An annotation for each line of a scenario with a cell that needs attention, worst first.
pub(super) fn render(run: &Results) -> String {
    let mut places = IndexMap::<&str, Vec<&CellRecord>>::new();
    for cell in worst_first(run) {
        places.entry(&cell.place).or_default().push(cell);
    }
    let partial = run.partial().map(|partial| format!("::error title=partial run::{}\n", message(&partial)));
    let flaky = run.flaky().map(|cell| {
        let (file, line) = cell.file_and_line();
        format!("::warning file={},line={line},title=flaky::{}\n", property(file), message(&cell.id))
    });
    let marks = run.marks().take(SHOWN).map(|(cell, word, text)| {
        let (file, line) = cell.file_and_line();
        let text = format!("{}: {text}", cell.id);
        format!("::warning file={},line={line},title={word}::{}\n", property(file), message(&text))
    });
    let left =
        run.leaks.iter().map(|leak| format!("::warning title=leak of the run::{}\n", message(&leak.to_string())));
    partial
        .into_iter()
        .chain(places.values().map(|cells| annotation(cells)))
        .chain(flaky)
        .chain(marks)
        .chain(left)
        .collect()
}

fn annotation(bad: &[&CellRecord]) -> String {
    let first = bad[0];
    let (file, line) = first.file_and_line();
    let title = format!("{}: {}", tally(bad.iter().map(|cell| cell.verdict)), first.case);
    let reason = first.reason.as_deref().unwrap_or_default();
    let text = format!("{reason}\n{}, such as {}\n{}", cells(bad.len()), first.id, first.command);
    format!("::error file={},line={line},title={}::{}\n", property(file), property(&title), message(&text))
}

/// As the runner reads a message back.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As the runner reads a property back.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>
    #[test]
    fn what_has_a_meaning_in_a_command_is_escaped() {
        assert_eq!(message("100 %\r\na: b, c"), "100 %25%0D%0Aa: b, c");
        assert_eq!(property("100 %\na: b, c"), "100 %25%0Aa%3A b%2C c");
    }
}
