//! Results for tests of what is made of them.

use serde_json::json;

use super::run::{FORMAT, Results, RunRecord};
use crate::record::{CellRecord, RunEnd};
use crate::run::Options;

/// A run of so many cells that is over.
pub(crate) fn run(cells: usize) -> RunRecord {
    let run = json!({
        "format": FORMAT, "program": "kong-pg-tls", "commit": null, "started": "2026-01-01T00:00:00Z",
        "hosts": [], "options": Options::default(),
        "planned": cells, "planned_unsharded": cells, "scenarios": { "a@pg17": cells }, "runtime": "local", "releases": ["3.15-enterprise"],
        "clients": {}, "differences": {}
    });
    serde_json::from_value(run).expect("a run")
}

/// A cell that failed, or did not, for a reason.
pub(crate) fn cell(number: usize, verdict: &str, reason: &str) -> CellRecord {
    let cell = json!({
        "id": format!("a::case-{number}@pg17+kong-latest+kong-luasec"), "number": number, "scenario": "a",
        "case": format!("case {number}"), "place": format!("a.yaml:{number}"), "claims": ["a/claim"],
        "runtime": "local", "client": "kong", "stack": "luasec", "kong": "3.15-enterprise", "release": "latest",
        "postgres": { "major": 17, "version": "17.5", "openssl": null }, "verdict": verdict, "reason": reason,
        "step": null, "expected": null, "observed": null, "mismatches": [], "documented": [], "may_differ": [],
        "difference": null, "race": null, "earlier": [], "remarks": [], "started": "2026-01-01T00:00:01Z", "duration_ms": number,
        "files": { "kong.conf": format!("pg_port = {number}\n").repeat(20) }, "command": "kong-pg-tls run a"
    });
    serde_json::from_value(cell).expect("a cell")
}

/// A run whose cells all failed for one reason.
pub(crate) fn results(reason: &str, cells: usize) -> Results {
    let failed = (0..cells).map(|number| cell(number, "fail", reason)).collect();
    Results::new(run(cells), failed, RunEnd::Finished, 1)
}
