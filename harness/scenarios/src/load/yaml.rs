//! The only module that knows the YAML library: text to a tree of values.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::marks::Marked;
use super::path::{Position, Segment};

/// A document, and the keys that are in a mapping more than once.
pub(super) struct Document {
    /// Its content.
    pub value: Value,
    /// The second and later occurrences of equal keys: where, and which occurrence.
    pub duplicates: Vec<(Vec<Segment>, usize)>,
}

/// Text that is no YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// Where, if the library knows.
    pub position: Option<Position>,
    /// The library's words.
    pub message: String,
    /// What it was reading, in its words, and where that begins.
    pub context: Option<(String, Position)>,
}

impl From<serde_yaml::Error> for SyntaxError {
    fn from(error: serde_yaml::Error) -> Self {
        let position = position_of(&error);
        let mut message = error.to_string();
        let context = message.split_once(", ").and_then(|(_, context)| {
            let (what, place) = context.split_once(" at line ")?;
            let (line, column) = place.split_once(" column ")?;
            Some((what.to_owned(), Position { line: line.parse().ok()?, column: column.parse().ok()? }))
        });
        // The position is shown with the fault.
        if let Some(at) = message.find(" at line ") {
            message.truncate(at);
        }
        Self { position, message, context }
    }
}

fn position_of(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|place| Position { line: place.line(), column: place.column() })
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Document, SyntaxError> {
    let mut reader = Reader::default();
    let value = reader.document(text)?;
    Ok(Document { value, duplicates: reader.duplicates })
}

/// Mappings whose values are text that a product reads: YAML must not take `True` or `0x1F` there for something else.
const SETTINGS: [&str; 4] = ["kong", "kong_prefix", "conf", "relay"];

/// Puts the text of the file in the place of what YAML has made of it, wherever a product's settings are.
pub(super) fn keep_as_written(value: &mut Value, marked: &Marked, is_setting: bool) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(marked) = marked.get(&Segment::Index(index)) {
                    keep_as_written(item, marked, false);
                }
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                if let Some(marked) = marked.get(&Segment::Key(key.clone())) {
                    let holds_settings = SETTINGS.contains(&key.as_str()) && value.is_object();
                    keep_as_written(value, marked, is_setting || holds_settings);
                }
            }
        }
        scalar if is_setting => *scalar = marked.as_written().map_or(Value::Null, Value::from),
        _ => {}
    }
}

/// A value as a block of lines.
#[must_use]
pub fn block(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_else(|_| unreachable!("a value of JSON is one of YAML"))
}

/// The innermost bracket that is open at a place, and where it was opened.
pub(super) fn unclosed(text: &str, end: Position) -> Option<(Position, char)> {
    let mut open = Vec::new();
    for (number, line) in text.lines().enumerate().take(end.line) {
        let mut quote = None;
        let mut before = ' ';
        for (column, c) in line.chars().enumerate() {
            match (quote, c) {
                (None, '#') if before.is_whitespace() => break,
                // An apostrophe inside a word is no quote.
                (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
                (Some(mark), _) if mark == c => quote = None,
                (None, '[' | '{') => open.push((Position { line: number + 1, column: column + 1 }, c)),
                (None, ']' | '}') => drop(open.pop()),
                _ => {}
            }
            before = c;
        }
    }
    open.pop()
}

/// Builds the tree. The library's own `Value` would keep the last of two equal keys and say nothing.
#[derive(Default)]
struct Reader {
    path: Vec<Segment>,
    duplicates: Vec<(Vec<Segment>, usize)>,
}

impl Reader {
    fn document(&mut self, text: &str) -> Result<Value, serde_yaml::Error> {
        self.deserialize(serde_yaml::Deserializer::from_str(text))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reader {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    /// A document in which there is nothing.
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.path.push(Segment::Index(list.len()));
            let item = items.next_element_seed(&mut *self)?;
            self.path.pop();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut seen = Vec::<String>::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.path.push(Segment::Key(key.clone()));
            let occurrence = seen.iter().filter(|earlier| **earlier == key).count();
            if occurrence > 0 {
                self.duplicates.push((self.path.clone(), occurrence));
            }
            seen.push(key.clone());
            map.insert(key, entries.next_value_seed(&mut *self)?);
            self.path.pop();
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::path::Target;
    use super::*;

    const TEXT: &str = "\
title: a scenario
cases:
  - name: one
    kong: { pg_ssl: on, pg_ssl_verify: off }
  - name: two
    name: again
";

    fn path(dotted: &str) -> Vec<Segment> {
        dotted.split('.').map(|part| part.parse().map_or_else(|_| Segment::Key(part.into()), Segment::Index)).collect()
    }

    #[rstest]
    #[case("title", Target::Value, 1, 8)]
    #[case("title", Target::Key { occurrence: 0 }, 1, 1)]
    #[case("cases.0.kong.pg_ssl_verify", Target::Key { occurrence: 0 }, 4, 25)]
    #[case("cases.0.kong.pg_ssl_verify", Target::Value, 4, 40)]
    #[case("cases.1.name", Target::Key { occurrence: 1 }, 6, 5)]
    #[case("cases.1", Target::Value, 5, 5)]
    fn a_path_leads_to_its_place(
        #[case] dotted: &str,
        #[case] target: Target,
        #[case] line: usize,
        #[case] column: usize,
    ) {
        assert_eq!(Marked::parse(TEXT).expect("YAML").locate(&path(dotted), target), Some(Position { line, column }));
    }

    #[test]
    fn a_path_that_leads_nowhere_has_no_place() {
        assert_eq!(Marked::parse(TEXT).expect("YAML").locate(&path("cases.7.name"), Target::Value), None);
        assert_eq!(Marked::parse(TEXT).expect("YAML").locate(&path("title.name"), Target::Value), None);
    }

    #[test]
    fn equal_keys_are_found_and_on_stays_a_word() {
        let document = parse(TEXT).expect("YAML");
        assert_eq!(document.duplicates, [(path("cases.1.name"), 1)]);
        assert_eq!(document.value["cases"][0]["kong"]["pg_ssl"], "on");
    }

    #[test]
    fn only_settings_are_kept_as_they_are_written() {
        let kept = |text: &str| {
            let mut value = parse(text).expect("YAML").value;
            keep_as_written(&mut value, &Marked::parse(text).expect("YAML"), false);
            value
        };
        let expected =
            json!({ "name": { "of": true, "number": -1 }, "kong": { "of": "True", "in": { "it": "0x10" } } });
        assert_eq!(kept("name: { of: true, number: -1 }\nkong: { of: True, in: { it: 0x10 } }"), expected);
        assert_eq!(kept("kong: True"), json!({ "kong": true }));
    }

    #[rstest]
    #[case("a: [1, 2]\nb: {c: 3}", None)]
    #[case("a: [1, 2", Some((1, 4, '[')))]
    #[case("a: [1]\nb: {", Some((2, 4, '{')))]
    #[case("a: [ # ]", Some((1, 4, '[')))]
    #[case("a: x#[", Some((1, 6, '[')))]
    #[case("it's: [", Some((1, 7, '[')))]
    #[case("a: \"x[\"", None)]
    #[case("a: 'x' [", Some((1, 8, '[')))]
    fn a_bracket_that_is_not_closed_is_found(#[case] text: &str, #[case] expected: Option<(usize, usize, char)>) {
        let found = unclosed(text, Position { line: 9, column: 1 });
        assert_eq!(found.map(|(at, bracket)| (at.line, at.column, bracket)), expected);
    }

    #[test]
    fn what_is_no_yaml_has_a_place() {
        let error = parse("title: a\n  b: [").err().expect("an error");
        assert_eq!(error.position.map(|place| place.line), Some(2));
    }
}
