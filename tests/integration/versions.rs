//! New versions: releases of Kong from a file, what an upgrade changes, and the texts of a PostgreSQL major that the suite
//! does not know.

mod new_version;

use std::path::Path;

use kong_pg_scenarios::format::Wording;
use kong_pg_scenarios::suite::{Suite, TextVersion, Texts};
use kong_pg_scenarios::vocabulary::PostgresRange;
use postgres_tls_server::Major;
use rstest::rstest;

use crate::documents;
use crate::place::{Place, ProgramOutput};
use crate::runs_on::runs_on;

/// A release that no build of the program knows: in TLS 1.3 only.
const RELEASE: &str = "\
[sources]
candidate = \"Kong Gateway 3.99.0.0-rc.1, its kong.conf.default, read on 2026-11-24\"

[[release]]
name = \"3.99\"
edition = \"enterprise\"
like = \"3.16-enterprise\"
pg_ssl_version = { is = \"tlsv1_3\", from = \"candidate\" }
";

/// A server of TLS 1.3 only, which tells LuaSec's default apart.
const SCENARIO: &str = "\
title: a scenario
pki: root-only
postgres: { conf: { ssl: on, ssl_min_protocol_version: TLSv1.3 }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_required: on, pg_ssl_verify: on, lua_ssl_trusted_certificate: root.crt }
cases:
  - name: a case
    expect: { connects: { tls: TLSv1.3 } }
";

fn with_release(text: &str) -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path().join("scenarios")).expect("a folder");
    std::fs::write(place.path().join("scenarios/a.yaml"), SCENARIO).expect("a file");
    std::fs::write(place.path().join("3.99.toml"), text).expect("a file");
    place
}

fn run(place: &Place, arguments: &[&str]) -> ProgramOutput {
    let common = ["run", "--scenarios", "scenarios", "--results", "results", "--stack", "luasec"];
    place.run(&[&common, arguments].concat())
}

#[test]
fn a_release_from_a_file_is_run_with_its_own_defaults_and_so_is_the_command_that_repeats_a_cell() {
    let place = with_release(RELEASE);
    let output = run(&place, &["--kong-release", "3.99.toml"]);
    assert_eq!(output.status, Some(0), "the newest is 3.99: {output:#?}");
    let output = run(&place, &["--kong-release", "3.99.toml", "--kong", "3.16,3.99"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    let repeats = output.stdout.lines().find(|line| line.contains("kong-pg-tls run a::")).expect("a command");
    assert!(repeats.contains("--kong-release 3.99.toml --kong 3.16-enterprise"), "{output:#?}");
}

#[test]
fn check_diagnose_and_list_know_a_release_from_a_file() {
    let place = with_release(RELEASE);
    std::fs::write(place.path().join("kong.conf"), "pg_ssl = on\npg_ssl_verify = off\n").expect("a file");
    let newest = ["--kong-release", "3.99.toml"];
    let output = place.run(&[&["check", "kong.conf", "--json"][..], &newest].concat());
    assert!(output.stdout.contains("3.99-enterprise"), "{output:#?}");
    let named = [&newest[..], &["--kong", "3.99"]].concat();
    let output = place.run(&[&["diagnose", "certificate verify failed"][..], &named].concat());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let output = place.run(&[&["list", "tls/on-and-off*"][..], &named].concat());
    assert!(output.stdout.contains("+kong-3.99-enterprise+"), "{output:#?}");
}

#[rstest]
#[case::not_known(&["list", "--kong", "3.99"], "--kong: no Kong release is known as `3.99`")]
#[case::ambiguous(&["list", "--kong", "3.9"], "--kong: `3.9` may be 3.9-oss or 3.9-enterprise")]
#[case::ambiguous_to_diagnose(&["diagnose", "closed", "--kong", "3.9"], "`3.9` may be 3.9-oss or 3.9-enterprise")]
#[case::no_such_file(&["list", "--kong-release", "none.toml"], "cannot read none.toml: No such file")]
#[case::a_folder(&["list", "--kong-release", "."], ". is not a file of releases: it is no regular file")]
#[case::endless(&["diagnose", "closed", "--kong-release", "/dev/zero"], "it is no regular file")]
#[case::a_fault(&["check", "kong.conf", "--kong-release", "bad.toml"], "bad.toml:4:8: no release before this one")]
fn an_invalid_release_is_reported_with_its_place(#[case] arguments: &[&str], #[case] expected: &str) {
    let place = Place::new();
    let text = "[[release]]\nname = '3.99'\nedition = 'oss'\nlike = '3.98-oss'\n";
    std::fs::write(place.path().join("bad.toml"), text).expect("a file");
    let output = place.run(arguments);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(expected), "{output:#?}");
}

/// The texts as they were before a major came, or, for the oldest, without it.
fn texts_without(major: Major) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/texts.yaml");
    let text = std::fs::read_to_string(path).expect("a file");
    let mut file: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    let is_kept = |known: &Major| if major.0 > 13 { *known < major } else { *known > major };
    for (_, text) in file["texts"].as_mapping_mut().expect("texts") {
        let Some(versions) = text.get_mut("postgres").and_then(serde_yaml::Value::as_mapping_mut) else { continue };
        *versions = std::mem::take(versions)
            .into_iter()
            .filter_map(|(range, wording)| {
                let range: PostgresRange = range.as_str().expect("a range").parse().expect("a range");
                let kept: Vec<_> =
                    (13..=30).map(Major).filter(|known| range.contains(*known) && is_kept(known)).collect();
                let (first, last) = (kept.first()?, kept.last()?);
                let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
                Some((range.into(), wording))
            })
            .collect();
    }
    serde_yaml::to_string(&file).expect("YAML")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("a copy");
        }
    }
}

/// A real server is met by a suite that does not know its major.
#[test]
fn the_texts_of_an_unknown_major_are_learned_from_a_run_and_then_it_passes() {
    let major: Major = runs_on().postgres.parse().expect("a major");
    let place = Place::new();
    let scenarios = place.path().join("scenarios");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"), &scenarios);
    std::fs::write(scenarios.join("texts.yaml"), texts_without(major)).expect("a file");
    let cells = ["tls/hba-lines*", "start/*", "reload/*", "passwords/methods*"];
    let run = || place.run(&[&["run", "--scenarios", "scenarios", "--results", "results"][..], &cells].concat());
    let learn = || place.run(&["texts", "--learn", "results", "--scenarios", "scenarios"]);

    let output = run();
    assert_eq!(output.status, Some(100), "{output:#?}");
    let output = learn();
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(output.stdout.contains(&format!("PostgreSQL {major}: measured, PostgreSQL {major}")), "{output:#?}");
    let again = run();
    assert_eq!(again.status, Some(0), "{output:#?} {again:#?}");
    let output = learn();
    assert_eq!(output.status, Some(4), "there is nothing left to learn: {output:#?}");

    let texts = Suite::of_folder(&scenarios).expect("a suite").texts;
    let known = Suite::built_in().expect("a suite").texts;
    let on_major = |texts: &Texts, name: &str| {
        texts.get(name, TextVersion::Postgres(major)).map(Wording::lines).map(<[_]>::to_vec)
    };
    let learned: Vec<_> = known.0.keys().filter(|name| on_major(&texts, name).is_some()).collect();
    assert!(learned.len() > 10, "{learned:?}");
    for name in learned {
        assert_eq!(on_major(&texts, name), on_major(&known, name), "{name}");
    }
}

#[rstest]
#[case::no_results(&["texts", "--learn", "none.json"], "cannot read none.json")]
#[case::something_else(&["texts", "--learn", "texts.yaml"], "is not a result file of this version")]
#[case::a_folder_without(&["texts", "--learn", "."], "cannot read ./results.json")]
#[case::nothing_named(&["texts"], "--learn <RESULTS>")]
fn what_nothing_can_be_learned_from_is_reported(#[case] arguments: &[&str], #[case] expected: &str) {
    let place = Place::new();
    std::fs::write(place.path().join("texts.yaml"), "texts: {}").expect("a file");
    let output = place.run(arguments);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(expected), "{output:#?}");
}

/// The commands run on the major that tests run on, and none of the output depends on it.
#[test]
fn the_document_about_upgrades_shows_what_the_command_prints() {
    let place = Place::new();
    let conf = "pg_host = db.example.com\npg_ssl = on\npg_password = secret\n";
    std::fs::write(place.path().join("kong.conf"), conf).expect("a file");
    let major = &runs_on().postgres;
    let run = |command: &str| {
        let command = command.replace("--postgres 15", &format!("--postgres {major}"));
        let mut shell = documents::shell(&command, place.path());
        shell.env("KONG_PG_TLS_RUNTIME", &runs_on().runtime).env("TMPDIR", place.path().join("tmp"));
        documents::output(shell).replace(&format!("@pg{major}+"), "@pg15+")
    };
    assert!(documents::check("upgrade.md", &run) >= 3);
}

#[test]
fn an_upgrade_that_breaks_the_connection_is_proved_and_a_harmless_one_is_not_reported() {
    let place = Place::new();
    let write = |text: &str| std::fs::write(place.path().join("kong.conf"), text).expect("a file");
    let upgrade = |arguments: &[&str]| {
        let major = &runs_on().postgres;
        let common = ["upgrade", "kong.conf", "--json", "--postgres", major];
        let output = place.run(&[&common, arguments].concat());
        (output.status, serde_json::from_str::<serde_json::Value>(&output.stdout).expect("JSON"))
    };
    write("pg_ssl = on\n");
    let (status, upgraded) = upgrade(&["--from", "3.13", "--to", "3.14"]);
    assert_eq!(status, Some(100), "{upgraded:#}");
    let tried = upgraded["tried"].as_array().expect("attempts");
    let worse = tried.iter().find(|tried| tried["effect"] == "worse" && tried["stack"] == "luasec").expect("one");
    assert_eq!(
        (&worse["before"]["says"], &worse["after"]["says"]),
        (&"connects in TLSv1.2".into(), &"certificate verify failed".into())
    );
    assert!(worse["fix"].as_str().is_some_and(|fix| fix.contains("lua_ssl_trusted_certificate")), "{worse:#}");
    write("pg_ssl = on\npg_ssl_verify = off\n");
    let (status, upgraded) = upgrade(&["--from", "3.13", "--to", "3.14"]);
    assert_eq!(status, Some(0), "{upgraded:#}");
    // A release from a file with another default for LuaSec: a server without TLS 1.3 is lost.
    std::fs::write(place.path().join("3.99.toml"), RELEASE).expect("a file");
    let (status, upgraded) = upgrade(&["--from", "3.14", "--to", "3.99", "--kong-release", "3.99.toml"]);
    assert_eq!(status, Some(100), "{upgraded:#}");
    assert_eq!(place.left(), [""; 0]);
}

#[rstest]
#[case::not_known(&["upgrade", "kong.conf", "--from", "3.13", "--to", "9.9"], "no Kong release is known as `9.9`")]
#[case::ambiguous(&["upgrade", "kong.conf", "--from", "3.9", "--to", "3.14"], "may be 3.9-oss or 3.9-enterprise")]
#[case::no_file(&["upgrade", "none.conf", "--from", "3.13", "--to", "3.14"], "none.conf")]
#[case::a_folder(&["upgrade", ".", "--from", "3.13", "--to", "3.14"], "it is a folder")]
fn an_upgrade_that_cannot_be_examined_is_wrong_usage(#[case] arguments: &[&str], #[case] expected: &str) {
    let place = Place::new();
    std::fs::write(place.path().join("kong.conf"), "pg_ssl = on\n").expect("a file");
    let output = place.run(arguments);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(expected), "{output:#?}");
}

#[test]
fn the_compatibility_matrix_is_made_of_results_and_names_its_cells() {
    let place = Place::new();
    let cases = place.run(&["report", "--matrix-cases"]).stdout;
    let cases: Vec<_> =
        cases.lines().filter(|case| case.starts_with("mtls/cert::") || case.starts_with("tls/")).collect();
    let output = place.run(&[&["run", "--kong", "3.9-oss,3.15", "--results", "results"][..], &cases].concat());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let output = place.run(&["report", "results", "--matrix"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let page = std::fs::read_to_string(place.path().join("results/compatibility.md")).expect("a page");
    let row = |release: &str| page.lines().find(|line| line.starts_with(&format!("| {release} |"))).expect("a row");
    assert!(row("3.9-oss").contains("| yes | yes | no | not run |"), "{page}");
    assert!(row("3.15-enterprise").contains("2027-07-02 | yes | yes | yes | not run |"), "{page}");
    let json = std::fs::read_to_string(place.path().join("results/matrix.json")).expect("a file");
    let matrix: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let entries = matrix["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 12);
    assert!(entries.iter().all(|entry| entry["cell"].as_str().is_some_and(|cell| cell.contains("+kong-"))), "{json}");
    let output = place.run(&["report", "results/junit.xml", "--matrix"]);
    assert_eq!(output.status, Some(2), "{output:#?}");
}
