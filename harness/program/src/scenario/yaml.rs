//! The only module that knows the YAML library: text to a tree of values, and a path in that tree back to its place.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A place in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A step on the way from the root of a document to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// The value of a key.
    Key(String),
    /// An item of a sequence, from 0.
    Index(usize),
}

/// What is looked for at the end of a path.
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
}

impl From<serde_yaml::Error> for SyntaxError {
    fn from(error: serde_yaml::Error) -> Self {
        let position = position_of(&error);
        let mut message = error.to_string();
        // The place is told once, by whoever shows the error.
        if let Some(at) = message.find(" at line ") {
            message.truncate(at);
        }
        Self { position, message }
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

/// Where in the text a path leads to; `None` if it leads nowhere.
#[must_use]
pub(super) fn locate(text: &str, path: &[Segment], target: Target) -> Option<Position> {
    let error = Seek { path, target }.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    error.to_string().contains(FOUND).then(|| position_of(&error)).flatten()
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

/// The library tells a place only with an error. So this walks a path and fails where it ends.
struct Seek<'p> {
    path: &'p [Segment],
    target: Target,
}

const FOUND: &str = "\u{1}found\u{1}";

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(FOUND)
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar()
    }
    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return Err(A::Error::custom(FOUND)) };
        let mut index = 0;
        loop {
            let more = if *first == Segment::Index(index) {
                items.next_element_seed(Seek { path: rest, target: self.target })?
            } else {
                items.next_element::<IgnoredAny>()?.map(|_| ())
            };
            if more.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return Err(A::Error::custom(FOUND)) };
        let Segment::Key(wanted) = first else { return skip(entries) };
        let mut skipped = match self.target {
            Target::Key { occurrence } if rest.is_empty() => occurrence,
            _ => 0,
        };
        let stop_at_key = rest.is_empty() && self.target != Target::Value;
        loop {
            let key = Key { wanted, stop: stop_at_key && skipped == 0 };
            let Some(matched) = entries.next_key_seed(key)? else { return Ok(()) };
            if matched && !stop_at_key {
                entries.next_value_seed(Seek { path: rest, target: self.target })?;
            } else {
                skipped -= usize::from(matched);
                entries.next_value::<IgnoredAny>()?;
            }
        }
    }
}

impl Seek<'_> {
    fn scalar<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.path.is_empty() { Err(E::custom(FOUND)) } else { Ok(()) }
    }
}

fn skip<'de, A: MapAccess<'de>>(mut entries: A) -> Result<(), A::Error> {
    while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Reads one key, and fails at it if it is the one that is looked for.
struct Key<'p> {
    wanted: &'p str,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.stop => Err(E::custom(FOUND)),
            matched => Ok(matched),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

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
        assert_eq!(locate(TEXT, &path(dotted), target), Some(Position { line, column }));
    }

    #[test]
    fn a_path_that_leads_nowhere_has_no_place() {
        assert_eq!(locate(TEXT, &path("cases.7.name"), Target::Value), None);
        assert_eq!(locate(TEXT, &path("title.name"), Target::Value), None);
    }

    #[test]
    fn equal_keys_are_found_and_on_stays_a_word() {
        let document = parse(TEXT).expect("YAML");
        assert_eq!(document.duplicates, [(path("cases.1.name"), 1)]);
        assert_eq!(document.value["cases"][0]["kong"]["pg_ssl"], "on");
    }

    #[test]
    fn what_is_no_yaml_has_a_place() {
        let error = parse("title: a\n  b: [").err().expect("an error");
        assert_eq!(error.position.map(|place| place.line), Some(2));
    }
}
