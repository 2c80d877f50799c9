//! The tables of docs/trophies.md are what the cells that they name do, as every Kong release.
//! `UPDATE_DOCS=1 cargo test --test integration trophies::` writes them anew.

use std::collections::BTreeMap;
use std::path::Path;

use globset::Glob;
use kong_pg_scenarios::suite::Suite;
use serde_json::Value;

use crate::documents;
use crate::place::Place;

const BEGIN: &str = "<!-- cells: ";
const END: &str = "<!-- end -->";

/// A release as it is sorted: edition, version, name.
type Release = (String, Vec<u32>, String);

fn release(name: &str) -> Release {
    let (version, edition) = name.rsplit_once('-').expect("VERSION-EDITION");
    let numbers = version.split('.').map(|part| part.parse().unwrap_or_default()).collect();
    (edition.to_owned(), numbers, name.to_owned())
}

/// What happened in a cell, in the words of Kong or of the server. Where a race decides between texts, the first of them.
fn happened(cell: &Value) -> String {
    let observed = &cell["observed"];
    if let Some(error) = observed["error"].as_str() {
        let prefix = "[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: ";
        let accepted = &cell["expected"]["outcome"]["refused"]["kong"][0];
        return match (cell["race"].as_str(), accepted.as_str()) {
            (Some(_), Some(text)) => format!("`{text}`, or a text of the lost connection"),
            _ => format!("`{}`", error.replace(prefix, "")),
        };
    }
    let tls = &observed["tls"];
    let version = tls["version"].as_str().map_or("in plaintext".to_owned(), |version| format!("in {version}"));
    let subject = tls["client_dn"].as_str().map_or(String::new(), |subject| format!(" as {subject}"));
    format!("connects {version}{subject}")
}

/// Releases, those that follow each other in one range: `3.0-oss to 3.9-oss`.
fn ranges(of: &[&Release], all: &[Release]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for place in all.iter().enumerate().filter(|(_, one)| of.contains(one)).map(|(place, _)| place) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == place && all[*last].0 == all[place].0 => *last = place,
            _ => ranges.push((place, place)),
        }
    }
    let named = ranges.into_iter().map(|(first, last)| match (&all[first].2, &all[last].2) {
        (first, last) if first == last => first.clone(),
        (first, last) => format!("{first} to {last}"),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// The table of the cells that a glob matches.
fn table(glob: &str, cells: &[Value]) -> String {
    let glob = Glob::new(glob).expect("a glob").compile_matcher();
    let case = |cell: &Value| cell["id"].as_str().and_then(|id| id.split('@').next()).unwrap_or_default().to_owned();
    let mut by_release: BTreeMap<(String, Release), BTreeMap<String, String>> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| glob.is_match(case(cell)) && cell["observed"].is_object()) {
        let release = release(cell["release"].as_str().expect("a release"));
        let stack = cell["stack"].as_str().expect("a stack").to_owned();
        assert_ne!(cell["verdict"], "fail", "{}", cell["id"]);
        by_release.entry((case(cell), release)).or_default().insert(stack, happened(cell));
    }
    assert!(!by_release.is_empty(), "no cell ran");
    // A range is one of releases that all ran.
    let mut all: Vec<Release> = cells.iter().filter_map(|cell| Some(release(cell["release"].as_str()?))).collect();
    all.sort();
    all.dedup();
    let mut rows: Vec<(String, &BTreeMap<String, String>, Vec<&Release>)> = Vec::new();
    for ((case, release), did) in &by_release {
        match rows.iter_mut().find(|(other, same, _)| other == case && *same == did) {
            Some((.., releases)) => releases.push(release),
            None => rows.push((case.clone(), did, vec![release])),
        }
    }
    let mut text = String::from("| case | Kong | LuaSec | cosocket |\n|---|---|---|---|\n");
    for (case, did, releases) in rows {
        let of = |stack: &str| did.get(stack).cloned().unwrap_or_else(|| "does not apply".to_owned());
        let (luasec, cosocket) = (of("luasec"), of("cosocket"));
        text.extend(["| `", &case, "` | ", &ranges(&releases, &all), " | ", &luasec, " | ", &cosocket, " |\n"]);
    }
    text
}

#[test]
fn the_tables_show_what_each_release_does() {
    let document = documents::read("trophies.md");
    let globs: Vec<_> =
        document.split(BEGIN).skip(1).map(|block| block.split(" -->").next().expect("a glob")).collect();
    let place = Place::new();
    let mut arguments =
        vec!["run", "--kong", "all,pgmoon-kong-1.21.4", "--quiet", "--no-remarks", "--results", "results"];
    arguments.extend(&globs);
    let status = place.program(&arguments).status().expect("the program");
    assert!(status.success(), "{status}");
    let results = std::fs::read_to_string(place.path().join("results/results.json")).expect("results");
    let results: Value = serde_json::from_str(&results).expect("JSON");
    let cells = results["cells"].as_array().expect("cells");
    let mut blocks = document.split(BEGIN);
    let mut made = blocks.next().expect("a beginning").to_owned();
    for (block, glob) in blocks.zip(&globs) {
        let (_, rest) = block.split_once(END).expect("an end of the block");
        made.extend([BEGIN, glob, " -->\n\n", &table(glob, cells), "\n", END, rest]);
    }
    documents::check_whole("trophies.md", &made);
}

/// What is reported is what a case of the suite proves.
#[test]
fn every_case_in_a_report_to_kong_is_one_of_the_suite_and_contradicts_the_documents() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let suite = Suite::of_folder(&root.join("scenarios")).unwrap_or_else(|faults| panic!("{faults:?}"));
    let text = std::fs::read_to_string(root.join("docs/upstream/kong-documentation.md")).expect("a file");
    let reports: Vec<_> = text.split("\n## ").skip(1).collect();
    for report in &reports {
        let line = report.lines().find_map(|line| line.strip_prefix("- Proved by: ")).expect("cells");
        let ids: Vec<_> = line.split(", ").map(|id| id.trim_matches('`')).collect();
        let cases = ids.iter().map(|id| suite.cases().find(|case| case.id == *id).unwrap_or_else(|| panic!("no {id}")));
        let proves = cases.into_iter().any(|case| case.documented.iter().any(|entry| entry.says.is_some()));
        assert!(proves, "no deviation in {ids:?}");
    }
    assert!(reports.len() >= 12, "{} reports", reports.len());
}
