//! `report.html`: everything of a result file in one page that needs no network and no other file.

use indexmap::IndexSet;
use serde_json::{Map, Value, json};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a result file, which is given as `results.json` has it.
#[must_use]
pub fn page(results: &Value) -> String {
    let run = compact(results).to_string();
    // A text in it may hold the end of a script, or the beginning of a comment.
    let run = run.replace("</", "<\\/").replace("<!--", "<\\!--");
    PAGE.replace("{style}", STYLE).replace("{script}", SCRIPT).replace("{run}", &run)
}

/// What of a cell is shown.
const SHOWN: [&str; 18] = [
    "id",
    "scenario",
    "case",
    "place",
    "claims",
    "postgres",
    "runtime",
    "client",
    "stack",
    "kong",
    "verdict",
    "reason",
    "observed",
    "mismatches",
    "remarks",
    "files",
    "duration_ms",
    "instead",
];

/// The results with what is not shown left out, and every longer text once: thousands of cells share their
/// configurations and logs.
fn compact(results: &Value) -> Value {
    let mut texts = IndexSet::new();
    let mut run = results.as_object().cloned().unwrap_or_default();
    let cells: Vec<_> =
        results["cells"].as_array().into_iter().flatten().map(|cell| compact_cell(cell, &mut texts)).collect();
    run.insert("cells".into(), cells.into());
    run.insert("texts".into(), json!(texts));
    run.into()
}

fn compact_cell(cell: &Value, texts: &mut IndexSet<String>) -> Value {
    let mut shown = Map::new();
    for key in SHOWN {
        let value = &cell[key];
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            let value = if key == "id" || key == "verdict" { value.clone() } else { share(value, texts) };
            shown.insert(key.into(), value);
        }
    }
    shown.into()
}

/// The value with its texts replaced by `{"t": number}`; nulls are left out.
fn share(value: &Value, texts: &mut IndexSet<String>) -> Value {
    match value {
        Value::String(text) => json!({ "t": texts.insert_full(text.clone()).0 }),
        Value::Array(items) => items.iter().map(|item| share(item, texts)).collect::<Vec<_>>().into(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, field)| !field.is_null());
            fields.map(|(key, field)| (key.clone(), share(field, texts))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(text: &str, cells: usize) -> Value {
        let cell = |number: usize| {
            json!({
                "id": format!("a::case-{number}@pg17+kong-latest+kong-luasec"), "scenario": "a", "case": "a case",
                "claims": ["a/claim"], "postgres": { "major": 17, "version": "17.5", "openssl": null }, "runtime": "local",
                "client": "kong", "stack": "luasec", "kong": "3.15-enterprise", "verdict": "pass", "reason": null,
                "observed": { "connected": false, "error": text, "server_log": [text] }, "mismatches": [], "remarks": [],
                "files": { "kong.conf": "pg_ssl = on\n".repeat(20) }, "duration_ms": 7
            })
        };
        json!({ "planned": cells, "duration_ms": 1, "cells": (0..cells).map(cell).collect::<Vec<_>>() })
    }

    #[test]
    fn no_text_ends_the_script_that_it_is_in() {
        let page = page(&results("</script><script>alert(1)</script><!--", 1));
        assert_eq!(page.matches("</script>").count(), 2, "the page's own two");
        assert!(!page.contains("<!--"));
    }

    #[test]
    fn five_thousand_cells_are_less_than_two_megabytes() {
        let page = page(&results("FATAL:  no pg_hba.conf entry for host", 5000));
        assert!(page.len() < 2_000_000, "{}", page.len());
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = page(&results("x", 1));
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("<link"));
    }
}
