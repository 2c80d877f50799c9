//! A cell of a run, of which the expectation can be made again from other texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use kong_pg_client::Releases;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{Case, Texts};
use postgres_tls_server::ServerFacts;
use serde_json::Value;

use crate::judge::{Evidence, Expectation, Expected, Verdict, judge};
use crate::record::CellRecord;
use crate::run::unresolved;

/// A cell that passed, with what it was judged by.
pub(super) struct Recorded {
    pub(super) cell: Cell,
    facts: ServerFacts,
    evidence: Evidence,
    /// What each step expects, the values that only the run knew by their names.
    steps: Vec<Option<Expectation>>,
    /// What the record has for each text of the step that was judged.
    resolved: BTreeMap<String, String>,
}

/// What other texts do to a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It fails.
    Fails,
    /// It passes, although it expects something else.
    Passes,
    /// Only a step expects something else whose observation the record does not have.
    NotRecorded,
    /// None.
    None,
}

impl Recorded {
    /// The cell of a record that passed; nothing if it did not, its record has no observation, or its texts are not Kong's.
    ///
    /// # Errors
    /// The id of a cell that these scenarios do not have, or expect something else of.
    pub(super) fn new(
        record: &CellRecord,
        case: Option<&Arc<Case>>,
        releases: &Releases,
        texts: &Texts,
    ) -> Result<Option<Self>, String> {
        let unknown = || record.id.to_string();
        // Clients with words of their own say nothing about texts.
        let is_evidence = record.verdict.is_proof() && record.client.speaks_as_kong();
        let Some(evidence) = record.evidence().filter(|_| is_evidence) else { return Ok(None) };
        let profile = releases.find(&record.kong).map_err(|_| unknown())?;
        let cell = Cell {
            id: record.id.clone(),
            number: record.number,
            case: case.cloned().ok_or_else(unknown)?,
            major: record.postgres.major,
            release: record.release.clone(),
            profile: Arc::new(profile),
            client: record.client,
            stack: record.stack,
        };
        let facts = ServerFacts {
            major: record.postgres.major,
            version: record.postgres.version.clone().unwrap_or_default(),
            openssl: record.postgres.openssl.clone(),
            has_tls: true,
        };
        let steps = expected_of(&cell, &facts, texts);
        let known = evidence.expected.known().zip(steps.get(evidence.step).and_then(Option::as_ref));
        let resolved = known.and_then(|(recorded, unresolved)| {
            let mut resolved = BTreeMap::new();
            pair(&json(unresolved), &json(recorded), &mut resolved).then_some(resolved)
        });
        let resolved = resolved.ok_or_else(unknown)?;
        Ok(Some(Self { cell, facts, evidence, steps, resolved }))
    }

    /// What becomes of the cell with other texts, or as it is in another version of its case.
    pub(super) fn with(&self, case: &Arc<Case>, texts: &Texts) -> Effect {
        let cell = Cell { case: case.clone(), ..self.cell.clone() };
        let steps = expected_of(&cell, &self.facts, texts);
        let judged = self.evidence.step;
        match steps.get(judged) {
            Some(Some(expected)) if self.steps[judged].as_ref() != Some(expected) => self.judged_by(expected),
            _ if steps != self.steps => Effect::NotRecorded,
            _ => Effect::None,
        }
    }

    fn judged_by(&self, expected: &Expectation) -> Effect {
        let mut expected = json(expected);
        resolve(&mut expected, &self.resolved);
        let expected = serde_json::from_value(expected).expect("an expectation stays one with other texts");
        let evidence = Evidence { expected: Expected::Known(expected), ..self.evidence.clone() };
        if judge(&evidence).verdict == Verdict::Fail { Effect::Fails } else { Effect::Passes }
    }
}

fn expected_of(cell: &Cell, facts: &ServerFacts, texts: &Texts) -> Vec<Option<Expectation>> {
    cell.case.steps.iter().map(|step| unresolved(texts, cell, facts, step).ok()).collect()
}

fn json(expectation: &Expectation) -> Value {
    serde_json::to_value(expectation).expect("an expectation is JSON")
}

/// Records which text of one value corresponds to which of the other; `false` if their forms differ.
fn pair(one: &Value, other: &Value, texts: &mut BTreeMap<String, String>) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            let before = texts.insert(one.clone(), other.clone());
            fits(one, other) && before.is_none_or(|before| before == *other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| pair(one, other, texts))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, field)| other.get(key).is_some_and(|other| pair(field, other, texts)))
        }
        (one, other) => one == other,
    }
}

/// Whether a text is another one with values in the place of its `{...}`.
fn fits(unresolved: &str, text: &str) -> bool {
    let mut verbatim = unresolved.split(['{', '}']).step_by(2);
    let Some(mut rest) = verbatim.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let verbatim: Vec<_> = verbatim.collect();
    let Some((last, between)) = verbatim.split_last() else { return rest.is_empty() };
    for part in between {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Puts the texts of the record into a value. One that is not in the record has been changed, and stays as it is.
fn resolve(value: &mut Value, texts: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(resolved) = texts.get(text.as_str()) {
                text.clone_from(resolved);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, texts)),
        Value::Object(fields) => fields.values_mut().for_each(|field| resolve(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_is_not_changed_is_as_in_the_record() {
        let mut texts = BTreeMap::new();
        let (expected, recorded) = (json!(["for {host}", "closed"]), json!(["for 127.0.0.1", "closed"]));
        assert!(pair(&expected, &recorded, &mut texts));
        let mut changed = json!(["for {host}", "otherwise", "otherwise {host}"]);
        resolve(&mut changed, &texts);
        assert_eq!(changed, json!(["for 127.0.0.1", "otherwise", "otherwise {host}"]));
    }

    #[rstest]
    #[case::another_text(json!(["closed"]), json!(["broken pipe"]))]
    #[case::more_text(json!(["closed"]), json!(["closed again"]))]
    #[case::another_text_around_a_value(json!(["for {host}, {datadir}."]), json!(["for 127.0.0.1: /data."]))]
    #[case::another_end_behind_a_value(json!(["for {host}"]), json!(["of 127.0.0.1"]))]
    #[case::another_number_of_lines(json!(["a", "b"]), json!(["a"]))]
    #[case::two_values_of_one_name(json!(["{host}", "{host}"]), json!(["a", "b"]))]
    fn a_record_of_other_scenarios_does_not_fit(#[case] expected: Value, #[case] recorded: Value) {
        assert!(!pair(&expected, &recorded, &mut BTreeMap::new()));
    }
}
