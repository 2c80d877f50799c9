//! A file of a suite, and what is wrong in it.

use std::cell::OnceCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::marks::Marked;
use super::path::{Position, Problem, Segment, Target};

/// A file of a suite: its name as shown to people, and its text.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is, as the user would name it.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
    marked: OnceCell<Option<Marked>>,
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// Where in it; nowhere in particular if it cannot be read at all.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What was expected, or what to do.
    pub help: String,
    /// The line it is in.
    line: String,
}

impl Source {
    /// A file with its text.
    #[must_use]
    pub fn new(path: PathBuf, mut text: String) -> Self {
        // A byte order mark, with which some editors begin a file.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self { path, text, marked: OnceCell::new() }
    }

    /// The places of everything in the file; `None` if it is empty or no YAML.
    pub(super) fn marked(&self) -> Option<&Marked> {
        self.marked.get_or_init(|| Marked::parse(&self.text)).as_ref()
    }

    fn find(&self, path: &[Segment], target: Target) -> Option<Position> {
        self.marked()?.locate(path, target)
    }

    /// What the value at the end of a path occupies of the text, in bytes.
    pub fn extent(&self, path: &[Segment]) -> Option<Range<usize>> {
        self.bytes(self.marked()?.extent(path, Target::Value)?)
    }

    /// What the key at the end of a path occupies of the text, in bytes.
    pub fn extent_of_key(&self, path: &[Segment]) -> Option<Range<usize>> {
        self.bytes(self.marked()?.extent(path, Target::Key { occurrence: 0 })?)
    }

    fn bytes(&self, characters: Range<usize>) -> Option<Range<usize>> {
        let offset = |index| self.text.char_indices().map(|(offset, _)| offset).chain([self.text.len()]).nth(index);
        Some(offset(characters.start)?..offset(characters.end)?)
    }

    /// Where the value at the end of a path is.
    pub(crate) fn locate(&self, path: &[Segment]) -> Position {
        self.find(path, Target::Value).unwrap_or(Position::START)
    }

    /// Where a key is, if it is there without a value.
    pub(crate) fn blank(&self, path: &[Segment]) -> Option<Position> {
        let root = self.marked()?;
        let value = path.iter().try_fold(root, |value, segment| value.get(segment))?;
        let key = self.find(path, Target::Key { occurrence: 0 });
        key.filter(|_| value.is_null())
    }

    /// A problem with its place. What is missing is shown at the mapping it is missing from.
    pub(crate) fn fault(&self, problem: Problem) -> Fault {
        let Problem { path, target, message, help } = problem;
        let position = (0..=path.len()).rev().find_map(|end| {
            let target = if end == path.len() { target } else { Target::Value };
            self.find(&path[..end], target)
        });
        self.fault_at(position.unwrap_or(Position::START), message, help)
    }

    /// A fault at a place that is known.
    pub(super) fn fault_at(&self, place: Position, message: String, help: String) -> Fault {
        let line = self.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default().to_owned();
        Fault { path: self.path.clone(), position: Some(place), message, help, line }
    }
}

impl Fault {
    /// A fault of a file that cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self {
            path: path.to_owned(),
            position: None,
            message: format!("cannot be read: {error}"),
            help: "name a file or folder that exists and that you may read".into(),
            line: String::new(),
        }
    }

    /// The fault with the line it is in and a mark below the place.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let Some(place) = self.position else {
            return format!("error: {}: {}\n  = help: {}", self.path.display(), self.message, self.help);
        };
        let start = self.line.char_indices().nth(place.column - 1).map_or(self.line.len(), |(offset, _)| offset);
        let word = self.line[start..].find([' ', ',', ':', '}', ']']).filter(|length| *length > 0);
        let end = word.map_or(self.line.len(), |length| start + length);
        let path = self.path.to_string_lossy();
        let snippet = Snippet::source(&self.line)
            .line_start(place.line)
            .path(&*path)
            .annotation(AnnotationKind::Primary.span(start..end).label(&self.help));
        let group = Group::with_title(Level::ERROR.primary_title(&self.message)).element(snippet);
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group]).clone()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(place) = self.position {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}: {}", self.message, self.help)
    }
}
