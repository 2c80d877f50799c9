//! What a check finds, and where.

use std::fmt;

use super::catalog::{self, Code};
pub use super::severity::Severity;

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file as it was named on the command line, or `environment`.
    pub file: String,
    /// The line, counted from 1; `None` for a whole file or the environment.
    pub line: Option<usize>,
}

impl Place {
    /// A line of a file.
    #[must_use]
    pub fn line(file: &str, line: usize) -> Self {
        Self { file: file.to_owned(), line: Some(line) }
    }

    /// A whole file.
    #[must_use]
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A finding. Why it matters and which cases prove it is in the catalog, by its code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of fault it is.
    pub code: Code,
    /// What is wrong, with the names and values found there. Never a password.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl Fault {
    /// A fault with the severity and the fix that the catalog gives its code.
    #[must_use]
    pub fn new(code: Code, place: &Place, what: impl Into<String>) -> Self {
        let entry = catalog::entry(code);
        Self { place: place.clone(), severity: entry.severity, code, what: what.into(), fix: entry.fix.clone() }
    }

    /// The same, less or more serious than usual.
    #[must_use]
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// The same with a more specific fix.
    #[must_use]
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    /// Whether it makes the configuration a faulty one.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.severity != Severity::Note
    }
}
