//! Kong's own TLS stacks as a client: judged like the emulated ones, and removed with the run.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::{Place, ProgramOutput, kill, write_script};

const OPENRESTY: [&str; 7] = ["run", "--client", "openresty", "--runtime", "local", "--postgres", "all"];

const CELLS: [&str; 8] = [
    "mtls/cert::a-certificate.the-users.default",
    "mtls/cert::a-certificate.none.default",
    "verify/ca::another-ca.generated",
    "verify/ca::only-the-systems-cas.generated",
    "passwords/methods::*",
    "kong-conf/trusted-certificate::*",
    "between/silence::*",
    "keys/client::a-key.rsa.encrypted",
];

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn kongs_own_stacks_are_as_expected_of_kong_and_leave_nothing() {
    let place = Place::new();
    let output = place.run(&[&OPENRESTY[..], &CELLS].concat());
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(output.stderr.contains("\nopenresty: nginx") && output.stdout.contains(" pass"), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn nginx_does_not_outlive_a_run_that_is_killed() {
    let place = Place::new();
    let mut program = place.program(&[&OPENRESTY[..], &["verify/*"]].concat()).spawn().expect("the program starts");
    wait_until("nginx runs", || !place.running("nginx").is_empty());
    kill(&program, "KILL");
    program.wait().expect("an end");
    wait_until("nginx has ended", || place.running("nginx").is_empty());
    let output = place.run(&["clean"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn nginx_ends_with_a_run_that_is_interrupted() {
    let place = Place::new();
    let mut program = place.program(&[&OPENRESTY[..], &["verify/*"]].concat()).spawn().expect("the program starts");
    wait_until("nginx runs", || !place.running("nginx").is_empty());
    kill(&program, "INT");
    assert_eq!(program.wait().expect("an end").code(), Some(130));
    assert_eq!(place.left(), [""; 0]);
}

/// A folder to be the whole `PATH`, with so many programs in it.
fn path(place: &Place, programs: &[&str]) -> PathBuf {
    let folder = place.path().join("bin");
    std::fs::create_dir(&folder).expect("a folder");
    for program in programs {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().expect("a shell");
        let found = String::from_utf8(found.stdout).expect("text");
        std::os::unix::fs::symlink(found.trim(), folder.join(program)).expect("a link");
    }
    folder
}

#[test]
fn a_driver_that_starts_slowly_is_not_taken_for_one_that_hangs() {
    let place = Place::new();
    let programs = path(&place, &[]);
    // The nginx of the other folders of the PATH.
    write_script(&programs.join("nginx"), "sleep 3\nPATH=${PATH#*:}\nexec nginx \"$@\"");
    let mut program = place.program(&[&OPENRESTY[..], &["between/silence::forwards-one-byte*short*luasec"]].concat());
    program.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").expect("PATH")));
    let output = ProgramOutput::new(program.output().expect("the program starts"));
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(output.stdout.contains("\n1 pass in"), "{output:#?}");
}

#[test]
fn without_the_stacks_the_message_names_what_to_install() {
    let place = Place::new();
    let mut program = place.program(&OPENRESTY);
    program.env("PATH", path(&place, &[])).env("DOCKER_HOST", "tcp://127.0.0.1:9");
    let output = ProgramOutput::new(program.output().expect("the program starts"));
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(output.stderr.contains("install Debian's packages nginx libnginx-mod-http-lua"), "{output:#?}");
    assert!(output.stderr.contains("no Docker engine answers"), "{output:#?}");
}

#[test]
fn without_a_checkout_of_the_real_driver_one_line_says_how_to_get_it() {
    let place = Place::new();
    let output = place.run(&["run", "--client", "pgmoon", "verify/*"]);
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(output.stderr.contains("git clone https://github.com/leafo/pgmoon"), "{output:#?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
#[ignore = "needs a Docker engine with the image that ci/openresty-image builds"]
fn where_the_stacks_are_not_installed_they_are_run_in_a_container() {
    let place = Place::new();
    let programs = path(&place, &[]);
    let output = place.program(&[&OPENRESTY[..], &CELLS].concat()).env("PATH", programs).output();
    let output = ProgramOutput::new(output.expect("the program starts"));
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(output.stderr.contains("in a container of kong-pg-tls/openresty"), "{output:#?}");
    assert!(output.stdout.contains(" pass"), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}
