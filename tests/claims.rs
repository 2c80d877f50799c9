//! The suite against the documents, both ways; and the page of where they are wrong against the suite.
//! `UPDATE_DEVIATIONS=1 cargo test --test claims` writes that page anew.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kong_pg_client::{Edition, Stack};
use kong_pg_tls::report::write_deviations;
use kong_pg_tls::scenario::{Expected, Suite};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static SUITE: LazyLock<Suite> =
    LazyLock::new(|| Suite::of_folder(&root().join("scenarios")).unwrap_or_else(|faults| panic!("{faults:?}")));

#[test]
fn every_claim_has_a_case_and_every_case_a_claim_or_a_reason() {
    let coverage = SUITE.coverage();
    let uncovered: Vec<_> = coverage.claims.iter().filter(|(_, cases)| cases.is_empty()).map(|(id, _)| id).collect();
    assert!(uncovered.is_empty(), "no case for {uncovered:?}");
    let unexplained: Vec<_> = coverage.without_reason.iter().map(|case| (&case.id, &case.place)).collect();
    assert!(unexplained.is_empty(), "no claim, no thread and no reason for {unexplained:?}");
}

#[test]
fn the_page_of_deviations_is_that_of_the_suite() {
    let path = root().join("docs/deviations.md");
    let mut page = Vec::new();
    write_deviations(&mut page, &SUITE).expect("memory takes it");
    if std::env::var_os("UPDATE_DEVIATIONS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let found = std::fs::read(&path).unwrap_or_default();
    assert!(found == page, "docs/deviations.md is out of date: UPDATE_DEVIATIONS=1 cargo test --test claims");
}

/// A refusal that does not say how far Kong came would hold for one that ends somewhere else.
#[test]
fn every_refusal_says_how_far_kong_comes() {
    let vague = SUITE.cases().filter(|case| {
        let expectations = case.steps.iter().filter_map(|step| step.expect.as_ref());
        let mut expected = expectations.flat_map(|expectation| {
            [Edition::Enterprise, Edition::Oss]
                .map(|edition| [Stack::Luasec, Stack::Cosocket].map(|stack| expectation.on(stack, edition)))
                .concat()
        });
        expected.any(|expected| matches!(expected, Expected::Refused { stage: None, .. }))
    });
    let vague: Vec<_> = vague.map(|case| (&case.id, &case.place)).collect();
    assert!(vague.is_empty(), "no stage in {vague:?}");
}

/// The names at the second level of a file of the suite's vocabulary.
fn names(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("scenarios").join(file)).expect("a file");
    let name = |line: &str| {
        let name = line.strip_prefix("  ")?.strip_suffix(':')?;
        name.starts_with(char::is_alphabetic).then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

fn yaml_files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { yaml_files(path) } else { vec![path] }).collect()
}

#[test]
fn every_text_and_every_outcome_is_used() {
    let files = yaml_files(root().join("scenarios"));
    let texts: Vec<_> = files.iter().map(|path| std::fs::read_to_string(path).expect("a file")).collect();
    let names: Vec<_> = names("texts.yaml").into_iter().chain(names("outcomes.yaml")).collect();
    assert!(names.len() > 30, "{names:?}");
    // Once where it is defined.
    let unused = names.iter().filter(|name| texts.iter().map(|text| text.matches(&***name).count()).sum::<usize>() < 2);
    assert_eq!(unused.collect::<Vec<_>>(), [""; 0]);
}
