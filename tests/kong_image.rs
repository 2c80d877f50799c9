//! Everything about `--client kong-image` but the pull and Kong itself: an image built on the spot stands in for it,
//! whose `kong` connects with psql and prints what a Kong would. `cargo test --test kong_image -- --ignored`.

use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;

const SCENARIO: &str = "\
title: the plumbing
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_verify: on, lua_ssl_trusted_certificate: root.crt }
cases:
  - name: in TLS
    expect: { connects: { tls: TLSv1.3 } }
  - name: in plaintext
    kong: { pg_ssl: off }
    expect:
      refused:
        kong: 'FATAL: no pg_hba.conf entry for host \"{host}\", user \"kong\", database \"kong\", no encryption'
        postgres: 'FATAL:  no pg_hba.conf entry for host \"{host}\", user \"kong\", database \"kong\", no encryption'
  - name: another CA
    kong: { lua_ssl_trusted_certificate: foreign-root.crt }
    expect:
      refused: { kong: certificate verify failed, postgres: 'LOG:  could not accept SSL connection: tlsv1 alert unknown ca' }
  - name: no certificate
    files: { garbage.crt: { text: nothing } }
    kong: { lua_ssl_trusted_certificate: garbage.crt }
    expect:
      refused: { raises: 'SSL_CTX_load_verify_locations(\"{kong}/.ca_combined\") failed (no certificate)', postgres: [] }
  - name: a directory
    files: { folder: directory }
    kong: { lua_ssl_trusted_certificate: folder }
    expect: { refused: { raises: '{kong}/folder: Is a directory', postgres: [] } }
  - name: another CA in the prefix
    kong_prefix: { lua_ssl_trusted_certificate: foreign-root.crt }
    expect:
      luasec: { connects: { tls: TLSv1.3 } }
      cosocket:
        refused: { kong: certificate verify failed, postgres: 'LOG:  could not accept SSL connection: tlsv1 alert unknown ca' }
  - name: a connection that stays open
    expect: { connects: { tls: TLSv1.3 } }
    then: [{ reload: {}, open_connection: survives, expect: { connects: { tls: TLSv1.3 } } }]
  - name: in another version
    expect: { connects: { tls: TLSv1.2 } }
";

/// The image that stands in for Kong. It goes with this value.
struct StandIn(String);

impl Drop for StandIn {
    fn drop(&mut self) {
        docker(&["rmi", &self.0]);
    }
}

/// Makes it of a local image of PostgreSQL.
fn stand_in(name: &str) -> StandIn {
    let images = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let images = String::from_utf8_lossy(&images.stdout).into_owned();
    let postgres = images.lines().find(|image| image.ends_with("postgres:15"));
    let postgres = postgres.expect("needs an image of PostgreSQL 15: ci/postgres-image 15");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kong-image");
    let argument = format!("postgres={postgres}");
    let built = docker(&["build", "--quiet", "--tag", name, "--build-arg", &argument, &folder.to_string_lossy()]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    StandIn(name.to_owned())
}

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("needs a Docker engine")
}

/// Runs cells of the scenario; returns the exit status, the standard output and the standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = folder.path().join("scenarios");
    std::fs::create_dir(&scenarios).expect("a folder");
    std::fs::write(scenarios.join("plumbing.yaml"), SCENARIO).expect("a file");
    let results = folder.path().join("results");
    let output = Command::new(env!("CARGO_BIN_EXE_kong-pg-tls"))
        .args(["run", "--postgres", "15", "--scenarios", &scenarios.to_string_lossy()])
        .args(["--results", &results.to_string_lossy()])
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[rstest]
#[case("local")]
#[case("docker")]
#[ignore = "needs a Docker engine with an image of PostgreSQL 15, and the binaries"]
fn an_image_is_told_what_kong_conf_says_and_judged_by_what_it_prints(#[case] runtime: &str) {
    let name = format!("kong-pg-tls/stand-in-for-kong:{runtime}");
    let _image = stand_in(&name);
    let as_expected = [
        "plumbing::in-tls*",
        "plumbing::in-plaintext*",
        "plumbing::no-certificate*",
        "plumbing::a-directory*",
        "plumbing::another-ca@*luasec",
        "plumbing::another-ca-in-the-prefix*",
    ];
    let image = ["--kong-image", &name, "--kong", "3.9-oss", "--runtime", runtime];
    let (status, stdout, stderr) = run(&[&image[..], &as_expected].concat());
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("11 pass"), "{stdout}{stderr}");
    let (status, stdout, stderr) = run(&[&image[..], &["plumbing::in-another-version*"]].concat());
    assert_eq!(status, Some(100), "the log proves the version: {stdout}{stderr}");
    let (status, stdout, stderr) = run(&[&image[..], &["plumbing::a-connection-that-stays-open*"]].concat());
    assert_eq!(status, Some(3), "a command that ends keeps nothing open: {stdout}{stderr}");
    assert!(stdout.contains("2 unsupported"), "{stdout}{stderr}");
    let (status, stdout, stderr) = run(&[&image[..3], &["3.15-enterprise", "--runtime", runtime]].concat());
    assert_eq!(status, Some(3), "nothing was run: {stdout}{stderr}");
    assert!(stdout.contains("16 blocked") && stdout.contains(", not 3.15-enterprise"), "{stdout}{stderr}");
    let without_release = [&image[..2], &["--runtime", runtime], &as_expected].concat();
    let (status, stdout, stderr) = run(&without_release);
    assert_eq!(status, Some(0), "the image names the release: {stdout}{stderr}");
    assert!(stdout.contains("11 pass"), "{stdout}{stderr}");
    let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={name}")]);
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}
