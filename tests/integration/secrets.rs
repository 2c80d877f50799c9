//! What a run must not give away: the private keys and passwords in it. And what others may have put where it writes.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::place::{Place, ProgramOutput};
use openssl::base64;
use openssl::pkey::{PKey, Private};

/// What is made of results for people and other programs.
const REPORTS: [&str; 5] = ["--markdown", "--tap", "--github", "--junit", "--html"];

/// As many bytes of a secret lead to it.
const BEGINNING: usize = 8;

/// A secret, and what it is.
struct Secret {
    what: String,
    bytes: Vec<u8>,
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() { folders.push(entry) } else { found.push(entry) }
        }
    }
    found
}

/// A page with its packed data beside it.
fn unpacked(content: Vec<u8>) -> Vec<u8> {
    let page = String::from_utf8_lossy(&content);
    let Some(packed) = page.split_once("id=\"results\">").and_then(|(_, rest)| rest.split_once('<')) else {
        return content;
    };
    let packed = base64::decode_block(packed.0).expect("base64");
    let mut data = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut data).expect("packed data");
    [content, data].concat()
}

/// The secret numbers of a key.
fn numbers(key: &PKey<Private>) -> Vec<Vec<u8>> {
    if let Ok(key) = key.rsa() {
        return [key.d().to_vec()].into_iter().chain(key.p().map(openssl::bn::BigNumRef::to_vec)).collect();
    }
    let ec = key.ec_key().map(|key| key.private_key().to_vec());
    ec.or_else(|_| key.raw_private_key()).into_iter().collect()
}

/// The secrets of a file with a key: its lines of base64, and its numbers.
fn secrets_of(file: &Path) -> Vec<Secret> {
    let content = std::fs::read(file).expect("a file");
    let what = file.display().to_string();
    let secret = |bytes: Vec<u8>| Secret { what: what.clone(), bytes };
    let text = String::from_utf8_lossy(&content);
    let mut secrets = Vec::new();
    let key = PKey::private_key_from_pem_passphrase(&content, b"").or_else(|_| PKey::private_key_from_der(&content));
    let numbers: Vec<_> = key.iter().flat_map(numbers).filter(|number| number.len() >= 16).collect();
    // A key has its public part in it, which the certificate has as well, in lines of base64 that may be the same.
    let is_secret = |line: &&str| {
        let bytes = base64::decode_block(line).unwrap_or_default();
        let of_number = |part: &[u8]| numbers.iter().any(|number| number.windows(BEGINNING).any(|other| other == part));
        line.len() >= 32 && (numbers.is_empty() || bytes.windows(BEGINNING).any(of_number))
    };
    for block in text.split("-----BEGIN ").skip(1).filter(|block| block.contains("PRIVATE KEY-----")) {
        let lines = block.lines().skip(1).take_while(|line| !line.starts_with("-----"));
        secrets.extend(lines.filter(is_secret).map(|line| secret(line.as_bytes().to_vec())));
    }
    for number in numbers {
        let hex: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        secrets.extend([secret(hex.to_uppercase().into_bytes()), secret(hex.into_bytes()), secret(number)]);
    }
    secrets
}

/// Where one of the secrets is.
fn given_away(place: &Place, output: &ProgramOutput, secrets: &[Secret]) -> Vec<String> {
    let mut beginnings = HashMap::<&[u8], Vec<&Secret>>::new();
    for secret in secrets {
        beginnings.entry(&secret.bytes[..BEGINNING]).or_default().push(secret);
    }
    let written = files(place.path()).into_iter().filter(|file| !is_key(file));
    let written = written.map(|file| (file.display().to_string(), unpacked(std::fs::read(&file).expect("a file"))));
    let printed = [("the output".to_owned(), [output.stdout.as_bytes(), output.stderr.as_bytes()].concat())];
    let mut found = BTreeSet::new();
    for (name, content) in printed.into_iter().chain(written) {
        for (start, window) in content.windows(BEGINNING).enumerate() {
            let here = beginnings.get(window).into_iter().flatten();
            let here = here.filter(|secret| content[start..].starts_with(&secret.bytes));
            found.extend(here.map(|secret| format!("{name} has a secret of {}", secret.what)));
        }
    }
    found.into_iter().collect()
}

/// A file that is there for a key: `--evidence-keys` has asked for it.
fn is_key(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "files") && !secrets_of(file).is_empty()
}

/// Runs the cells with everything that a run can keep, and makes all reports.
fn run(place: &Place, arguments: &[&str]) -> ProgramOutput {
    let fixed = ["run", "--results", "results", "--evidence=all", "--evidence-keys", "--verbose"];
    let mut output = place.run(&[&fixed[..], arguments].concat());
    assert!(matches!(output.status, Some(0 | 100)), "{output:#?}");
    for format in REPORTS {
        let file = format!("report{format}");
        let made = place.run(&["report", "results", format, &file]);
        assert_eq!(made.status, Some(0), "{made:#?}");
        output.stdout += &made.stdout;
    }
    output
}

fn no_key_of_these_cells_is_given_away(cells: &[&str]) {
    let place = Place::new();
    let output = run(&place, cells);
    let keys = files(&place.path().join("results/evidence")).into_iter().filter(|file| is_key(file));
    let secrets: Vec<_> = keys.flat_map(|file| secrets_of(&file)).collect();
    let mut seen = BTreeSet::new();
    let different: Vec<_> = secrets.into_iter().filter(|secret| seen.insert(secret.bytes.clone())).collect();
    assert!(different.len() > 20, "only {} secrets were found", different.len());
    println!("{} secrets in {} files", different.len(), files(place.path()).len());
    assert_eq!(given_away(&place, &output, &different), [""; 0]);
}

#[test]
fn keys_are_in_no_output() {
    no_key_of_these_cells_is_given_away(&["keys/client::*", "keys/server::*", "mtls/cert::*", "rotation/*"]);
}

/// The same for all cells, which takes minutes.
#[test]
#[ignore = "it takes minutes"]
fn keys_of_a_whole_run_are_in_no_output() {
    no_key_of_these_cells_is_given_away(&[]);
}

const PASSWORDS: [&str; 4] = ["Eph3meral-1", "Eph3meral-2", "Eph3meral-3", "Eph3meral-4"];

/// Passwords wherever Kong takes one from, in cells that pass and in cells that fail.
fn scenario() -> String {
    let [conf, environment, read_only, failing] = PASSWORDS;
    format!(
        "\
title: passwords
reason: they are in no output
pki: root-only
postgres: {{ conf: {{ ssl: on }}, hba: [hostssl all all all scram-sha-256] }}
kong: {{ pg_ssl: on, pg_ssl_verify: on, pg_ssl_version: tlsv1_3, lua_ssl_trusted_certificate: root.crt }}
cases:
  - name: in kong.conf
    kong: {{ pg_password: {conf} }}
    expect: {{ wrong password: {{ line: hostssl all all all scram-sha-256 }} }}
  - name: in the environment
    kong: {{ KONG_PG_PASSWORD: {environment} }}
    expect: {{ wrong password: {{ line: hostssl all all all scram-sha-256 }} }}
  - name: of the read-only connection
    kong: {{ pg_password: kong, pg_ro_password: {read_only} }}
    expect: {{ connects: {{ tls: TLSv1.3 }} }}
    then:
      - read_only: {{}}
        expect: {{ wrong password: {{ line: hostssl all all all scram-sha-256 }} }}
  - name: in clear text to the server, where something else is expected
    postgres: {{ hba: [hostssl all all all password] }}
    kong: {{ pg_password: {failing} }}
    expect: {{ connects: {{ tls: TLSv1.3 }} }}
"
    )
}

#[test]
fn passwords_are_in_no_output() {
    let place = Place::new();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.yaml"), scenario()).expect("a file");
    let output = run(&place, &["--scenarios", &folder.path().to_string_lossy()]);
    // All passwords were tried, and only one cell of each stack expects something else.
    let all = |name| output.stdout.lines().any(|line| line.starts_with(name));
    assert!(output.status == Some(100) && all("6 pass, 2 fail"), "{output:#?}");
    let secrets = PASSWORDS.map(|password| Secret { what: password.to_owned(), bytes: password.into() });
    assert_eq!(given_away(&place, &output, &secrets), [""; 0]);
}

/// A file of somebody else's, and a link to it where a run writes.
fn trap(place: &Place, link: &str) -> PathBuf {
    let victim = place.path().join("victim");
    std::fs::write(&victim, "precious").expect("a file");
    let link = place.path().join(link);
    std::fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
    symlink(&victim, link).expect("a link");
    victim
}

/// Where the results of others may lie, links lead nowhere.
#[rstest::rstest]
#[case::log("results/events.jsonl", 0)]
#[case::results("results/results.json", 0)]
#[case::unfinished("results/results.json.unfinished", 0)]
#[case::page("results/report.html", 0)]
#[case::junit("results/junit.xml", 0)]
#[case::durations("results/durations.json", 0)]
#[case::evidence("results/evidence", 3)]
fn a_link_among_the_results_is_not_followed(#[case] link: &str, #[case] status: i32) {
    let place = Place::new();
    let victim = trap(&place, link);
    let output =
        place.run(&["run", "tls/on-and-off::*", "--results", "results", "--evidence=all", "--stack", "luasec"]);
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "precious", "{output:#?}");
}

/// A folder of keys is not one of evidence because a link says so.
#[test]
fn a_link_in_the_place_of_the_evidence_leaves_the_folder_it_leads_to_alone() {
    let place = Place::new();
    let other = place.path().join("other");
    std::fs::create_dir_all(&other).expect("a folder");
    std::fs::write(other.join("README.txt"), "precious").expect("a file");
    std::fs::create_dir(place.path().join("results")).expect("a folder");
    symlink(&other, place.path().join("results/evidence")).expect("a link");
    let output =
        place.run(&["run", "tls/on-and-off::*", "--results", "results", "--evidence=all", "--stack", "luasec"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert_eq!(std::fs::read_dir(&other).expect("a folder").count(), 1, "{output:#?}");
    assert!(!place.path().join("results/evidence").is_symlink());
}

/// A run folder of one's own user that is a link belongs to nobody's run.
#[test]
fn clean_does_not_follow_a_link() {
    let place = Place::new();
    let victim = place.path().join("victim");
    std::fs::create_dir(&victim).expect("a folder");
    std::fs::write(victim.join("lock"), "").expect("a file");
    symlink(&victim, place.temporary().join("kong-pg-tls-abcdef")).expect("a link");
    let output = place.run(&["clean"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(victim.join("lock").exists(), "{output:#?}");
}

/// Nobody can make the folder of a run before the run does, or find it by its name.
#[test]
fn the_names_of_run_folders_cannot_be_told() {
    let names = (0..32).map(|_| {
        let folder = kong_pg_tls::runfolder::RunFolder::create().expect("a folder");
        folder.path().file_name().expect("a name").to_string_lossy().into_owned()
    });
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names.len(), 32);
    assert!(names.iter().all(|name| name.len() >= "kong-pg-tls-".len() + 6), "{names:?}");
}
