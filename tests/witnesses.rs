//! Kong's own TLS stacks as a witness: they are judged as the re-created ones are, and nothing is left of them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder for everything that a run of the program makes.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Servers that do not run as root must be able to pass.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("a mode");
        Self(folder)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kong-pg-tls"));
        command.args(arguments).current_dir(self.0.path()).env("TMPDIR", self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().expect("the program starts")
    }

    /// Programs that were started in this place or told of it, and still run.
    fn running(&self, name: &str) -> usize {
        let here = self.0.path().to_string_lossy().into_owned();
        let read = |file: PathBuf| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
        let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok).map(|entry| entry.path());
        let known = processes.filter(|process| {
            let command = read(process.join("cmdline"));
            command.contains(name) && (command.contains(&here) || read(process.join("environ")).contains(&here))
        });
        known.count()
    }
}

const OPENRESTY: [&str; 5] = ["run", "--client", "openresty", "--runtime", "local"];

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(program: &Child, signal: &str) {
    let killed = Command::new("kill").args(["-s", signal, &program.id().to_string()]).status();
    assert!(killed.expect("kill").success());
}

#[test]
fn kongs_own_stacks_are_as_expected_of_kong_and_leave_nothing() {
    let place = Place::new();
    let cells = [
        "mtls/cert::a-certificate.the-users.each-its-newest",
        "mtls/cert::a-certificate.none.each-its-newest",
        "verify/ca::another-one.generated",
        "verify/ca::only-those-of-the-system.generated",
        "passwords/methods::*",
        "kong-conf/trusted-certificate::*",
        "between/silence::*",
        "keys/client::a-key.rsa.encrypted",
    ];
    let output = place.run(&[&OPENRESTY[..], &cells].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("+openresty-cosocket"), "{}", told(&output));
    assert_eq!((place.running("nginx"), place.running("luajit")), (0, 0));
}

#[test]
fn nginx_does_not_outlive_a_run_that_is_killed() {
    let place = Place::new();
    let mut program = place.program(&[&OPENRESTY[..], &["verify/*"]].concat()).spawn().expect("the program starts");
    wait_until("nginx runs", || place.running("nginx") > 0);
    kill(&program, "KILL");
    program.wait().expect("an end");
    wait_until("nginx has ended", || place.running("nginx") == 0);
    let output = place.run(&["clean"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(place.running("postgres") + place.running("luajit"), 0);
}

#[test]
fn nginx_ends_with_a_run_that_is_interrupted() {
    let place = Place::new();
    let mut program = place.program(&[&OPENRESTY[..], &["verify/*"]].concat()).spawn().expect("the program starts");
    wait_until("nginx runs", || place.running("nginx") > 0);
    kill(&program, "INT");
    assert_eq!(program.wait().expect("an end").code(), Some(130));
    assert_eq!((place.running("nginx"), place.running("luajit")), (0, 0));
}

#[test]
fn without_the_stacks_it_says_what_to_install() {
    let place = Place::new();
    let nothing = place.0.path().join("bin");
    std::fs::create_dir(&nothing).expect("a folder");
    let output = place.program(&OPENRESTY).env("PATH", nothing).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    assert!(told(&output).contains("install Debian's packages nginx libnginx-mod-http-lua"), "{}", told(&output));
}
