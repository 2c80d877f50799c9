//! `report.html`: everything of a result file in one page that needs no network and no other file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use openssl::base64;

use super::reporter::{Report, Reporter, write_file};
use super::results::Results;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a result file. The results are in it compressed, since thousands of cells share their texts; the browser
/// unpacks them.
///
/// # Errors
/// If they cannot be compressed.
pub fn page(results: &Results) -> io::Result<String> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&serde_json::to_vec(results)?)?;
    let packed = base64::encode_block(&packed.finish()?);
    Ok(PAGE.replace("{style}", STYLE).replace("{script}", SCRIPT).replace("{results}", &packed))
}

/// `report.html` in a folder.
pub(super) struct HtmlFile(PathBuf);

impl HtmlFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join("report.html"))
    }
}

impl Reporter for HtmlFile {
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        write_file(&self.0, page(&Results::from(report))?.as_bytes())
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use serde_json::{Value, json};

    use super::*;

    fn results(text: &str, cells: usize) -> Results {
        let cell = |number: usize| {
            json!({
                "id": format!("a::case-{number}@pg17+kong-latest+kong-luasec"), "scenario": "a", "case": "a case",
                "place": "a.yaml:1", "claims": ["a/claim"], "runtime": "local", "client": "kong", "stack": "luasec",
                "postgres": { "major": 17, "version": "17.5", "openssl": null }, "kong": "3.15-enterprise",
                "verdict": "fail", "reason": text, "step": null, "expected": null, "observed": null, "mismatches": [],
                "documented": [], "difference": null, "race": null, "remarks": [],
                "files": { "kong.conf": format!("pg_password = {number}\n").repeat(20) },
                "started": "", "duration_ms": number
            })
        };
        let run = json!({
            "format": 2, "program": "kong-pg-tls", "started": "", "duration_ms": 1, "planned": cells, "complete": true,
            "clients": {}, "cells": (0..cells).map(cell).collect::<Vec<_>>(), "agreement": [], "stale_differences": []
        });
        serde_json::from_value(run).expect("results")
    }

    #[test]
    fn a_page_holds_all_of_the_results_and_no_text_of_them_is_markup() {
        let text = "</script><script>alert(1)</script><!--";
        let page = page(&results(text, 1)).expect("a page");
        assert!(!page.contains(text));
        let packed = page.split_once("id=\"results\">").and_then(|(_, rest)| rest.split_once('<')).expect("results").0;
        let mut unpacked = String::new();
        let packed = base64::decode_block(packed).expect("base64");
        GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).expect("gzip");
        let unpacked: Value = serde_json::from_str(&unpacked).expect("JSON");
        assert_eq!(unpacked["cells"][0]["reason"], text);
    }

    #[test]
    fn five_thousand_cells_are_less_than_two_megabytes() {
        let page = page(&results("FATAL:  no pg_hba.conf entry for host", 5000)).expect("a page");
        assert!(page.len() < 2_000_000, "{}", page.len());
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = page(&results("x", 1)).expect("a page");
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("<link"));
    }
}
