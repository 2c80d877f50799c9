//! The only module that knows the YAML event parser: where everything in a file is, and how its scalars are written.

use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver};

use super::path::{Position, Segment, Target};

/// A value of a document with its place.
#[derive(Debug, Clone)]
pub(super) struct Marked {
    position: Position,
    /// What it occupies of the text, in characters.
    extent: Range<usize>,
    kind: Rc<Kind>,
}

#[derive(Debug)]
enum Kind {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Marked>),
    Mapping(Vec<(Marked, Marked)>),
}

impl Marked {
    /// Reads a document; `None` if it is empty or the parser rejects it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut builder = Builder::default();
        Parser::new_from_str(text).load(&mut builder, false).ok()?;
        builder.root
    }

    /// Where a path leads to; `None` if it leads nowhere.
    pub(super) fn locate(&self, path: &[Segment], target: Target) -> Option<Position> {
        match (path, target) {
            ([], _) => Some(self.position),
            ([Segment::Key(key)], Target::Key { occurrence }) => {
                self.entries(key).nth(occurrence).map(|(key, _)| key.position)
            }
            ([segment, rest @ ..], _) => self.get(segment)?.locate(rest, target),
        }
    }

    /// What the value at the end of a path, or its key, occupies of the text, in characters.
    pub(super) fn extent(&self, path: &[Segment], target: Target) -> Option<Range<usize>> {
        match (path, target) {
            ([], _) => Some(self.extent.clone()),
            ([Segment::Key(key)], Target::Key { occurrence }) => {
                self.entries(key).nth(occurrence).map(|(key, _)| key.extent.clone())
            }
            ([segment, rest @ ..], _) => self.get(segment)?.extent(rest, target),
        }
    }

    /// The value of a key, or the item at an index.
    pub(super) fn get(&self, segment: &Segment) -> Option<&Self> {
        match (segment, &*self.kind) {
            (Segment::Key(key), _) => self.entries(key).next().map(|(_, value)| value),
            (Segment::Index(index), Kind::Sequence(items)) => items.get(*index),
            (Segment::Index(_), _) => None,
        }
    }

    /// A scalar as the file has it, with quotes and escapes resolved; `None` for anything else, and for the plain word
    /// `null`, which is the one way to write that there is no value.
    pub(super) fn as_written(&self) -> Option<&str> {
        match &*self.kind {
            Kind::Scalar { text, plain } if !(*plain && text == "null") => Some(text),
            _ => None,
        }
    }

    /// Whether there is no value, however that is written.
    pub(super) fn is_null(&self) -> bool {
        matches!(&*self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    fn entries(&self, wanted: &str) -> impl Iterator<Item = &(Self, Self)> {
        let entries = if let Kind::Mapping(entries) = &*self.kind { &entries[..] } else { &[] };
        entries.iter().filter(move |(key, _)| matches!(&*key.kind, Kind::Scalar { text, .. } if text == wanted))
    }
}

/// A sequence or a mapping whose end has not been read yet, with its anchor; keys and values of a mapping alternate.
struct Open {
    position: Position,
    start: usize,
    anchor: usize,
    is_mapping: bool,
    children: Vec<Marked>,
}

/// Builds the tree from events.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: Vec<(usize, Rc<Kind>)>,
    root: Option<Marked>,
}

impl Builder {
    fn add(&mut self, position: Position, extent: Range<usize>, anchor: usize, kind: Rc<Kind>) {
        // Anchors are numbered from 1; 0 means that there is none.
        if anchor > 0 {
            self.anchors.push((anchor, kind.clone()));
        }
        let node = Marked { position, extent, kind };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
    }

    /// Ends a sequence or a mapping. One in the block style has no end of its own, but that of what is in it.
    fn close(&mut self, end: Range<usize>) {
        let Some(Open { position, start, anchor, is_mapping, children }) = self.open.pop() else { return };
        let in_block = || children.last().map_or(start, |last| last.extent.end);
        // The parser counts the space behind the bracket as well.
        let end = if end.is_empty() { in_block() } else { end.start + 1 };
        let kind = if is_mapping {
            let mut children = children.into_iter();
            Kind::Mapping(std::iter::from_fn(|| Some((children.next()?, children.next()?))).collect())
        } else {
            Kind::Sequence(children)
        };
        self.add(position, start..end, anchor, Rc::new(kind));
    }
}

impl SpannedEventReceiver<'_> for Builder {
    fn on_event(&mut self, event: Event<'_>, span: Span) {
        let position = Position { line: span.start.line(), column: span.start.col() + 1 };
        let extent = span.start.index()..span.end.index();
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.add(position, extent, anchor, Rc::new(Kind::Scalar { text: text.into_owned(), plain }));
            }
            Event::SequenceStart(anchor, _) => {
                self.open.push(Open { position, start: extent.start, anchor, is_mapping: false, children: Vec::new() });
            }
            Event::MappingStart(anchor, _) => {
                self.open.push(Open { position, start: extent.start, anchor, is_mapping: true, children: Vec::new() });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(extent),
            Event::Alias(anchor) => {
                let known = self.anchors.iter().rev().find(|(number, _)| *number == anchor);
                if let Some((_, kind)) = known.cloned() {
                    self.add(position, extent, 0, kind);
                }
            }
            _ => {}
        }
    }
}
