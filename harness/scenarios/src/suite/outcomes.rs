//! The outcomes of `outcomes.yaml`: a name with arguments to what must happen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::Value;
use thiserror::Error;

use super::arguments::{ArgumentError, bind};
use super::template::{TemplateError, substitute};
use crate::format::{Argument, Arguments, Expect, NamedOutcome, Outcome};
use crate::load::some_of;
use crate::vocabulary::TlsVersion;

/// The outcomes of a suite.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    named: IndexMap<String, NamedOutcome>,
    /// What has been resolved before: thousands of cases share a few hundred.
    resolved: Mutex<HashMap<Use, Arc<Resolved>>>,
}

/// A name, its arguments, and the TLS version of the point.
type Use = (String, Vec<(String, Argument)>, Option<TlsVersion>);

/// The argument that says in which TLS version both stacks speak.
const TLS: &str = "tls";

/// What is wrong with the use of an outcome.
#[derive(Debug, Error)]
pub(super) enum OutcomeError {
    #[error("no outcome is called `{name}`")]
    Unknown { name: String, help: String },
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    #[error("`{of}` is not defined for `tls: {version}`")]
    Version { of: String, version: String, known: String },
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the outcome `{of}` is malformed: {source}")]
    Malformed { of: String, source: serde_json::Error },
}

impl OutcomeError {
    /// What was expected.
    pub(super) fn help(&self) -> String {
        match self {
            Self::Unknown { help, .. } => help.clone(),
            Self::Arguments(error) => error.help(),
            Self::Version { known, .. } => format!("expected one of {known}"),
            Self::Template(_) | Self::Malformed { .. } => "correct the outcome in outcomes.yaml".into(),
        }
    }

    /// The argument that is wrong, if one is.
    pub(super) fn argument(&self) -> Option<&str> {
        match self {
            Self::Arguments(error) => error.surplus(),
            Self::Version { .. } => Some(TLS),
            _ => None,
        }
    }
}

/// What an outcome is in the TLS versions that the two stacks speak.
#[derive(Debug)]
pub(super) enum Resolved {
    /// The same in any, or in the one that was asked for.
    Same(Expect),
    /// Each stack speaks its newest: what happens in TLS 1.2, and what in TLS 1.3.
    Newest { tls_1_2: Expect, tls_1_3: Expect },
}

impl Outcomes {
    pub(super) fn new(named: IndexMap<String, NamedOutcome>) -> Self {
        Self { named, resolved: Mutex::default() }
    }

    /// As they are in `outcomes.yaml`.
    pub(super) fn named(&self) -> &IndexMap<String, NamedOutcome> {
        &self.named
    }

    /// Puts an outcome in the place of the one of this name, which is returned.
    pub(super) fn replace(&mut self, name: &str, outcome: NamedOutcome) -> Option<NamedOutcome> {
        self.resolved = Mutex::default();
        self.named.insert(name.to_owned(), outcome)
    }

    /// What a name with its arguments stands for, where `tls` is the version that both stacks speak, if it is one.
    pub(super) fn resolve(
        &self,
        name: &str,
        arguments: &Arguments,
        tls: Option<TlsVersion>,
    ) -> Result<Arc<Resolved>, OutcomeError> {
        let given = arguments.iter().map(|(name, value)| (name.clone(), value.clone()));
        let key = (name.to_owned(), given.collect(), tls);
        let resolved = || self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = resolved().get(&key) {
            return Ok(known.clone());
        }
        let new = Arc::new(self.resolve_anew(name, arguments, tls)?);
        resolved().insert(key, new.clone());
        Ok(new)
    }

    fn resolve_anew(
        &self,
        name: &str,
        arguments: &Arguments,
        tls: Option<TlsVersion>,
    ) -> Result<Resolved, OutcomeError> {
        let outcome = self.named.get(name).ok_or_else(|| self.unknown(name))?;
        let depends_on_tls = outcome.arguments.iter().any(|argument| argument == TLS);
        let tls = arguments.get(TLS).map(ToString::to_string).or_else(|| tls.map(|tls| tls.as_str().to_owned()));
        let at = |version: &str| at_version(name, outcome, arguments, version);
        match tls {
            _ if !depends_on_tls => Ok(Resolved::Same(at("")?)),
            Some(version) => Ok(Resolved::Same(at(&version)?)),
            None => {
                let (tls_1_2, tls_1_3) = (at(TlsVersion::V1_2.as_str())?, at(TlsVersion::V1_3.as_str())?);
                Ok(Resolved::Newest { tls_1_2, tls_1_3 })
            }
        }
    }

    /// Makes `connects` mean any connection, as in scenarios of the user's, which may be of any TLS version.
    pub(super) fn accept_any_connection(&mut self) {
        let any = NamedOutcome {
            about: "Kong connects.".into(),
            arguments: Vec::new(),
            defaults: Arguments::default(),
            expect: Some(serde_json::json!({ "connects": {} })),
            in_version: IndexMap::new(),
        };
        self.replace("connects", any);
    }

    /// When what is expected happens, and why: of each outcome that is named, what it says about itself.
    pub(super) fn about(&self, expect: &Expect) -> Vec<String> {
        let mut names = Vec::new();
        match expect {
            Expect::Named(name) => names.push(name),
            Expect::Spelled(spelled) => {
                names.extend(spelled.named.keys());
                for outcome in [&spelled.luasec, &spelled.cosocket].into_iter().flatten() {
                    match outcome {
                        Outcome::Named(name) => names.push(name),
                        Outcome::Spelled(spelled) => names.extend(spelled.named.keys()),
                    }
                }
            }
        }
        let mut about: Vec<_> =
            names.into_iter().filter_map(|name| Some(self.named.get(name)?.about.clone())).collect();
        about.dedup();
        about
    }

    fn unknown(&self, name: &str) -> OutcomeError {
        let forms = ["connects", "refused", "hangs", "luasec", "cosocket", "oss"].map(str::to_owned);
        let known: Vec<_> = forms.into_iter().chain(self.named.keys().cloned()).collect();
        OutcomeError::Unknown { name: name.to_owned(), help: some_of(name, &known, "outcomes.yaml has all") }
    }
}

fn at_version(name: &str, outcome: &NamedOutcome, arguments: &Arguments, tls: &str) -> Result<Expect, OutcomeError> {
    let given = arguments.iter().map(|(name, value)| (name.as_str(), value.to_string()));
    let default = |name: &str| match name {
        TLS => Some(tls.to_owned()),
        _ => outcome.defaults.get(name).map(ToString::to_string),
    };
    let values = bind(name, &outcome.arguments, default, given)?;
    let by_version = outcome.in_version.iter().find(|(version, _)| version.as_str() == tls).map(|(_, expect)| expect);
    let mut expect = by_version.or(outcome.expect.as_ref()).cloned().ok_or_else(|| OutcomeError::Version {
        of: name.to_owned(),
        version: tls.to_owned(),
        known: outcome.in_version.keys().map(|version| version.as_str()).collect::<Vec<_>>().join(", "),
    })?;
    fill(&mut expect, &|name| values.get(name).cloned())?;
    serde_json::from_value(expect).map_err(|source| OutcomeError::Malformed { of: name.to_owned(), source })
}

/// Puts the arguments into all texts of an outcome.
fn fill(outcome: &mut Value, value: &dyn Fn(&str) -> Option<String>) -> Result<(), TemplateError> {
    match outcome {
        Value::String(text) => *text = substitute(text, value)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, value))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|field| fill(field, value))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}
