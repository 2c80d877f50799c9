//! Places in a file: as a path from the root of its document, and as a line and a column.

/// A place in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The beginning of a file.
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// A step of the path from the root of a document to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// The value of a key.
    Key(String),
    /// An item of a sequence, from 0.
    Index(usize),
}

/// The segment of a key.
#[must_use]
pub fn key(name: &str) -> Segment {
    Segment::Key(name.to_owned())
}

/// What is at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The value itself.
    Value,
    /// The key that the value belongs to; the occurrence counts from 0, for keys that are there twice.
    Key {
        /// Which of several equal keys.
        occurrence: usize,
    },
}

/// Something wrong in a document. Whoever finds it knows the path from where it looks; the callers add what is above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(super) path: Vec<Segment>,
    pub(super) target: Target,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Problem {
    /// Something wrong with the value at the end of a path.
    pub(crate) fn value(path: Vec<Segment>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { path, target: Target::Value, message: message.into(), help: help.into() }
    }

    /// Something wrong with the key at the end of a path.
    pub(crate) fn key(path: Vec<Segment>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { path, target: Target::Key { occurrence: 0 }, message: message.into(), help: help.into() }
    }

    /// The same, seen from further up.
    pub(crate) fn below(mut self, path: &[Segment]) -> Self {
        self.path.splice(0..0, path.iter().cloned());
        self
    }
}
