//! The suite against the documents, both ways; and the page of where they are wrong against the suite.
//! `UPDATE_DEVIATIONS=1 cargo test --test claims` writes that page anew.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kong_pg_client::{Edition, Stack};
use kong_pg_tls::report::write_deviations;
use kong_pg_tls::suite::{Expected, Suite};
use kong_pg_tls::vocabulary::Globs;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static SUITE: LazyLock<Suite> = LazyLock::new(suite);

fn suite() -> Suite {
    Suite::of_folder(&root().join("scenarios")).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn every_claim_has_a_case_and_every_case_a_claim_or_a_reason() {
    let coverage = SUITE.coverage();
    let uncovered: Vec<_> =
        coverage.claims.iter().filter(|proof| proof.is_missing()).map(|proof| &proof.claim).collect();
    assert!(uncovered.is_empty(), "no case for {uncovered:?}");
    let unexplained: Vec<_> = coverage.without_reason.iter().map(|case| (&case.id, &case.place)).collect();
    assert!(unexplained.is_empty(), "no claim, no source and no reason for {unexplained:?}");
}

/// Ten claims, each with the points that prove it, as a reader of the documents would name them.
const DECISIVE: [(&str, &[&str]); 10] = [
    (
        "troubleshoot/server/requires-a-valid-client-certificate",
        &["mtls/cert::a-certificate*.none.*", "mtls/clientcert-verify-full::a-certificate.*.none"],
    ),
    (
        "troubleshoot/kong/alert-unknown-ca",
        &["mtls/cert::a-certificate*.{of-another-ca,self-signed,expired,not-yet-valid,with-serverauth-only}.*"],
    ),
    (
        "troubleshoot/server/names-do-not-match",
        &[
            "mtls/cert::a-certificate*.{another-users,the-users-with-a-capital-letter}.*",
            "mtls/clientcert-verify-full::a-certificate.*.{another-users,the-users-with-a-capital-letter}",
        ],
    ),
    ("troubleshoot/server/unsupported-protocol", &["versions/mismatch::*.{tls-1-2,tls-1-3}.*"]),
    ("troubleshoot/kong/unsupported-protocol", &["versions/outdated-server::*.tls-1-2.*"]),
    ("support/no-ssl-connections", &["tls/on-and-off::*.ssl-off.pg_ssl-on.required.*"]),
    ("configure/mtls/clientcert/no-password", &["mtls/clientcert-verify-full::a-certificate.trust.the-users"]),
    ("configure/prerequisites/packages", &["tls/on-and-off::*.ssl-on.pg_ssl-on.*"]),
    (
        "reference/faq/certificate-authentication-failed/fix",
        &["mtls/mapping::*.foo-example-com.{one-name,one-name-in-quotes,two-names}"],
    ),
    ("kong-conf/lua-ssl-verify-depth-default", &["verify/depth::*.the-default", "defaults/lua-ssl-verify-depth::*"]),
];

#[test]
fn a_claim_without_its_decisive_points_is_not_covered() {
    for (claim, globs) in DECISIVE {
        let globs = Globs::new(&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>()).expect("globs");
        let mut suite = suite();
        let missing = |suite: &Suite| {
            let coverage = suite.coverage();
            coverage
                .claims
                .iter()
                .filter(|proof| proof.is_missing())
                .map(|proof| proof.claim.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(missing(&suite), [""; 0]);
        let before = suite.cases().count();
        for scenario in &mut suite.scenarios {
            scenario.cases.retain(|case| !globs.is_match(&case.id));
        }
        let others = suite.cases().count();
        assert!(others < before && others > before * 9 / 10, "{claim}: {others} of {before} cases are left");
        assert!(missing(&suite).contains(&claim.to_owned()), "{claim} is still proved without its decisive points");
    }
}

/// A claim is shown with the verdict `known-deviation` only where the documents are wrong about it, and not about
/// something else that the same case shows.
#[test]
fn a_deviation_belongs_to_the_claim_that_does_not_hold() {
    let case =
        SUITE.cases().find(|case| case.id == "tls/on-and-off::kong-connects.ssl-off.pg_ssl-on.not-required.verifying");
    let case = case.expect("the case in which nothing is verified");
    assert!(case.contradicts("reference/requirements/pg-ssl-verify"));
    assert!(!case.contradicts("reference/requirements/pg-ssl"));
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
    let is_used = |uses: &dyn Fn(&str) -> Vec<String>, name: &str| {
        let uses = uses(name);
        texts.iter().any(|text| uses.iter().any(|used| text.contains(used)))
    };
    // A text stands in braces, with arguments or without; the alerts are named by the argument `alert`.
    let of_text = |name: &str| {
        let alert = name.strip_prefix("alert ").map(|alert| format!("alert: {alert}"));
        let encryption = Some(format!("encryption: {name}"));
        [Some(format!("{{{name}}}")), Some(format!("{{{name} (")), alert, encryption].into_iter().flatten().collect()
    };
    // An outcome is a value or a key, but not where it is defined, two spaces deep.
    let of_outcome = |name: &str| {
        let [value, key] = [format!(": {name}"), format!("{{ {name}: {{")];
        vec![format!("{value}\n"), format!("{value} }}"), format!("{value},"), key, format!("    {name}:")]
    };
    let [text_names, outcome_names] = [names("texts.yaml"), names("outcomes.yaml")];
    assert!(text_names.len() > 20 && outcome_names.len() > 20);
    let unused_texts = text_names.iter().filter(|name| !is_used(&of_text, name));
    let unused_outcomes = outcome_names.iter().filter(|name| !is_used(&of_outcome, name));
    assert_eq!(unused_texts.chain(unused_outcomes).collect::<Vec<_>>(), [""; 0]);
}
