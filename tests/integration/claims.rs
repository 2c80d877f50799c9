//! The suite against the documents, both ways; and the page of where they are wrong against the suite.
//! `UPDATE_DEVIATIONS=1 cargo test --test integration claims::` rewrites that page.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kong_pg_client::{Edition, Stack};
use kong_pg_scenarios::suite::{Expected, Suite};
use kong_pg_scenarios::vocabulary::{ClientKind, Globs};
use kong_pg_tls::report::write_deviations;

use crate::place::Place;

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

/// Claims, each with the points that prove it, as a reader of the documents would name them.
const DECISIVE: [(&str, &[&str]); 13] = [
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
    (
        "support/no-ssl-connections",
        &["tls/on-and-off::*.ssl-off.pg_ssl-on.required.*", "support/solutions::ssl-on-for-a-kong-that-requires-tls"],
    ),
    ("configure/mtls/clientcert/no-password", &["mtls/clientcert-verify-full::a-certificate.trust.the-users"]),
    ("configure/prerequisites/packages", &["tls/on-and-off::*.ssl-on.pg_ssl-on.*"]),
    (
        "reference/faq/certificate-authentication-failed/fix",
        &["mtls/mapping::*.foo-example-com.{one-name,one-name-in-quotes,two-names}"],
    ),
    ("kong-conf/lua-ssl-verify-depth-default", &["verify/depth::*.the-default", "defaults/lua-ssl-verify-depth::*"]),
    ("configure/recipe/key-mode", &["guide/key-mode::*", "start/keys::at-the-start-a-key.of-the-database-user-0600"]),
    (
        "kong-conf/comments",
        &["kong-conf/text::a-password-that-begins-with-a-number-sign", "kong-conf/environment::*-a-number-sign"],
    ),
    ("support/pg-ssl-version", &["versions/settings::a-release-whose-default-is-tlsv1*", "support/pg-ssl-version::*"]),
];

#[test]
fn a_claim_without_its_decisive_points_is_not_covered() {
    let mut suite = suite();
    let uncovered = |suite: &Suite| {
        let coverage = suite.coverage();
        let missing = coverage.claims.iter().filter(|proof| proof.is_missing());
        missing.map(|proof| proof.claim.clone()).collect::<Vec<_>>()
    };
    assert_eq!(uncovered(&suite), [""; 0]);
    let whole: Vec<_> = suite.scenarios.iter().map(|scenario| scenario.cases.clone()).collect();
    let before = suite.cases().count();
    for (claim, globs) in DECISIVE {
        let globs = Globs::new(&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>()).expect("globs");
        for (scenario, cases) in suite.scenarios.iter_mut().zip(&whole) {
            scenario.cases = cases.iter().filter(|case| !globs.is_match(&case.id)).cloned().collect();
        }
        let others = suite.cases().count();
        assert!(others < before && others > before * 9 / 10, "{claim}: {others} of {before} cases are left");
        assert!(uncovered(&suite).contains(&claim.to_owned()), "{claim} is still proved without its decisive points");
    }
}

/// A document that has changed would go unnoticed, and so would a claim in a file that nobody compares.
#[test]
fn every_document_has_the_files_that_were_read_and_every_claim_one_of_them() {
    for (name, document) in &SUITE.claims.documents {
        assert!(!document.files.is_empty(), "no file of {name} is recorded");
        let vague = document.claims.iter().filter(|(_, claim)| claim.file.is_none() && document.files.len() > 1);
        assert_eq!(vague.map(|(rest, _)| rest).collect::<Vec<_>>(), [""; 0], "which file of {name} says that?");
        let unused = document.files.keys().filter(|file| {
            document.files.len() > 1 && !document.claims.values().any(|claim| claim.file.as_ref() == Some(file))
        });
        assert_eq!(unused.collect::<Vec<_>>(), [""; 0], "no claim of {name} rests on it");
    }
}

/// What the suite can try by itself needs nothing: a claim that names a need has only cases that a real Kong runs.
#[test]
fn a_claim_that_needs_something_has_no_case_that_runs_without_it() {
    let coverage = SUITE.coverage();
    let mut tried = 0;
    for proof in coverage.claims.iter().filter(|proof| proof.needs.is_some()) {
        for case in &proof.cases {
            let clients = case.only.as_ref().map(|only| only.clients.as_slice()).unwrap_or_default();
            assert_eq!(clients, [ClientKind::KongImage], "{} proves {}", case.id, proof.claim);
            tried += 1;
        }
    }
    assert!(tried > 0, "no claim waits for an image");
}

const DOCUMENT: &str = "\
documents:
  guide:
    title: A guide
    source: here
    files:
      tls: { repository: owner/name, commit: 0123456789abcdef0123456789abcdef01234567, path: docs/tls.md, sha256: DIGEST }
      other: { repository: owner/name, commit: 0123456789abcdef0123456789abcdef01234567, path: docs/other.md, sha256: OTHER }
    claims:
      on: { under: TLS, says: ssl = on enables TLS., file: tls }
      off: { under: Others, says: ssl = off disables it., file: other }
";

/// Whether a file of a document is as it was read, by what the program prints and how it ends.
#[test]
fn a_document_that_has_changed_is_noticed() {
    let place = Place::new();
    let folder = place.path().join("suite");
    std::fs::create_dir_all(folder.join("docs")).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_string_lossy().into_owned()
    };
    let digest: String = openssl::sha::sha256(b"ssl = on\n").iter().map(|byte| format!("{byte:02x}")).collect();
    write("claims.yaml", &DOCUMENT.replace("DIGEST", &digest).replace("OTHER", &"0".repeat(64)));
    let check = |files: &[&str]| {
        let suite = folder.to_string_lossy().into_owned();
        place.run(&[&["claims", "--scenarios", &suite, "--check"], files].concat())
    };

    let same = write("a-copy.md", "ssl = on\n");
    let output = check(&[&same]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert_eq!(output.stdout, format!("{same}: unchanged, it is docs/tls.md of owner/name at 0123456\n"));

    let changed = write("docs/tls.md", "ssl = off\n");
    let output = check(&[&same, &changed]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(output.stdout.contains(&format!("{changed}: changed since docs/tls.md of owner/name")), "{output:#?}");
    assert!(output.stdout.contains("  guide/on (TLS)\n    ssl = on enables TLS.\n"), "{output:#?}");
    assert!(!output.stdout.contains("guide/off"), "{output:#?}");

    let unknown = write("docs/new.md", "?");
    let output = check(&[&changed, &unknown]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stdout.contains("guide/on") && output.stderr.contains("  docs/other.md"), "{output:#?}");
    let output = check(&["/nowhere.md"]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains("/nowhere.md cannot be read: "), "{output:#?}");
}

/// Scenarios, each with a claim that all its points prove. Any other claim of a scenario with several points is bound to
/// those that prove it.
const PROVED_EVERYWHERE: [(&str, &str); 12] = [
    ("between/stuffing", "configure/advantages/authentication-of-the-server"),
    ("between/tampering", "configure/advantages/integrity"),
    ("defaults/lua-ssl-trusted-certificate", "reference/requirements/lua-ssl-trusted-certificate"),
    ("defaults/lua-ssl-verify-depth", "kong-conf/lua-ssl-verify-depth-default"),
    ("guide/key-mode", "configure/recipe/key-mode"),
    ("kong-conf/environment", "kong-conf/environment"),
    ("kong-conf/pg-ssl-verify", "kong-conf/boolean"),
    ("kong-conf/pg-ssl", "kong-conf/boolean"),
    ("mtls/paths", "kong-conf/pg-ssl-cert-absolute"),
    ("rotation/running-kong", "reloads/read-once"),
    ("tls/required-settings", "reference/requirements/required-for"),
    ("versions/supported-majors", "third-party/majors"),
];

#[test]
fn a_claim_is_bound_to_the_points_that_prove_it() {
    let mut everywhere = Vec::new();
    for scenario in SUITE.scenarios.iter().filter(|scenario| scenario.cases.len() > 1) {
        let claims = scenario.cases.iter().map(|case| case.claims.iter().collect::<BTreeSet<_>>());
        let in_all = claims.reduce(|one, other| &one & &other).unwrap_or_default();
        everywhere.extend(in_all.into_iter().map(|claim| (scenario.id.as_str(), claim.as_str())));
    }
    assert_eq!(everywhere, PROVED_EVERYWHERE, "bind the claim to the points that prove it, or add it to the list");
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
    assert!(
        found == page,
        "docs/deviations.md is out of date: UPDATE_DEVIATIONS=1 cargo test --test integration claims::"
    );
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
