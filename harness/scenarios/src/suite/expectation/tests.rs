use serde_json::{Value, json};

use super::*;
use crate::format::NamedOutcome;

/// What an expectation says, with these outcomes defined.
fn checked(expect: Value, outcomes: Value) -> Result<Expectation, Vec<Problem>> {
    let outcomes: IndexMap<String, NamedOutcome> = serde_json::from_value(outcomes).expect("outcomes");
    let expect: Expect = serde_json::from_value(expect).expect("an expectation");
    let vocabulary =
        Vocabulary { texts: &Texts::default(), outcomes: &Outcomes::new(outcomes), tree: &Tree::default(), tls: None };
    check(&expect, vocabulary)
}

fn refused(text: &str) -> Value {
    json!({ "refused": { "stage": "auth", "kong": text, "postgres": [] } })
}

/// `TLSv1.3`, or what Kong says.
fn shown(expected: &Expected) -> String {
    match expected {
        Expected::Connects(connects) => connects.tls.accepted()[0].as_str().to_owned(),
        Expected::Refused { kong, .. } => match kong.text() {
            KongText::One(text) => text.clone(),
            KongText::AnyOf(_) => "any".into(),
        },
        Expected::Hangs { .. } => "hangs".into(),
    }
}

/// LuaSec and cosocket with Enterprise, then with the open-source edition.
fn all(expectation: &Expectation) -> [String; 4] {
    let on = |stack, edition| shown(expectation.on(stack, edition));
    [
        on(Stack::Luasec, Edition::Enterprise),
        on(Stack::Cosocket, Edition::Enterprise),
        on(Stack::Luasec, Edition::Oss),
        on(Stack::Cosocket, Edition::Oss),
    ]
}

fn messages(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.message.as_str()).collect()
}

#[test]
fn one_outcome_is_that_of_both_stacks_and_editions() {
    let expectation = checked(refused("no"), json!({})).expect("an expectation");
    assert_eq!(all(&expectation), ["no"; 4]);
}

#[test]
fn a_stack_and_the_open_source_edition_can_have_their_own() {
    let expect = json!({
        "luasec": { "connects": { "tls": "TLSv1.2" } },
        "cosocket": { "connects": { "tls": "TLSv1.3" } },
        "oss": refused("not here"),
    });
    let expectation = checked(expect, json!({})).expect("an expectation");
    assert_eq!(all(&expectation), ["TLSv1.2", "TLSv1.3", "not here", "not here"]);
}

#[test]
fn an_outcome_that_depends_on_the_version_has_that_of_each_stack() {
    let outcomes = json!({
        "connects newest": {
            "about": "Kong connects.",
            "arguments": ["tls"],
            "expect": { "connects": { "tls": "{tls}" } },
        },
    });
    let expectation = checked(json!("connects newest"), outcomes).expect("an expectation");
    assert_eq!(all(&expectation), ["TLSv1.2", "TLSv1.3", "TLSv1.3", "TLSv1.3"]);
}

#[test]
fn an_expectation_of_one_stack_alone_is_incomplete() {
    let problems = checked(json!({ "luasec": refused("no") }), json!({})).expect_err("nothing about cosockets");
    assert!(!problems.is_empty());
}

#[test]
fn a_refusal_says_either_what_kong_returns_or_what_it_raises() {
    let both = json!({ "refused": { "kong": "a", "raises": "b", "postgres": [] } });
    let neither = json!({ "refused": { "postgres": [] } });
    for expect in [both, neither] {
        assert_eq!(checked(expect, json!({})).expect_err("not one text").len(), 1);
    }
    let raised = json!({ "refused": { "raises": "b", "postgres": [] } });
    let expectation = checked(raised, json!({})).expect("an expectation");
    let Expected::Refused { kong, .. } = expectation.on(Stack::Luasec, Edition::Oss) else { panic!("connects") };
    assert!(kong.is_raised());
}

#[test]
fn unknown_names_are_problems() {
    let outcome = checked(json!("connekts"), json!({})).expect_err("no such outcome");
    assert_eq!(messages(&outcome), ["no outcome is called `connekts`"]);
    let text = checked(refused("{no such text}"), json!({})).expect_err("no such text");
    assert_eq!(messages(&text), ["no text is called `{no such text}`"]);
    let certificate = json!({ "connects": { "tls": "TLSv1.3", "certificate": "server.crt" } });
    assert_eq!(checked(certificate, json!({})).expect_err("no such certificate").len(), 1);
}

#[test]
fn outcomes_that_lead_to_each_other_end() {
    let outcomes = json!({ "a": { "about": "b", "expect": "b" }, "b": { "about": "a", "expect": "a" } });
    assert!(!checked(json!("a"), outcomes).expect_err("a circle").is_empty());
}
