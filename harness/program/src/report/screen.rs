//! What the terminal is like, and what is to be shown on it.

use std::os::fd::AsFd;

/// What a run shows while it is running and when it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// Only what is bad, and the last line.
    Quiet,
    /// A line for each scenario; of deviations and remarks those that the last run did not have.
    #[default]
    Scenarios,
    /// A line for each cell, and all deviations and remarks.
    Cells,
}

/// What is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Display {
    /// How much.
    pub detail: Detail,
    /// Whether the remarks on Kong's settings are left out.
    pub no_remarks: bool,
}

/// Where text is written: a terminal of some columns, or a file or a pipe, which has no width.
#[derive(Debug, Clone, Copy, Default)]
pub struct Screen {
    columns: Option<usize>,
}

impl Screen {
    /// A file or a pipe.
    pub const UNLIMITED: Self = Self { columns: None };

    /// The standard output.
    #[must_use]
    pub fn of_output() -> Self {
        Self::of(std::io::stdout())
    }

    /// The standard error.
    pub(super) fn of_errors() -> Self {
        Self::of(std::io::stderr())
    }

    fn of(stream: impl AsFd) -> Self {
        let width = terminal_size::terminal_size_of(stream);
        Self { columns: width.map(|(width, _)| usize::from(width.0).max(40)) }
    }

    /// A terminal of so many columns.
    #[cfg(test)]
    pub(super) fn terminal(columns: usize) -> Self {
        Self { columns: Some(columns) }
    }

    /// Whether it is a terminal.
    pub(super) fn is_terminal(self) -> bool {
        self.columns.is_some()
    }

    /// Whether lines of this length have room.
    pub(super) fn fits(self, length: usize) -> bool {
        self.columns.is_none_or(|columns| length <= columns)
    }

    /// How wide a table may be.
    pub(super) fn table(self) -> u16 {
        self.columns.unwrap_or(120).min(200).try_into().unwrap_or(120)
    }

    /// A line that must not wrap, with its end cut off.
    pub(super) fn cut(self, line: &str) -> String {
        match self.columns {
            Some(columns) if line.chars().count() > columns => line.chars().take(columns - 1).chain(['…']).collect(),
            _ => line.to_owned(),
        }
    }

    /// Prose, indented and wrapped. What is to be copied is not prose.
    pub(super) fn prose(self, first: &str, next: &str, text: &str) -> String {
        let Some(columns) = self.columns else { return format!("{first}{text}") };
        let options = textwrap::Options::new(columns).initial_indent(first).subsequent_indent(next).break_words(false);
        textwrap::fill(text, options.word_separator(textwrap::WordSeparator::AsciiSpace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_on_a_terminal_only() {
        let narrow = Screen { columns: Some(20) };
        assert_eq!(narrow.prose("  ", "    ", "one two three four five"), "  one two three four\n    five");
        assert_eq!(Screen::UNLIMITED.prose("  ", "    ", &"word ".repeat(100)).lines().count(), 1);
    }

    #[test]
    fn a_line_is_cut_to_the_width() {
        assert_eq!(Screen::terminal(8).cut("tls/on-and-off::a"), "tls/on-…");
        assert_eq!(Screen::terminal(8).cut("tls"), "tls");
    }
}
