//! `ci/prepare` leaves nothing behind: what it writes so that packages start no service is gone when it ends. `ci/steady` notices
//! another verdict.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::place::write_script;

/// The programs that the script itself needs.
const TOOLS: [&str; 9] = ["sh", "chmod", "dirname", "grep", "mkdir", "printf", "rm", "rmdir", "sleep"];

/// The files that keep packages from starting services and from creating a cluster.
const FILES: [&str; 2] = ["usr/sbin/policy-rc.d", "etc/postgresql-common/createcluster.d/kong-pg-tls.conf"];

/// A machine that has none of the packages: a root folder, and an `apt-get` of these shell commands.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new(apt_get: &str) -> Self {
        let machine = Self { folder: tempfile::tempdir().expect("a folder") };
        for folder in ["bin", "usr/sbin", "etc"] {
            fs::create_dir_all(machine.path(folder)).expect("a folder");
        }
        for tool in TOOLS {
            let folders = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(tool));
            let found = folders.into_iter().find(|path| path.exists()).expect("a tool");
            symlink(found, machine.path("bin").join(tool)).expect("a link");
        }
        machine.program("id", "echo 0");
        machine.program("cargo", "true");
        machine.program("apt-get", apt_get);
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn program(&self, name: &str, commands: &str) {
        write_script(&self.path("bin").join(name), commands);
    }

    fn prepare(&self, arguments: &[&str]) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/prepare");
        let mut command = Command::new("/bin/sh");
        command.arg(script).args(arguments).env_clear();
        command.env("PATH", self.path("bin")).env("DESTDIR", self.folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the script")
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.prepare(arguments).wait_with_output().expect("an end");
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    fn left(&self) -> Vec<String> {
        let of =
            |folder: &str| fs::read_dir(self.path(folder)).expect("a folder").map(|entry| entry.expect("an entry"));
        of("usr/sbin").chain(of("etc")).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

#[rstest]
#[case("exit 0", 0, "Installing: gcc libc6-dev make perl openssl")]
#[case("exit 1", 3, "apt-get failed. Please install: gcc libc6-dev make perl openssl")]
fn packages_are_installed_without_services_and_nothing_is_left(
    #[case] ends: &str,
    #[case] status: i32,
    #[case] says: &str,
) {
    let there = FILES.map(|file| format!("test -e \"$DESTDIR/{file}\" || exit 9"));
    let machine = Machine::new(&format!("{}\necho \"$@\" >>\"$DESTDIR/called\"\n{ends}", there.join("\n")));
    let (code, text) = machine.run(&["build"]);
    assert_eq!(code, Some(status), "{text}");
    assert!(text.contains(says), "{text}");
    let called = fs::read_to_string(machine.path("called")).expect("apt-get was called");
    assert!(called.starts_with("update"), "{called}");
    assert_eq!(machine.left(), [""; 0]);
}

#[test]
fn an_interrupted_installation_leaves_nothing() {
    let machine = Machine::new("echo >\"$DESTDIR/called\"; sleep 1");
    let script = machine.prepare(&["build"]);
    let began = Instant::now();
    while !machine.path("called").exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "apt-get is not called");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(machine.left().len(), 2, "the files are there while apt-get runs");
    let pid = rustix::process::Pid::from_child(&script);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let status = script.wait_with_output().expect("an end").status;
    assert_eq!(status.code(), Some(143));
    assert_eq!(machine.left(), [""; 0]);
}

#[test]
fn a_file_of_the_machines_own_is_kept() {
    let machine = Machine::new("exit 0");
    fs::write(machine.path(FILES[0]), "exit 101\n").expect("a file");
    assert_eq!(machine.run(&["build"]).0, Some(0));
    assert_eq!(fs::read_to_string(machine.path(FILES[0])).expect("the file"), "exit 101\n");
    assert_eq!(machine.left(), ["policy-rc.d"]);
}

#[test]
fn with_no_install_nothing_is_installed_and_what_is_missing_is_listed() {
    let machine = Machine::new("echo >\"$DESTDIR/called\"");
    let (code, text) = machine.run(&["--no-install", "build"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.starts_with("Would install (names of Debian packages): gcc libc6-dev make perl openssl"), "{text}");
    assert!(!machine.path("called").exists(), "apt-get was called");
    assert_eq!(machine.left(), [""; 0]);
}

/// A program that writes results of two cells, of which one has another verdict in the second run.
#[rstest]
#[case("pass", 0, "Every verdict is the same in all runs: 3.")]
#[case("fail", 1, "b: fail in 1 of 3 runs")]
fn ci_steady_notices_a_verdict_that_differs(#[case] second: &str, #[case] status: i32, #[case] says: &str) {
    let machine = Machine::new("exit 1");
    let program = format!(
        "[ \"$1\" = run ] || exit 0
for folder; do [ \"$last\" = --results ] && break; last=$folder; done
mkdir -p \"$folder\"
case $folder in */2) verdict={second} ;; *) verdict=pass ;; esac
printf '\"complete\": true,\\n\"id\": \"a\",\\n\"verdict\": \"pass\",\\n\"id\": \"b\",\\n\"verdict\": \"%s\"\\n' $verdict \
    >\"$folder/results.json\""
    );
    machine.program("kong-pg-tls", &program);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/steady");
    let mut command = Command::new(script);
    command.arg("--record").arg(machine.path("record")).args(["3", "some*"]);
    command.env("KONG_PG_TLS_PROGRAM", machine.path("bin/kong-pg-tls")).env("CARGO_TARGET_DIR", machine.path("target"));
    let Output { status: ended, stdout, stderr } = command.output().expect("the script");
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert_eq!(ended.code(), Some(status), "{text}");
    let record = fs::read_to_string(machine.path("record")).expect("a record");
    assert!(record.contains(says) && record.contains("\n3, 0, "), "{record}\n{text}");
}
