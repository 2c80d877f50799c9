//! `kong-pg-tls up`: the printed commands reach the server, and nothing is left of it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::place::{Place, ProgramOutput, kill};
use crate::runs_on::runs_on;
use postgres_tls_server::folders_of_binaries;
use rstest::rstest;

const PASSWORD: &str = "passwords/methods::a-role-with-a-scram-secret.over-tls.scram-sha-256.correct";
const USERS: &str = "mtls/cert::a-certificate.the-users.default";

/// A running `up`, and the lines that it prints.
struct Up {
    program: Child,
    lines: Receiver<String>,
    /// What it printed before the log.
    printed: String,
}

impl Up {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let postgres = &*runs_on().postgres;
        let arguments = [&["up", "--postgres", postgres], arguments].concat();
        let mut program = place.program(&arguments).spawn().expect("the program starts");
        let lines = lines(program.stdout.take().expect("a pipe"));
        let mut up = Self { program, lines, printed: String::new() };
        while !up.printed.ends_with("The server's log:\n") {
            let Ok(line) = up.lines.recv_timeout(Duration::from_secs(60)) else {
                let mut error = String::new();
                let _ = up.program.kill();
                let _ = up.program.stderr.take().expect("a pipe").read_to_string(&mut error);
                panic!("{}\n{error}", up.printed);
            };
            up.printed += &(line + "\n");
        }
        up
    }

    /// The command below a title.
    fn command(&self, title: &str) -> &str {
        let mut lines = self.printed.lines().skip_while(|line| *line != title).skip(1);
        lines.next().unwrap_or_else(|| panic!("no {title} in {}", self.printed)).trim()
    }

    /// Waits for a line of the log.
    fn logs(&self, part: &str) {
        let begun = Instant::now();
        let found = std::iter::from_fn(|| self.lines.recv_timeout(Duration::from_secs(20)).ok());
        assert!(
            found.take_while(|_| begun.elapsed() < Duration::from_secs(30)).any(|line| line.contains(part)),
            "{part}"
        );
    }

    /// Ends it with a signal; its exit status, and what it still printed.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        kill(&self.program, signal);
        let status = self.program.wait().expect("an end");
        (status.code(), self.lines.iter().collect::<Vec<_>>().join("\n"))
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

/// A command as it is pasted into a shell, with the programs that it names in the search path.
fn paste(command: &str) -> ProgramOutput {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_kong-pg-tls")).parent().expect("a folder").to_owned();
    let path = std::env::var_os("PATH").expect("a PATH");
    let folders = [program].into_iter().chain(folders_of_binaries()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).expect("a path");
    ProgramOutput::new(Command::new("sh").args(["-c", command]).env("PATH", path).output().expect("a shell"))
}

fn has(program: &str) -> bool {
    paste(&format!("command -v {program}")).status == Some(0)
}

#[rstest]
#[case("INT")]
#[case("TERM")]
fn the_printed_commands_reach_the_server_and_a_signal_removes_everything(#[case] signal: &str) {
    let place = Place::new();
    let up = Up::start(&place, &[USERS]);
    assert!(up.printed.contains("connects in TLSv1.3 as /CN=kong\n"), "{}", up.printed);
    let live = paste(up.command("Both of Kong's TLS stacks, without Kong"));
    assert!(live.stdout.contains("LuaSec, while Kong starts: connected"), "{live:#?}");
    assert!(live.stdout.contains("a cosocket, in Kong's workers: connected"), "{live:#?}");
    up.logs("connection authorized: user=kong database=kong");
    let handshake = paste(up.command("The handshake"));
    assert!(handshake.stdout.contains("Verify return code: 0 (ok)"), "{handshake:#?}");
    // libpq is a part of every PostgreSQL, but not of a machine that has it in containers only.
    assert!(has("psql") || runs_on().runtime == "docker");
    if has("psql") {
        let query = "-Atc 'SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()'";
        let output = paste(&format!("{} {query}", up.command("psql")));
        assert_eq!((output.status, &*output.stdout), (Some(0), "/CN=kong\n"), "{output:#?}");
    }
    let (status, _) = up.end(signal);
    assert_eq!(status, Some(0));
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn what_is_kept_is_there_until_clean_removes_it() {
    let place = Place::new();
    let up = Up::start(&place, &[PASSWORD, "--keep"]);
    // The password is in files only, where psql finds it as well.
    assert!(!up.printed.contains("PG_PASSWORD"), "{}", up.printed);
    let live = paste(up.command("Both of Kong's TLS stacks, without Kong"));
    assert!(live.stdout.contains("Kong connects."), "{live:#?}");
    if has("psql") {
        let output = paste(&format!("{} --no-password -Atc 'SELECT 1'", up.command("psql")));
        assert_eq!((output.status, &*output.stdout), (Some(0), "1\n"), "{output:#?}");
    }
    let (status, printed) = up.end("INT");
    let kept = printed.lines().find_map(|line| line.strip_prefix("kept: ")).expect("a folder").to_owned();
    assert_eq!(status, Some(0), "{printed}");
    let read = |file: &str| std::fs::read_to_string(std::path::Path::new(&kept).join(file)).expect("a file");
    assert!(read("kong/root.crt").contains("CERTIFICATE") && read("kong.env").contains("KONG_PG_PASSWORD=kong\n"));
    assert!(read("postgres.log").contains("connection authorized: user=kong"), "{}", read("postgres.log"));
    let left = place.left();
    assert!(left.len() == 1 && kept.contains(&left[0]), "only the folder is left: {left:?}");
    assert_eq!(place.run(&["clean"]).status, Some(0));
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn the_port_is_the_one_that_was_asked_for() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let taken = place.run(&["up", "--postgres", &runs_on().postgres, USERS, "--port", &port]);
    assert_eq!(taken.status, Some(3), "{taken:#?}");
    assert!(
        runs_on().runtime == "docker" || taken.stderr.contains(&format!("another process has port {port}")),
        "{taken:#?}"
    );
    assert_eq!(place.left(), [""; 0]);
    drop(listener);
    let up = Up::start(&place, &[USERS, "--port", &port]);
    assert!(up.printed.lines().next().is_some_and(|line| line.ends_with(&format!(":{port}"))), "{}", up.printed);
    assert_eq!(up.end("INT").0, Some(0));
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_proxy_of_the_cell_stands_in_front_of_the_server() {
    let place = Place::new();
    let cell = "between/answers::the-proxy-answers-n-and-closes.required.verifying";
    let up = Up::start(&place, &[cell]);
    let live = paste(up.command("Both of Kong's TLS stacks, without Kong"));
    assert!(live.stdout.contains("the server does not support SSL connections"), "{live:#?}");
    assert_eq!(up.end("INT").0, Some(0));
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_configuration_that_prevents_the_start_is_reported_with_the_servers_log() {
    let place = Place::new();
    let cell = "start/keys::at-the-start-a-key.of-the-database-user-0640";
    let output = place.run(&["up", "--postgres", &runs_on().postgres, cell]);
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(
        output.stderr.contains("PostgreSQL does not start with this configuration. It logs:\n  FATAL:"),
        "{output:#?}"
    );
    assert!(output.stderr.contains("has group or world access"), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn an_interruption_while_it_starts_leaves_nothing() {
    let place = Place::new();
    let arguments = ["up", "--postgres", &runs_on().postgres, USERS];
    let mut program = place.program(&arguments).spawn().expect("the program starts");
    // Somewhere between reading the scenarios and initdb's end.
    let begun = Instant::now();
    while place.left().len() < 2 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(&program, "INT");
    assert_eq!(program.wait().expect("an end").code(), Some(0));
    assert_eq!(place.left(), [""; 0]);
}

#[rstest]
#[case::no_case(&["up", "nothing/here"], 4, "no case is called nothing/here")]
#[case::no_port(&["up", USERS, "--port", "0"], 2, "0 is not in 1..=65535")]
#[case::out_without_compose(&["up", USERS, "--out", "x"], 2, "--compose")]
#[case::no_major(&["up", USERS, "--postgres", "99"], 3, "99")]
fn what_cannot_be_started_is_reported(#[case] arguments: &[&str], #[case] status: i32, #[case] said: &str) {
    let place = Place::new();
    let output = place.run(arguments);
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert!(output.stderr.contains(said), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_compose_file_is_that_of_export() {
    let place = Place::new();
    let one = place.run(&["up", USERS, "--compose", "--port", "6543"]);
    let other = place.run(&["export", USERS, "--as", "compose", "--port", "6543"]);
    assert_eq!((one.status, &one.stdout), (Some(0), &other.stdout), "{one:#?}");
    assert!(one.stdout.contains("127.0.0.1:6543:5432"), "{one:#?}");
}
