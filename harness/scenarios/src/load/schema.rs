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
///
/// # Errors
/// All that is wrong with the file: its syntax, or where it is not of its type.
pub fn read<T: DeserializeOwned + JsonSchema>(source: &Source) -> Result<T, Vec<Fault>> {
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

/// Text that is no YAML: the common mistakes in plain words, the others in the library's.
fn syntax_fault(source: &Source, error: &yaml::SyntaxError) -> Fault {
    let position = error.position.unwrap_or(Position::START);
    let line = source.text.lines().nth(position.line - 1).unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start().len()];
    if let Some(column) = indentation.chars().position(|c| c == '\t') {
        let place = Position { column: column + 1, ..position };
        return source.fault_at(place, "the line is indented with a tab".into(), "YAML takes spaces only".into());
    }
    // The library does not name the place of what begins with the file.
    let begun = error.context.as_ref().map(|(what, begins)| (what.as_str(), *begins));
    let (scanning, begins) = begun.unwrap_or(("", Position::START));
    if scanning.contains("quoted scalar") {
        let message = "this quotation mark is not closed".into();
        return source.fault_at(begins, message, "expected another one that closes it".into());
    }
    if let Some((place, bracket)) = yaml::unclosed(&source.text, position) {
        let closing = if bracket == '[' { ']' } else { '}' };
        let help = format!("expected a `{closing}` before line {}", position.line + 1);
        return source.fault_at(place, format!("this `{bracket}` is not closed"), help);
    }
    if error.message.contains("more than one document") {
        let second = source.text.lines().skip(1).position(|line| line.starts_with("---")).map_or(1, |index| index + 2);
        let place = Position { line: second, column: 1 };
        return source.fault_at(place, "a second document begins here".into(), "a scenario is one document".into());
    }
    if error.message.starts_with("mapping values are not allowed") {
        let help = "put a text that has a `: ` in quotes, or correct the indentation of the line".into();
        return source.fault_at(position, "a `: ` where no key can be".into(), help);
    }
    if error.message == "unknown anchor" {
        return source.fault_at(position, "nothing has this name".into(), "define it above, with `&` for `*`".into());
    }
    let block = match error.message.as_str() {
        "did not find expected '-' indicator" => Some("list"),
        "did not find expected key" => Some("mapping"),
        _ => None,
    };
    if let Some(block) = block {
        let message = format!("the line does not belong to the {block} that begins at line {}", begins.line);
        return source.fault_at(position, message, "correct its indentation".into());
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
                self.value(path, "the list is too short".into(), format!("expected {limit} or more items"));
            }
            ValidationErrorKind::Format { format } => {
                let text = found.as_str().unwrap_or_default();
                let why = match format.as_str() {
                    "openssl-range" => text.parse::<OpensslRange>().err(),
                    "openssl-releases" => text.parse::<OpensslReleases>().err(),
                    _ => text.parse::<PostgresRange>().err(),
                };
                let of_openssl = format.as_str().starts_with("openssl");
                let example = if of_openssl { "3.0, 3.2+ or 1.1.1-3.5" } else { "15, 14+ or 13-15" };
                let message = why.map(|error| error.to_string()).unwrap_or_default();
                self.value(path, message, format!("expected a range like {example}"));
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

    /// What the forms of a type are: the words that it allows, or the kinds of values.
    fn forms(&self, schema_path: &str) -> String {
        let forms = self.at(schema_path, 0).and_then(Value::as_array).into_iter().flatten();
        let forms: Vec<_> = forms.map(|form| self.resolved(form)).collect();
        let words: Vec<_> = forms.iter().filter_map(|form| form.get("const")).map(plain).collect();
        if !words.is_empty() {
            return format!("expected one of {}", words.join(", "));
        }
        let kinds = forms.iter().filter_map(|form| form.get("type")?.as_str()?.parse().ok());
        let kinds: Vec<_> = kinds.filter(|kind| *kind != JsonType::Null).map(kind_name).collect();
        format!("expected {}", kinds.join(" or "))
    }

    /// The form itself, where it is only referred to.
    fn resolved<'v>(&'v self, form: &'v Value) -> &'v Value {
        let target = form.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(form)
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

fn kind_name(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "a boolean",
        JsonType::Integer | JsonType::Number => "a number",
        JsonType::Null => "null",
        JsonType::Object => "a mapping",
        JsonType::String => "a text",
    }
}

fn expected_types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => kind_name(*kind).into(),
        // That a value may be left out does not help where one is given.
        TypeKind::Multiple(kinds) => {
            kinds.iter().filter(|kind| *kind != JsonType::Null).map(kind_name).collect::<Vec<_>>().join(" or ")
        }
    }
}
