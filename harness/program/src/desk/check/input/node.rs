//! YAML, and JSON as a part of it, as a tree in which each value knows its line.

use std::collections::HashMap;
use std::rc::Rc;

use super::file::ContentError;
use saphyr_parser::{Event, Parser, ScalarStyle};

/// A value and its line.
#[derive(Debug)]
pub(super) struct Node {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) data: Data,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Data {
    /// A text, and whether it stands there without quotes.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Rc<Node>>),
    /// Values by name, those that a merge key brings in last.
    Map(Vec<(String, Rc<Node>)>),
}

/// How many values a document may have once its aliases are expanded.
const LIMIT: usize = 200_000;

impl Node {
    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Rc<Node>> {
        self.entries().iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The values by name; none if it has no names.
    pub(super) fn entries(&self) -> &[(String, Rc<Node>)] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; none if it is no list.
    pub(super) fn items(&self) -> &[Rc<Node>] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }
}

/// A list or map in the making.
struct Open {
    anchor: usize,
    line: usize,
    /// How many values there were before it.
    before: usize,
    /// The name that waits for its value, where it is a map.
    key: Option<(String, usize)>,
    data: Data,
}

/// Reads all documents of a text.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parse(text: &str) -> Result<Vec<Rc<Node>>, ContentError> {
    let mut documents = Vec::new();
    let mut open = Vec::<Open>::new();
    let mut anchors = HashMap::<usize, (Rc<Node>, usize)>::new();
    let mut count = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| ContentError::Yaml(explain(text, error.marker().line(), error.info())))?;
        let line = span.start.line();
        let (node, anchor, before) = match event {
            Event::DocumentStart(_) => {
                anchors.clear();
                continue;
            }
            Event::Scalar(value, style, anchor, _) => {
                let data = Data::Scalar { text: value.into_owned(), plain: style == ScalarStyle::Plain };
                (Rc::new(Node { line, data }), anchor, count)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = anchors.get(&anchor) else { continue };
                count += size;
                (node.clone(), 0, count)
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open { anchor, line, before: count, key: None, data: Data::List(Vec::new()) });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open { anchor, line, before: count, key: None, data: Data::Map(Vec::new()) });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = open.pop() else { continue };
                (Rc::new(Node { line: done.line, data: merged(done.data) }), done.anchor, done.before)
            }
            _ => continue,
        };
        count += 1;
        if count > LIMIT {
            return Err(ContentError::Yaml(format!("line {line}: it has more than {LIMIT} values")));
        }
        if anchor > 0 {
            anchors.insert(anchor, (node.clone(), count - before));
        }
        match open.last_mut() {
            None => documents.push(node),
            Some(Open { data: Data::List(items), .. }) => items.push(node),
            Some(Open { data: Data::Map(entries), key, .. }) => match key.take() {
                None => *key = Some((node.text().unwrap_or_default().to_owned(), node.line)),
                Some((name, _)) => entries.push((name, node)),
            },
            Some(_) => {}
        }
    }
    Ok(documents)
}

/// A map with what its merge keys bring in.
fn merged(data: Data) -> Data {
    let Data::Map(entries) = data else { return data };
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key == "<<");
    for (_, source) in merges {
        let sources = if source.items().is_empty() { std::slice::from_ref(&source) } else { source.items() };
        for (key, value) in sources.iter().flat_map(|source| source.entries()) {
            if !own.iter().any(|(known, _)| known == key) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
    Data::Map(own)
}

/// What is wrong, and a likely reason.
fn explain(text: &str, line: usize, info: &str) -> String {
    let template = text.lines().any(|line| line.contains("{{"));
    let help = if template { "; a template has to be rendered first, with `helm template`" } else { "" };
    format!("line {line}: {info}{help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines_and_aliases_are_expanded() {
        let text = "base: &base\n  A: 1\n  B: \"on\"\nkong:\n  <<: *base\n  A: 2\n---\n- x\n";
        let documents = parse(text).expect("YAML");
        let kong = documents[0].get("kong").expect("a map");
        let values: Vec<_> =
            kong.entries().iter().map(|(key, node)| (key.as_str(), node.text().expect("text"), node.line)).collect();
        assert_eq!(values, [("A", "2", 6), ("B", "on", 3)]);
        assert_eq!(documents[1].items()[0].line, 8);
    }

    #[test]
    fn json_is_yaml() {
        let documents = parse("[\n  {\"Env\": [\n    \"KONG_PG_SSL=on\"\n  ]}\n]").expect("JSON");
        assert_eq!(documents[0].items()[0].get("Env").expect("a list").items()[0].line, 3);
    }

    #[test]
    fn a_template_and_a_bomb_are_refused() {
        let error = parse("env:\n  {{- if .Values.x }}\n  a: b\n").expect_err("a template").to_string();
        assert!(error.contains("helm template"), "{error}");
        let level = |n: usize| format!("l{n}: &l{n} [{}]\n", format!("*l{}, ", n - 1).repeat(10) + "[]");
        let bomb = format!("l0: &l0 [{}]\n{}", ["x"; 10].join(", "), (1..9).map(level).collect::<String>());
        assert!(parse(&bomb).is_err());
    }
}
