//! The JSON Schema made from a file's type finds everything that is wrong with the structure, at once and each with its
//! place; what it lets through deserializes.

use std::marker::PhantomData;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::hints::some_of;
use super::path::{Position, Problem, Segment, Target};
use super::source::{Fault, Source};
use super::yaml::{self, keep_as_written};
use crate::vocabulary::{OpensslRange, OpensslReleases, PostgresRange};

/// The JSON Schema of a type, as editors read it.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

/// Reads a file into its type.
pub(crate) fn read<T: DeserializeOwned + JsonSchema>(source: &Source) -> Result<T, Vec<Fault>> {
    Format::<T>::new().read(source)
}

/// The format of a kind of file, ready to check many of them.
pub(crate) struct Format<T> {
    schema: Schema,
    validator: Validator,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned + JsonSchema> Format<T> {
    pub(crate) fn new() -> Self {
        let schema = schema_of::<T>();
        let validator = jsonschema::options()
            .with_format("postgres-range", |text: &str| text.parse::<PostgresRange>().is_ok())
            .with_format("openssl-range", |text: &str| text.parse::<OpensslRange>().is_ok())
            .with_format("openssl-releases", |text: &str| text.parse::<OpensslReleases>().is_ok())
            .should_validate_formats(true)
            .build(schema.as_value())
            .expect("schemars makes valid schemas");
        Self { schema, validator, of: PhantomData }
    }

    /// Reads a file.
    pub(crate) fn read(&self, source: &Source) -> Result<T, Vec<Fault>> {
        let mut document = yaml::parse(&source.text).map_err(|error| vec![syntax_fault(source, &error)])?;
        if let Some(marked) = source.marked() {
            keep_as_written(&mut document.value, marked, false);
        }
        let mut checker = Checker { schema: self.schema.as_value(), problems: Vec::new() };
        for (path, occurrence) in document.duplicates {
            let message = format!("the key `{}` is here twice", path.last().map(show).unwrap_or_default());
            let target = Target::Key { occurrence };
            checker.problems.push(Problem { path, target, message, help: "keep one of the two".into() });
        }
        if document.value.is_null() {
            let help = format!("expected a mapping with the keys {}", checker.required().join(", "));
            checker.problems.push(Problem::value(Vec::new(), "the file is empty", help));
        } else {
            for error in self.validator.iter_errors(&document.value) {
                checker.tell(&error, &document.value);
            }
        }
        if !checker.problems.is_empty() {
            return Err(checker.problems.into_iter().map(|problem| source.fault(problem)).collect());
        }
        serde_json::from_value(document.value).map_err(|error| {
            let problem = Problem::value(
                Vec::new(),
                format!("passes its schema, but: {error}"),
                "this is a fault of kong-pg-tls",
            );
            vec![source.fault(problem)]
        })
    }
}

/// Text that is no YAML: the two mistakes that the library's words do not explain, in words that do.
fn syntax_fault(source: &Source, error: &yaml::SyntaxError) -> Fault {
    let position = error.position.unwrap_or(Position::START);
    let line = source.text.lines().nth(position.line - 1).unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start().len()];
    if let Some(column) = indentation.chars().position(|c| c == '\t') {
        let place = Position { column: column + 1, ..position };
        return source.fault_at(place, "the line is indented with a tab".into(), "YAML takes spaces only".into());
    }
    if let Some((place, bracket)) = yaml::unclosed(&source.text, position) {
        let closing = if bracket == '[' { ']' } else { '}' };
        let help = format!("expected a `{closing}` before line {}", position.line + 1);
        return source.fault_at(place, format!("this `{bracket}` is not closed"), help);
    }
    source.fault_at(position, format!("not YAML: {}", error.message), "correct the syntax here".into())
}

struct Checker<'a> {
    schema: &'a Value,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn tell(&mut self, error: &ValidationError<'_>, document: &Value) {
        let path = segments(document, error.instance_path().as_str());
        let found = error.instance();
        let schema_path = error.schema_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = self.known_keys(schema_path);
                for key in unexpected {
                    let path = [&path[..], &[Segment::Key(key.clone())]].concat();
                    let help = some_of(key, &known, "the schema named at the top of the file has all");
                    self.problems.push(Problem::key(path, format!("unknown key `{key}`"), help));
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                self.value(path, format!("`{key}` is missing"), format!("expected the key `{key}` here"));
            }
            ValidationErrorKind::Type { kind } => {
                let expected = expected_types(kind);
                self.value(
                    path,
                    format!("{} where {expected} belongs", describe(found)),
                    format!("expected {expected}"),
                );
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<_> = options.as_array().into_iter().flatten().map(plain).collect();
                let help = format!("expected one of {}", options.join(", "));
                self.value(path, format!("{} is not a possible value here", describe(found)), help);
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                // A form that fits as far as the type goes is the one that was meant: what is wrong is inside it.
                if let Some(meant) = nearest(context, path.len()) {
                    for inner in meant {
                        self.tell(inner, document);
                    }
                } else {
                    let forms = self.forms(schema_path);
                    self.value(path, format!("{} does not belong here", describe(found)), forms);
                }
            }
            ValidationErrorKind::MinItems { limit } => {
                self.value(path, "too few items".into(), format!("expected {limit} or more"));
            }
            ValidationErrorKind::Format { format } => {
                let text = found.as_str().unwrap_or_default();
                let why = match format.as_str() {
                    "openssl-range" => text.parse::<OpensslRange>().err(),
                    "openssl-releases" => text.parse::<OpensslReleases>().err(),
                    _ => text.parse::<PostgresRange>().err(),
                };
                self.value(
                    path,
                    why.map(|error| error.to_string()).unwrap_or_default(),
                    "expected a range like 15, 14+ or 13-15".into(),
                );
            }
            ValidationErrorKind::Pattern { pattern } => {
                let example = self.at(schema_path, 1).and_then(|schema| schema.get("examples")?.get(0)).map(plain);
                let help = example.map_or_else(
                    || format!("expected something that matches {pattern}"),
                    |example| format!("expected something like {example}"),
                );
                self.value(path, format!("{} does not have the right form", describe(found)), help);
            }
            _ => self.value(path, error.to_string(), "see the schema named at the top of the file".into()),
        }
    }

    fn value(&mut self, path: Vec<Segment>, message: String, help: String) {
        self.problems.push(Problem::value(path, message, help));
    }

    fn at(&self, schema_path: &str, up: usize) -> Option<&Value> {
        let mut pointer = schema_path;
        for _ in 0..up {
            pointer = pointer.rsplit_once('/')?.0;
        }
        self.schema.pointer(pointer)
    }

    fn required(&self) -> Vec<String> {
        self.schema.get("required").and_then(Value::as_array).into_iter().flatten().map(plain).collect()
    }

    fn known_keys(&self, schema_path: &str) -> Vec<String> {
        let properties = self.at(schema_path, 1).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        properties.map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    /// What the forms of an untagged type are, in the words of their documentation.
    fn forms(&self, schema_path: &str) -> String {
        let forms = self.at(schema_path, 0).and_then(Value::as_array).into_iter().flatten();
        let keys = ["const", "type", "description"];
        let listed: Vec<_> = forms.filter_map(|form| keys.iter().find_map(|key| form.get(key))).map(plain).collect();
        format!("expected one of {}", listed.join(", "))
    }
}

/// The branch whose faults are deeper than the value itself: the form that was meant.
fn nearest<'c>(context: &'c [Vec<ValidationError<'static>>], depth: usize) -> Option<&'c [ValidationError<'static>]> {
    let is_deeper = |error: &ValidationError<'_>| {
        let path = error.instance_path();
        let of_itself = matches!(error.kind(), ValidationErrorKind::Type { .. } | ValidationErrorKind::Constant { .. });
        path.as_str().matches('/').count() > depth || !of_itself
    };
    context.iter().map(Vec::as_slice).find(|branch| !branch.is_empty() && branch.iter().all(is_deeper))
}

/// A JSON pointer into a document as the path to a value; only the document shows which segments are keys and which are indices.
fn segments(document: &Value, pointer: &str) -> Vec<Segment> {
    let mut value = Some(document);
    let step = |part: &str| {
        let part = part.replace("~1", "/").replace("~0", "~");
        let (segment, next) = match value {
            Some(Value::Array(items)) => {
                let index = part.parse().unwrap_or_default();
                (Segment::Index(index), items.get(index))
            }
            other => (Segment::Key(part.clone()), other.and_then(|value| value.get(&part))),
        };
        value = next;
        segment
    };
    pointer.split('/').skip(1).map(step).collect()
}

fn show(segment: &Segment) -> String {
    match segment {
        Segment::Key(key) => key.clone(),
        Segment::Index(index) => index.to_string(),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => format!("`{}`", plain(value)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" or "),
        other => other.to_string(),
    }
}

fn expected_types(kind: &TypeKind) -> String {
    let name = |kind: JsonType| match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "a boolean",
        JsonType::Integer | JsonType::Number => "a number",
        JsonType::Null => "null",
        JsonType::Object => "a mapping",
        JsonType::String => "a text",
    };
    match kind {
        TypeKind::Single(kind) => name(*kind).into(),
        // That a value may be left out does not help where one is given.
        TypeKind::Multiple(kinds) => {
            kinds.iter().filter(|kind| *kind != JsonType::Null).map(name).collect::<Vec<_>>().join(" or ")
        }
    }
}
