use super::*;

fn run(cells: &[(&str, u16, &str, &str, &str)]) -> Run {
    let cells: Vec<_> = cells
        .iter()
        .map(|(case, major, version, verdict, error)| {
            let connected = error.is_empty();
            let error = (!connected).then_some(error);
            serde_json::json!({
                "id": format!("{case}@pg{major}+kong-latest+kong-luasec"), "scenario": "a", "case": case,
                "postgres": { "major": major, "version": version, "openssl": "3.0.19" },
                "client": "kong", "stack": "luasec", "kong": "3.15-enterprise", "verdict": verdict, "reason": null,
                "observed": { "connected": connected, "tls": null, "error": error, "server_log": [] }
            })
        })
        .collect();
    serde_json::from_value(serde_json::json!({ "planned": cells.len(), "cells": cells })).expect("a run")
}

fn changes(old: &Run, new: &Run) -> Vec<(Change, String, String)> {
    let of = |group: Group| (group.change, group.before, group.after);
    Comparison::new(old, new).groups.into_iter().map(of).collect()
}

#[test]
fn a_cell_that_was_good_and_is_not_has_regressed() {
    let old = run(&[("a::x", 15, "15.18", "pass", ""), ("a::y", 15, "15.18", "fail", "closed")]);
    let new = run(&[("a::x", 15, "15.18", "fail", "closed"), ("a::y", 15, "15.18", "pass", "")]);
    let expected = [
        (Change::Regressed, "connects in plaintext".to_owned(), "fail: closed".to_owned()),
        (Change::Fixed, "fail: closed".to_owned(), "connects in plaintext".to_owned()),
    ];
    assert_eq!(changes(&old, &new), expected);
    assert!(Comparison::new(&old, &new).is_worse(false));
}

#[test]
fn what_differs_in_every_run_is_no_change() {
    let error = |folder| {
        format!("SSL_CTX_load_verify_locations(\"/tmp/kong-pg-tls-{folder}/kong/kong-x/.ca_combined\") failed")
    };
    let old = run(&[("a::x", 15, "15.18", "pass", &error("aAbBcC"))]);
    let new = run(&[("a::x", 15, "15.18", "pass", &error("dDeEfF"))]);
    assert_eq!(changes(&old, &new), []);
}

#[test]
fn a_changed_text_is_worse_only_if_asked() {
    let old = run(&[("a::x", 15, "15.18", "pass", "sslv3 alert certificate expired")]);
    let new = run(&[("a::x", 15, "15.18", "pass", "ssl/tls alert certificate expired")]);
    let compared = Comparison::new(&old, &new);
    assert_eq!(compared.groups[0].change, Change::TextChanged);
    assert!(!compared.is_worse(false) && compared.is_worse(true));
}

#[test]
fn runs_on_two_majors_are_compared_across_them_and_say_so() {
    let old = run(&[("a::x", 17, "17.12", "pass", "")]);
    let new = run(&[("a::x", 18, "18.6", "fail", "closed")]);
    let compared = Comparison::new(&old, &new);
    assert_eq!(compared.compared, 1);
    assert_eq!(compared.axes[0].to_string(), "PostgreSQL 17.12 -> 18.6");
}

#[test]
fn an_axis_that_only_the_changed_cells_have_explains_them() {
    let old = run(&[("a::x", 17, "17.12", "pass", ""), ("a::x", 18, "18.6", "pass", "")]);
    let new = run(&[("a::x", 17, "17.12", "pass", ""), ("a::x", 18, "18.7", "fail", "closed")]);
    assert_eq!(Comparison::new(&old, &new).groups[0].only, ["PostgreSQL 18"]);
}

#[test]
fn a_case_that_has_no_meaning_for_a_version_is_counted_and_no_change() {
    let old = run(&[("a::x", 17, "17.12", "unsupported", ""), ("a::y", 17, "17.12", "pass", "")]);
    let new = run(&[("a::x", 18, "18.6", "pass", ""), ("a::y", 18, "18.6", "unsupported", "")]);
    let compared = Comparison::new(&old, &new);
    assert_eq!((compared.compared, compared.groups.len()), (0, 0));
    assert!(compared.summary().ends_with("; not applicable: 1 to PostgreSQL 17.12, 1 to PostgreSQL 18.6"));
    let new = run(&[("a::x", 18, "18.6", "fail", "closed")]);
    assert!(Comparison::new(&old, &new).is_worse(false), "one that fails is seen");
}

#[test]
fn cells_that_change_alike_are_one_group_whatever_they_are_about() {
    let text = |word, user| format!("FATAL: {word} for user \"{user}\"");
    let old =
        run(&[("a::x", 15, "15.18", "pass", &text("none", "a")), ("a::y", 15, "15.18", "pass", &text("none", "b"))]);
    let new = run(&[("a::x", 15, "15.18", "pass", &text("no", "a")), ("a::y", 15, "15.18", "pass", &text("no", "b"))]);
    let compared = Comparison::new(&old, &new);
    assert_eq!((compared.groups.len(), compared.groups[0].cells.len()), (1, 2));
}

#[test]
fn parts_of_one_run_are_compared_where_most_cases_have_several_values() {
    let both = run(&[
        ("a::x", 17, "17.12", "pass", ""),
        ("a::x", 18, "18.6", "fail", "closed"),
        ("a::y", 17, "17.12", "pass", ""),
        ("a::y", 18, "18.6", "pass", ""),
        ("a::y", 13, "13.23", "pass", ""),
    ]);
    let parts = both.comparisons();
    let [Parts { axis: Axis::Postgres, before, after, comparison }] = &parts[..] else { panic!("one: {parts:#?}") };
    assert_eq!((before.as_str(), after.as_str(), comparison.compared), ("17", "18", 2));
    assert_eq!(comparison.changed().collect::<Vec<_>>(), [("a::x@pg18+kong-latest+kong-luasec", Change::Regressed)]);
    let error = both.part(Axis::Postgres, "14").expect_err("no such major");
    assert_eq!(error.to_string(), "no cell of the run is of PostgreSQL 14; it has 17, 18, 13");
    assert_eq!(both.part(Axis::Kong, "3.15").map(|part| part.cells.len()), Ok(5), "the only edition of 3.15");
}

#[test]
fn new_and_gone_cells_are_not_regressions() {
    let old = run(&[("a::x", 15, "15.18", "pass", "")]);
    let new = run(&[("a::y", 15, "15.18", "pass", "")]);
    let compared = Comparison::new(&old, &new);
    let kinds: Vec<_> = compared.groups.iter().map(|group| group.change).collect();
    assert_eq!(kinds, [Change::New, Change::Gone]);
    assert!(!compared.is_worse(true));
}
