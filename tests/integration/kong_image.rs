//! Everything about `--client kong-image` but the pull and Kong itself: an image built on the spot stands in for it,
//! whose `kong` connects with psql and prints what a Kong would. `cargo test --test integration kong_image:: -- --ignored`.

use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;
use tempfile::TempDir;

use crate::runs_on::{major_of_image, newest_local};

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

/// The image of PostgreSQL.
fn postgres() -> String {
    let images = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let images = String::from_utf8_lossy(&images.stdout).into_owned();
    let wanted = format!("postgres:{}", major_of_image());
    images.lines().find(|image| image.ends_with(&wanted)).expect("an image of that major").to_owned()
}

/// Makes it of the image of PostgreSQL, with what `kong version` prints.
fn stand_in(name: &str, version: &str) -> StandIn {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kong-image");
    // Without the label, the images of two tests would be one, and each would count the other's containers.
    let label = format!("stand-in={name}");
    let arguments = [format!("postgres={}", postgres()), format!("version={version}")];
    let arguments = arguments.iter().flat_map(|argument| ["--build-arg", argument]);
    let command: Vec<_> = ["build", "--quiet", "--tag", name, "--label", &label].into_iter().chain(arguments).collect();
    let built = docker(&[&command[..], &[&*folder.to_string_lossy()]].concat());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    StandIn(name.to_owned())
}

/// An image in which no container can be started with `kong`.
fn without_kong() -> StandIn {
    let name = "kong-pg-tls/stand-in-for-kong:none";
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("Dockerfile"), format!("FROM {}\nLABEL without=kong\n", postgres()))
        .expect("a file");
    let built = docker(&["build", "--quiet", "--tag", name, &folder.path().to_string_lossy()]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    StandIn(name.to_owned())
}

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("needs a Docker engine")
}

/// Runs cells of the scenario; returns the exit status, the standard output and the standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    run_in(&tempfile::tempdir().expect("a folder"), arguments)
}

/// The same, with the results in a folder.
fn run_in(folder: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let scenarios = folder.path().join("scenarios");
    std::fs::create_dir_all(&scenarios).expect("a folder");
    std::fs::write(scenarios.join("plumbing.yaml"), SCENARIO).expect("a file");
    let major = if arguments.contains(&"docker") { major_of_image() } else { newest_local() };
    let common = ["run", "--postgres", &major, "--scenarios", "scenarios", "--results", "results"];
    program(folder, &[&common, arguments].concat())
}

fn program(folder: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kong-pg-tls"));
    let output = program.current_dir(folder.path()).args(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[rstest]
#[case("local")]
#[case("docker")]
#[ignore = "needs a Docker engine with an image of PostgreSQL, and the binaries"]
fn an_image_is_configured_by_kong_conf_and_judged_by_its_output(#[case] runtime: &str) {
    let name = format!("kong-pg-tls/stand-in-for-kong:{runtime}");
    let _image = stand_in(&name, "3.9.1");
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
    let without_release = [&image[..2], &["--runtime", runtime], &as_expected].concat();
    let (status, stdout, stderr) = run(&without_release);
    assert_eq!(status, Some(0), "the image names the release: {stdout}{stderr}");
    assert!(stdout.contains("11 pass"), "{stdout}{stderr}");
    let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={name}")]);
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

/// Two images of two releases in one run, which ends with what they say differently.
#[test]
#[ignore = "needs a Docker engine with an image of PostgreSQL, and the binaries"]
fn images_of_several_releases_are_run_side_by_side() {
    let [old, new] = ["kong-pg-tls/stand-in-for-kong:old", "kong-pg-tls/stand-in-for-kong:new"];
    let _images = [stand_in(old, "3.9.1"), stand_in(new, "Kong Enterprise 3.10.0.99")];
    let folder = tempfile::tempdir().expect("a folder");
    let images = format!("{old},3.10={new}");
    let cells = ["plumbing::in-tls@*", "plumbing::in-plaintext@*"];
    let arguments = ["--kong-image", &images, "--runtime", "local", "--stack", "luasec"];
    let (status, stdout, stderr) = run_in(&folder, &[&arguments[..], &cells].concat());
    assert_eq!(status, Some(100), "the new one has other words: {stdout}{stderr}");
    assert!(stdout.contains("Kong 3.9-oss -> 3.10-enterprise\n"), "{stdout}{stderr}");
    assert!(stdout.contains(&format!("--kong-image 3.10-enterprise={new}")), "one cell needs one image: {stdout}");
    let (status, stdout, stderr) = program(&folder, &["diff", "results", "--kong", "3.9,3.10"]);
    assert_eq!(status, Some(100), "{stdout}{stderr}");
    assert!(
        stdout.contains("2 cells compared: 1 regressed") && stdout.contains("(in other words)"),
        "{stdout}{stderr}"
    );
}

/// Before the first cell, and without a folder of results.
#[test]
#[ignore = "needs a Docker engine with an image of PostgreSQL, and the binaries"]
fn an_unusable_image_is_reported_before_the_first_cell() {
    let [name, twin] = ["kong-pg-tls/stand-in-for-kong:named", "kong-pg-tls/stand-in-for-kong:twin"];
    let (_images, none) = ([stand_in(name, "3.9.1"), stand_in(twin, "3.9.1")], without_kong());
    let unreachable = "localhost:1/kong:3.9";
    let (wrong, twice) = (format!("3.10={name}"), format!("{name},{twin}"));
    let unusable = [
        (vec![&*wrong], "stand-in-for-kong:named contains Kong 3.9.1, and not 3.10 as --kong-image says"),
        (vec![name, "--kong", "3.15-enterprise"], "and none Kong 3.15-enterprise; name one with --kong-image"),
        (vec![&*twice], "stand-in-for-kong:twin contains Kong 3.9.1: name one of them"),
        (vec![unreachable], "localhost:1/kong:3.9 is not on this machine and cannot be pulled"),
        (vec![&*none.0], "kong"),
    ];
    for (image, part) in unusable {
        let folder = tempfile::tempdir().expect("a folder");
        let (status, stdout, stderr) = run_in(&folder, &[&["--runtime", "local", "--kong-image"], &image[..]].concat());
        assert_eq!(status, Some(3), "{image:?}: {stdout}{stderr}");
        assert!(
            stderr.contains("the client kong-image cannot be used: ") && stderr.contains(part),
            "{image:?}: {stderr}"
        );
        assert!(!folder.path().join("results/events.jsonl").exists(), "{image:?}: {stderr}");
    }
    let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", none.0)]);
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "a container that could not be started is removed");
}
