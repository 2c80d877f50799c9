//! `--sarif`: SARIF 2.1.0, for code scanning.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::Report;
use super::super::catalog::{Code, entry};
use super::super::fault::{Fault, Severity};

/// Writes a report as SARIF.
///
/// # Errors
/// It cannot be written.
pub fn write_sarif(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let codes: BTreeSet<_> = report.faults.iter().map(|fault| fault.code).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.into_iter().map(rule).collect::<Vec<_>>(),
            } },
            "results": report.faults.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn level(severity: Severity) -> String {
    severity.to_string()
}

fn rule(code: Code) -> Value {
    let known = entry(code);
    json!({
        "id": code.to_string(),
        "shortDescription": { "text": known.why },
        "help": { "text": known.fix },
        "defaultConfiguration": { "level": level(known.severity) },
        "properties": { "cells": known.cells.iter().map(|proof| proof.case.as_str()).collect::<Vec<_>>() },
    })
}

fn result(fault: &Fault) -> Value {
    let mut location = json!({ "artifactLocation": { "uri": fault.place.file } });
    if let Some(line) = fault.place.line {
        location["region"] = json!({ "startLine": line });
    }
    json!({
        "ruleId": fault.code.to_string(),
        "level": level(fault.severity),
        "message": { "text": format!("{}. {}", fault.what, fault.fix) },
        "locations": [{ "physicalLocation": location }],
    })
}
