//! A place for a run of the program, in which it can be seen what is left of it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::runs_on::{RunsOn, runs_on};

/// A scenario of one case, which is as expected.
pub(crate) const GOOD: &str = "\
title: a scenario
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_required: on, pg_ssl_verify: on, pg_ssl_version: tlsv1_3, lua_ssl_trusted_certificate: root.crt }
cases:
  - name: a case
    expect: { connects: { tls: TLSv1.3 } }
";

/// A folder for everything that a run of the program makes.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Self(folder);
        std::fs::create_dir(place.temporary()).expect("a folder");
        // Servers that do not run as root must be able to pass.
        for folder in [place.path(), &place.temporary()] {
            std::fs::set_permissions(folder, PermissionsExt::from_mode(0o711)).expect("a mode");
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kong-pg-tls"));
        let RunsOn { runtime, postgres } = runs_on();
        command.args(arguments).current_dir(self.path()).env("TMPDIR", self.temporary());
        // Unless the arguments say something else.
        command.env("KONG_PG_TLS_RUNTIME", runtime).env("KONG_PG_TLS_POSTGRES", postgres);
        // As wide as without a terminal.
        command.env_remove("COLUMNS");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> ProgramOutput {
        ProgramOutput::new(self.program(arguments).output().expect("the program starts"))
    }

    /// The programs of a name that were that were started in this place or have it in their arguments, and still run.
    pub(crate) fn running(&self, name: &str) -> Vec<String> {
        let here = self.path().to_string_lossy().into_owned();
        let read = |file: PathBuf| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).replace('\0', " ");
        let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok).map(|entry| entry.path());
        let commands = processes.map(|process| (read(process.join("cmdline")), process));
        let of_here = commands.filter(|(command, process)| {
            command.contains(name) && (command.contains(&here) || read(process.join("environ")).contains(&here))
        });
        of_here.map(|(command, _)| command).collect()
    }

    /// What is left of runs: temporary files, programs that still run, and containers.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.temporary()).expect("a folder");
        let files = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let programs = ["postgres", "nginx"].into_iter().flat_map(|name| self.running(name));
        files.chain(programs).chain(self.containers()).collect()
    }

    /// Containers of runs whose folders are in this place; none, if there is no engine.
    fn containers(&self) -> Vec<String> {
        let label = "{{.Image}} of {{.Label \"kong-pg-tls.run\"}}";
        let listed = Command::new("docker")
            .args(["ps", "--all", "--filter", "label=kong-pg-tls.run", "--format", label])
            .output();
        let runs = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let here = self.path().to_string_lossy().into_owned();
        runs.lines().filter(|run| run.contains(&here)).map(str::to_owned).collect()
    }
}

impl Place {
    /// Starts a whole run, and waits until it is well under way.
    pub(crate) fn under_way(&self) -> Child {
        let mut program = self.program(&["run", "--verbose"]).spawn().expect("the program starts");
        let stderr = program.stderr.take().expect("a pipe");
        let (sender, receiver) = std::sync::mpsc::channel();
        // The pipe is read to its end, so that the program never waits for us.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut passed = 0;
        while passed < 10 {
            let line = receiver.recv_timeout(Duration::from_secs(60)).expect("progress");
            passed += usize::from(line.contains(" pass "));
        }
        program
    }
}

/// Writes a program in shell.
pub(crate) fn write_script(path: &Path, commands: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{commands}\n")).expect("a script");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode");
}

impl Place {
    /// A folder with programs that behave like PostgreSQL's, up to a point.
    pub(crate) fn crippled_postgres(&self, server: &str) -> PathBuf {
        let bin = self.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        write_script(&bin.join("initdb"), "exit 0");
        let version = "[ \"$1\" = --version ] && echo 'postgres (PostgreSQL) 98.1' && exit";
        write_script(&bin.join("postgres"), &format!("{version}\n{server}"));
        bin
    }
}

/// What the program printed, and its exit status.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ProgramOutput {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub(crate) fn kill(program: &Child, signal: &str) {
    let killed = Command::new("kill").args(["-s", signal, &program.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()), "kill -s {signal}");
}
