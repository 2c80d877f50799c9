//! Outcomes that many cases have, each told once: how it shows on either stack, and in either edition.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::outcome::Expect;
use super::schema::closest;
use super::template::{call, substitute};

/// What `outcomes.yaml` holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomesFile {
    /// The outcomes by name.
    pub outcomes: IndexMap<String, NamedOutcome>,
}

/// An outcome that many cases have.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedOutcome {
    /// When it is so, and why.
    pub about: String,
    /// Its parameters; the texts name them in braces.
    #[serde(default)]
    pub with: Vec<String>,
    /// What must happen.
    #[schemars(with = "Expect")]
    pub expect: Value,
}

/// The outcomes of a suite.
#[derive(Debug, Default)]
pub(super) struct Outcomes(pub(super) IndexMap<String, NamedOutcome>);

impl Outcomes {
    /// What a name, with its arguments, stands for; or what is wrong with it, and what was expected.
    pub(super) fn resolve(&self, text: &str) -> Result<Expect, (String, String)> {
        let wrong = |message: String| (message, "expected a name of outcomes.yaml with its arguments".to_owned());
        let call = call(text).map_err(wrong)?;
        let name = call.name;
        let outcome = self.0.get(name).ok_or_else(|| {
            let known: Vec<_> = self.0.keys().cloned().collect();
            let help = match closest(name, &known) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("expected `connects` or `refused` below it, or one of {}", known.join(", ")),
            };
            (format!("no outcome is called `{name}`"), help)
        })?;
        let arguments = call.arguments(outcome.with.len()).map_err(|message| {
            let parameters = if outcome.with.is_empty() { "none".into() } else { outcome.with.join(", ") };
            (message, format!("expected {parameters}"))
        })?;
        let value = |parameter: &str| {
            let position = outcome.with.iter().position(|known| known == parameter)?;
            arguments.get(position).map(|argument| (*argument).to_owned())
        };
        let mut expect = outcome.expect.clone();
        fill(&mut expect, &value).map_err(wrong)?;
        serde_json::from_value(expect).map_err(|error| wrong(error.to_string()))
    }
}

/// Puts the arguments into all texts of an outcome.
fn fill(outcome: &mut Value, value: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    match outcome {
        Value::String(text) => *text = substitute(text, value)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, value))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|field| fill(field, value))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}
