//! From the text of a file to its type. The JSON Schema made from the type finds everything that is wrong with the
//! structure, at once and each with its place; what it lets through deserializes.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::source::{Fault, Source};
use super::yaml::{self, Segment, Target};

/// The JSON Schema of a type, as editors read it.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

/// Reads a file into its type.
pub(super) fn read<T: DeserializeOwned + JsonSchema>(source: &Source) -> Result<T, Vec<Fault>> {
    let mut document = yaml::parse(&source.text).map_err(|error| {
        vec![source.fault_at(error.position, format!("not YAML: {}", error.message), "mend the syntax here".into())]
    })?;
    let mut faults: Vec<_> = document
        .duplicates
        .into_iter()
        .map(|(path, occurrence)| {
            let key = path.last().map(show).unwrap_or_default();
            let message = format!("the key `{key}` is here twice");
            source.fault(&path, Target::Key { occurrence }, message, "keep one of the two".into())
        })
        .collect();
    if let Some(marked) = source.marked() {
        yaml::keep_as_written(&mut document.value, marked, false);
    }
    let schema = schema_of::<T>();
    let checker = Checker { source, schema: schema.as_value() };
    match jsonschema::validator_for(schema.as_value()) {
        Ok(validator) => checker.check(&validator, &document.value, &mut faults),
        Err(error) => faults.push(source.fault_at(None, format!("no schema to check it with: {error}"), BUG.into())),
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    serde_json::from_value(document.value)
        .map_err(|error| vec![source.fault_at(None, format!("passes its schema, but: {error}"), BUG.into())])
}

const BUG: &str = "this is a fault of kong-pg-tls";

struct Checker<'a> {
    source: &'a Source,
    schema: &'a Value,
}

impl Checker<'_> {
    fn check(&self, validator: &Validator, value: &Value, faults: &mut Vec<Fault>) {
        for error in validator.iter_errors(value) {
            self.tell(&error, value, faults);
        }
    }

    fn tell(&self, error: &ValidationError<'_>, document: &Value, faults: &mut Vec<Fault>) {
        let path = segments(document, error.instance_path().as_str());
        let found = error.instance();
        let mut fault = |path: &[Segment], target, message: String, help: String| {
            faults.push(self.source.fault(path, target, message, help));
        };
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.known_keys(error.schema_path().as_str());
                for key in unexpected {
                    let mut path = path.clone();
                    path.push(Segment::Key(key.clone()));
                    let help = match closest(key, &known) {
                        Some(close) => format!("did you mean `{close}`?"),
                        None => format!("expected one of {}", known.join(", ")),
                    };
                    fault(&path, Target::Key { occurrence: 0 }, format!("unknown key `{key}`"), help);
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                fault(&path, Target::Value, format!("`{key}` is missing"), format!("expected the key `{key}` here"));
            }
            ValidationErrorKind::Type { kind } => {
                let message = format!("{} where {} belongs", describe(found), expected_types(kind));
                fault(&path, Target::Value, message, format!("expected {}", expected_types(kind)));
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<_> = options.as_array().into_iter().flatten().map(plain).collect();
                let message = format!("{} is not a possible value here", describe(found));
                fault(&path, Target::Value, message, format!("expected one of {}", options.join(", ")));
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                // A form that fits as far as the type goes is the one that was meant: what is wrong is inside it.
                if let Some(meant) = nearest(context, path.len()) {
                    for inner in meant {
                        self.tell(inner, document, faults);
                    }
                } else {
                    let forms = self.forms(error.schema_path().as_str());
                    fault(&path, Target::Value, format!("{} does not belong here", describe(found)), forms);
                }
            }
            ValidationErrorKind::MinItems { limit } => {
                fault(&path, Target::Value, "too few items".into(), format!("expected {limit} or more"));
            }
            ValidationErrorKind::Pattern { pattern } => {
                let message = format!("{} does not have the right form", describe(found));
                fault(&path, Target::Value, message, format!("expected something that matches {pattern}"));
            }
            _ => fault(&path, Target::Value, error.to_string(), "see the schema named at the top of the file".into()),
        }
    }

    fn at(&self, schema_path: &str, up: usize) -> Option<&Value> {
        let mut pointer = schema_path;
        for _ in 0..up {
            pointer = pointer.rsplit_once('/')?.0;
        }
        self.schema.pointer(pointer)
    }

    fn known_keys(&self, schema_path: &str) -> Vec<String> {
        let properties = self.at(schema_path, 1).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        properties.map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    /// What the forms of an untagged type are, in the words of their documentation.
    fn forms(&self, schema_path: &str) -> String {
        let forms = self.at(schema_path, 0).and_then(Value::as_array).into_iter().flatten();
        let keys = ["const", "type", "description"];
        let told: Vec<_> = forms.filter_map(|form| keys.iter().find_map(|key| form.get(key))).map(plain).collect();
        format!("expected one of {}", told.join(", "))
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

/// A JSON pointer into a document as the way to a value; only the document tells keys from indices.
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
        // That something may be left out is of no interest to somebody who did not.
        TypeKind::Multiple(kinds) => {
            kinds.iter().filter(|kind| *kind != JsonType::Null).map(name).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// The known key that somebody who wrote another one most likely meant.
pub(super) fn closest<'k>(wrong: &str, known: &'k [String]) -> Option<&'k str> {
    let score = |candidate: &str| strsim::jaro_winkler(wrong, candidate);
    let best = known.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.85).then_some(best.as_str())
}
