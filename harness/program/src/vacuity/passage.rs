//! The passages of `outcomes.yaml` and `texts.yaml`, each of which can be changed by itself.

use indexmap::IndexMap;
use kong_pg_scenarios::format::{Argument, NamedOutcome, Text, Wording};
use serde_json::Value;

use super::word::{other_value, with_other_word};

/// One value of `outcomes.yaml`, or one line of `texts.yaml`. Where a race decides between texts, they are one passage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Passage {
    /// The outcome or text it is in.
    pub(super) name: String,
    /// The keys that lead to it there: `expect.luasec.refused.kong`, `postgres.13-15.0`.
    pub(super) path: String,
}

/// A passage with what takes its place.
pub(super) struct Change<T> {
    pub(super) passage: Passage,
    /// The outcome or text, in which it is changed.
    pub(super) changed: T,
}

/// Whose value is the name of an outcome.
const NAMING: [&str; 4] = ["expect", "luasec", "cosocket", "oss"];

/// An outcome with each of its passages changed.
pub(super) fn of_outcome(name: &str, outcome: &NamedOutcome) -> Vec<Change<NamedOutcome>> {
    let mut changes = Vec::new();
    let mut add = |path: String, changed| {
        changes.push(Change { passage: Passage { name: name.to_owned(), path }, changed });
    };
    for (path, value) in outcome.expect.iter().flat_map(|expect| changes_of("expect", expect)) {
        add(path, NamedOutcome { expect: Some(value), ..outcome.clone() });
    }
    for (version, expect) in &outcome.in_version {
        for (path, value) in changes_of("expect", expect) {
            let mut other = outcome.clone();
            other.in_version.insert(*version, value);
            add(format!("{} {path}", version.as_str()), other);
        }
    }
    for (argument, default) in &outcome.defaults {
        let mut other = outcome.clone();
        let value = match default {
            Argument::Text(text) => Argument::Text(with_other_word(text)),
            Argument::Number(number) => Argument::Number(number + 1),
        };
        other.defaults.insert(argument.clone(), value);
        add(format!("defaults.{argument}"), other);
    }
    changes
}

/// A value with each of the passages below it changed, and the path to each.
fn changes_of(key: &str, value: &Value) -> Vec<(String, Value)> {
    let own = |changed| vec![(key.to_owned(), changed)];
    let below = |inside: String| format!("{key}.{inside}");
    match value {
        Value::String(_) if NAMING.contains(&key) => Vec::new(),
        Value::String(text) => own(Value::String(other_value(key, text))),
        Value::Array(lines) if lines.is_empty() => own(Value::Array(vec![Value::String(with_other_word(""))])),
        Value::Array(lines) => {
            let changes = lines.iter().enumerate().flat_map(|(index, line)| {
                let with = move |changed| {
                    let mut lines = lines.clone();
                    lines[index] = changed;
                    Value::Array(lines)
                };
                changes_of(&index.to_string(), line).into_iter().map(move |(path, changed)| (path, with(changed)))
            });
            changes.map(|(path, changed)| (below(path), changed)).collect()
        }
        // Which of the texts a run sees is chance: all are changed at once.
        Value::Object(fields) if fields.contains_key("any_of") => own(with_all_changed(value)),
        Value::Object(fields) => {
            let changes = fields.iter().flat_map(|(name, field)| {
                let with = move |changed| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), changed);
                    Value::Object(fields)
                };
                changes_of(name, field).into_iter().map(move |(path, changed)| (path, with(changed)))
            });
            changes.map(|(path, changed)| (below(path), changed)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn with_all_changed(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(with_other_word(text)),
        Value::Array(items) => items.iter().map(with_all_changed).collect(),
        Value::Object(fields) => {
            let field = |(name, field): (&String, &Value)| {
                let changed = if name == "because" { field.clone() } else { with_all_changed(field) };
                (name.clone(), changed)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

type Wordings = IndexMap<String, Wording>;

/// A text with each line of each of its wordings changed.
pub(super) fn of_text(name: &str, text: &Text) -> Vec<Change<Text>> {
    let mut changes = Vec::new();
    let mut add = |software: &str, wordings: &Wordings, with: &dyn Fn(Wordings) -> Text| {
        for (range, wording) in wordings {
            for (line, changed) in changes_of_wording(wording).into_iter().enumerate() {
                let mut wordings = wordings.clone();
                wordings.insert(range.clone(), changed);
                let passage = Passage { name: name.to_owned(), path: format!("{software} {range}, line {}", line + 1) };
                changes.push(Change { passage, changed: with(wordings) });
            }
        }
    };
    if let Some(wordings) = &text.postgres {
        add("PostgreSQL", wordings, &|postgres| Text { postgres: Some(postgres), ..text.clone() });
    }
    if let Some(wordings) = &text.openssl {
        add("OpenSSL", wordings, &|openssl| Text { openssl: Some(openssl), ..text.clone() });
    }
    changes
}

fn changes_of_wording(wording: &Wording) -> Vec<Wording> {
    match wording {
        Wording::Line(line) => vec![Wording::Line(with_other_word(line))],
        Wording::Lines(lines) if lines.is_empty() => vec![Wording::Lines(vec![with_other_word("")])],
        Wording::Lines(lines) => {
            let changed = |index: usize| {
                let mut lines = lines.clone();
                lines[index] = with_other_word(&lines[index]);
                Wording::Lines(lines)
            };
            (0..lines.len()).map(changed).collect()
        }
    }
}
