//! The JSON Schemas in the repository are those of the types. `UPDATE_SCHEMAS=1 cargo test --test integration schema::` writes them
//! anew.

use std::path::Path;

use kong_pg_scenarios::format::{
    CausesFile, ClaimsFile, DifferencesFile, OutcomesFile, PkiFile, Scenario as ScenarioFile, TextsFile,
};
use kong_pg_scenarios::load::schema_of;
use kong_pg_tls::record::{Entry, Results};
use rstest::rstest;

#[rstest]
#[case("scenario.json", schema_of::<ScenarioFile>())]
#[case("pki.json", schema_of::<PkiFile>())]
#[case("texts.json", schema_of::<TextsFile>())]
#[case("outcomes.json", schema_of::<OutcomesFile>())]
#[case("claims.json", schema_of::<ClaimsFile>())]
#[case("differences.json", schema_of::<DifferencesFile>())]
#[case("causes.json", schema_of::<CausesFile>())]
#[case("results.json", schema_of::<Results>())]
#[case("events.json", schema_of::<Entry>())]
fn the_schema_in_the_repository_is_that_of_the_types(#[case] name: &str, #[case] schema: schemars::Schema) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/schema").join(name);
    let expected = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &expected).expect("the schema can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{name} is out of date: UPDATE_SCHEMAS=1 cargo test --test integration schema::");
}

#[test]
fn every_scenario_file_names_its_schema_for_editors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending = vec![root.join("scenarios")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        let named = text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let schema = path.parent().expect("a folder").join(named.unwrap_or("?"));
        assert!(schema.exists(), "{} does not name its schema in its first line", path.display());
    }
}
