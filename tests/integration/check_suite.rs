//! `check` over the cases of the suite: no errors where Kong connects in TLS, and a fault where the configuration is
//! what keeps it from connecting.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use certificate_trees::Authority;
use globset::Glob;
use kong_pg_client::conf::{FILE_KEYS, file_names, in_base64, variable};
use kong_pg_client::{Edition, Profile, Stack};
use kong_pg_scenarios::format::Tls;
use kong_pg_scenarios::suite::{Case, Expected, PlannedFile, Situation, Suite};
use kong_pg_scenarios::vocabulary::TlsVersion;
use kong_pg_tls::desk::check::fault::{Fault, Severity};
use kong_pg_tls::desk::check::{Kind, Request, check};
use postgres_tls_server::Configuration;
use serde::Deserialize;

/// What `check` cannot know or rightly says of cases, by glob.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    /// Cases that connect although `check` finds errors.
    connects_with_errors: BTreeMap<String, String>,
    /// Cases that are refused although `check` finds nothing.
    refused_without_faults: BTreeMap<String, String>,
}

/// How a case ends on both stacks.
#[derive(Debug, PartialEq, Eq)]
enum End {
    InTls,
    Refused,
    Otherwise,
}

fn end(case: &Case, edition: Edition) -> End {
    let Some(expectation) = case.steps.first().and_then(|step| step.expect.as_ref()) else { return End::Otherwise };
    let of = |stack: &Stack| match expectation.on(*stack, edition) {
        Expected::Connects(connects) if connects.tls != Tls::One(TlsVersion::Off) => End::InTls,
        Expected::Refused { .. } => End::Refused,
        _ => End::Otherwise,
    };
    let mut ends = Stack::ALL.iter().map(of);
    let first = ends.next().unwrap_or(End::Otherwise);
    if ends.all(|other| other == first) { first } else { End::Otherwise }
}

fn write_all(
    authority: &Authority,
    situation: &Situation,
    files: &BTreeMap<String, PlannedFile>,
    folder: &Path,
) -> BTreeMap<String, Vec<u8>> {
    std::fs::create_dir(folder).expect("a folder");
    let tree = authority.tree(&situation.tree);
    let mut contents = BTreeMap::new();
    for (name, planned) in files {
        let path = folder.join(name);
        let content = planned.content(&tree).expect("a certificate");
        let mode = planned.octal_mode(&tree).expect("a mode");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &content).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
        contents.insert(name.clone(), content);
    }
    contents
}

/// What `check` finds in the files of a case's first step.
fn faults(case: &Case, profile: &Profile, authority: &Authority) -> Vec<Fault> {
    let situation = &case.steps[0].situation;
    let place = tempfile::tempdir().expect("a folder");
    let (server, kong) = (place.path().join("server"), place.path().join("kong"));
    write_all(authority, situation, &situation.server.files, &server);
    let files = write_all(authority, situation, &situation.kong.files, &kong);
    // What tells a data directory from another folder.
    std::fs::write(server.join("PG_VERSION"), "18\n").expect("a file");
    let value = |key: &str, value: &str| {
        let entry = |entry: &str| match (in_base64(entry.trim()), file_names(entry).next()) {
            (Some(name), _) => openssl::base64::encode_block(files.get(name).map_or(&[], |content| &content[..])),
            (None, Some(name)) => entry.replace(name, &kong.join(name).to_string_lossy()),
            (None, None) => entry.to_owned(),
        };
        let is_file = FILE_KEYS.iter().any(|file_key| key == *file_key || key == variable(file_key));
        if is_file { value.split(',').map(entry).collect::<Vec<_>>().join(",") } else { value.to_owned() }
    };
    let lines = |settings: &[(String, String)], escaped: bool| -> String {
        let text = |key: &str, text: &str| {
            let text = value(key, text);
            if escaped { text.replace('#', "\\#") } else { text }
        };
        settings.iter().map(|(key, value)| format!("{key} = {}\n", text(key, value))).collect()
    };
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).expect("a file");
        path.to_owned()
    };
    let joined = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let side = &situation.server;
    let configuration = Configuration { conf: side.conf.clone(), ..Configuration::default() };
    let env_files = if situation.kong.environment.is_empty() {
        Vec::new()
    } else {
        let text = lines(&situation.kong.environment, false).replace(" = ", "=");
        vec![write(&place.path().join("kong.env"), &text)]
    };
    let request = Request {
        file: Some(write(&place.path().join("kong.conf"), &lines(&situation.kong.settings, true))),
        kind: Some(Kind::KongConf),
        env_files,
        prefix: None,
        root: None,
        postgresql: Some(write(&server.join("postgresql.conf"), &configuration.postgresql_conf())),
        hba: Some(write(&server.join("pg_hba.conf"), &joined(&side.hba))),
        ident: Some(write(&server.join("pg_ident.conf"), &joined(&side.ident))),
        profile: profile.clone(),
        major: 18,
        days: 1,
    };
    check(&request).unwrap_or_else(|error| panic!("{}: {error}", case.id)).faults
}

fn is_about(exceptions: &BTreeMap<String, String>, id: &str) -> bool {
    exceptions.keys().any(|glob| Glob::new(glob).expect("a glob").compile_matcher().is_match(id))
}

#[test]
fn check_agrees_with_what_the_cases_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let suite = Suite::of_folder(&root.join("scenarios")).unwrap_or_else(|faults| panic!("{faults:?}"));
    let text = std::fs::read_to_string(root.join("tests/texts/check-suite.yaml")).expect("a file");
    let exceptions: Exceptions = serde_yaml::from_str(&text).expect("exceptions");
    let authority = Authority::new(std::env::temp_dir());
    let (mut connecting, mut refused, mut wrong) = (0, 0, Vec::new());
    for case in suite.cases() {
        // Kong and the server of these do not talk to each other, but to a program that check does not know.
        let is_relayed = case.steps.first().is_some_and(|step| step.situation.relay.is_some());
        let excluded = case.excluded.is_some() || case.steps.is_empty() || case.only.is_some() || is_relayed;
        let Some(profile) = case.releases.first().cloned().or_else(|| Some(Profile::newest())).filter(|_| !excluded)
        else {
            continue;
        };
        let end = end(case, profile.edition);
        if end == End::Otherwise {
            continue;
        }
        let faults = faults(case, &profile, &authority);
        let codes = faults.iter().filter(|fault| fault.counts()).map(|fault| (fault.code, fault.severity));
        let codes: Vec<_> = codes.collect();
        if end == End::InTls {
            connecting += 1;
            let has_errors = faults.iter().any(|fault| fault.severity == Severity::Error);
            if has_errors != is_about(&exceptions.connects_with_errors, &case.id) {
                wrong.push(format!("connects: {} {codes:?}", case.id));
            }
        } else if case.steps[0].situation.kong.proxy.is_none() {
            refused += 1;
            if codes.is_empty() != is_about(&exceptions.refused_without_faults, &case.id) {
                wrong.push(format!("refused: {} {codes:?}", case.id));
            }
        }
    }
    assert!(connecting > 100 && refused > 100, "{connecting} and {refused} cases");
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), connecting + refused, wrong.join("\n"));
}
