//! Clients other than the emulated Kong, as the program runs them: external clients and known differences.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kong_pg_scenarios::suite::Suite;
use rstest::rstest;

use crate::place::{self, GOOD, write_script};

/// A scenario, and what is beside it.
struct Place(place::Place);

/// The cases beside the good one.
const OTHERS: &str = "
  - name: another CA
    kong: { lua_ssl_trusted_certificate: foreign-root.crt }
    expect: { server certificate refused: { alert: unknown ca, error: '21: unable to verify the first certificate' } }
  - name: a version 1
    postgres: { conf: { ssl_cert_file: server-v1.crt, ssl_key_file: server-v1.key } }
    expect: { connects: { tls: TLSv1.3 } }
";

struct ProgramOutput {
    status: Option<i32>,
    text: String,
}

impl Place {
    fn new() -> Self {
        let place = Self(place::Place::new());
        std::fs::create_dir(place.0.path().join("scenarios")).expect("a folder");
        place.write("scenarios/a.yaml", &format!("{GOOD}{OTHERS}"));
        place
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// An external client in a few lines of shell, to be named on the command line.
    fn program(&self, text: &str) -> String {
        let path = self.0.path().join("program");
        write_script(&path, text);
        path.to_string_lossy().into_owned()
    }

    fn run(&self, arguments: &[&str]) -> ProgramOutput {
        let common = ["run", "--scenarios", "scenarios", "--results", "results", "--jobs", "1"];
        let output = self.0.program(&[&common, arguments].concat()).output().expect("the program starts");
        let text = [output.stdout, output.stderr].concat();
        ProgramOutput { status: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    fn results(&self) -> serde_json::Value {
        let text = std::fs::read(self.0.path().join("results/results.json")).expect("a file");
        serde_json::from_slice(&text).expect("JSON")
    }
}

/// The example, which `cargo test` builds.
fn example() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_kong-pg-tls")).with_file_name("examples").join("client");
    assert!(program.exists(), "`cargo test --test integration` builds no examples: cargo build --example client");
    program.to_string_lossy().into_owned()
}

#[rstest]
#[case::libpq("libpq")]
#[case::rustls("rustls")]
fn another_client_agrees_about_a_valid_and_an_untrusted_certificate(#[case] client: &str) {
    let output = Place::new().run(&["--client", client, "a::a-case*", "a::another-ca*"]);
    assert_eq!(output.status, Some(0), "{}", output.text);
    assert!(output.text.contains("4 pass"), "{}", output.text);
}

#[test]
fn the_example_of_an_external_client_agrees_with_kong() {
    let place = Place::new();
    let output = place.run(&["--client", "kong", "--client-command", &example()]);
    assert_eq!(output.status, Some(0), "{}", output.text);
    assert!(output.text.contains("kong and command agree in 6 of 6 cells"), "{}", output.text);
}

#[test]
fn every_client_queries_an_open_connection_again() {
    let command = example();
    for client in [&["--client", "libpq,rustls"][..], &["--client-command", &command]] {
        let place = Place::new();
        let steps = "    then:\n      - reload: { kong: { pg_ssl_verify: off } }\n        open_connection: survives\n      - restart: {}\n        open_connection: broken\n        expect: { connects: { tls: TLSv1.3 } }\n";
        place.write("scenarios/a.yaml", &format!("{GOOD}{steps}"));
        let output = place.run(client);
        assert_eq!(output.status, Some(0), "{}", output.text);
    }
}

const UNKNOWN: &str = "read -r line; echo '{\"outcome\": \"unsupported\"}'";

#[rstest]
#[case::not_there("/nonexistent", "/nonexistent does not start")]
#[case::ends("sh -c true", "ends without an answer (exit status: 0)")]
#[case::talks("yes", "does not answer as docs/client-protocol.md says")]
fn a_program_that_does_not_follow_the_protocol_is_refused(#[case] command: &str, #[case] why: &str) {
    let output = Place::new().run(&["--client-command", command]);
    assert_eq!(output.status, Some(3), "{}", output.text);
    assert!(
        output.text.contains("the client command cannot be used: ") && output.text.contains(why),
        "{}",
        output.text
    );
}

#[test]
fn a_program_that_accepts_an_unknown_kind_of_line_is_refused() {
    let place = Place::new();
    let program = place.program("while read -r line; do echo '{\"outcome\": \"closed\"}'; done");
    let output = place.run(&["--client-command", &program]);
    assert_eq!(output.status, Some(3), "{}", output.text);
    assert!(output.text.contains("does not answer `unsupported` to a kind of line"), "{}", output.text);
}

/// What a program does with a cell, and how that is reported.
#[rstest]
#[case::lies_about_its_process(
    "echo '{\"outcome\": \"connected\", \"pid\": 1, \"server_version_num\": \"1\", \"tls\": \"TLSv1.3\"}'; sleep 600",
    100,
    "the client reports that process 1 serves it, but the server has no such connection"
)]
#[case::prints_garbage(
    "echo hello; echo what I think >&2; sleep 600",
    100,
    "docs/client-protocol.md says (expected value"
)]
#[case::dies("echo out of luck >&2; exit 7", 100, "ends without an answer (exit status: 7)\n    out of luck")]
#[case::hangs("exec sleep 600", 100, "waits without end")]
#[case::refuses(
    "echo '{\"outcome\": \"refused\", \"error\": \"no\"}'; cat >/dev/null",
    100,
    "command differs from Kong"
)]
#[case::cannot(
    "echo '{\"outcome\": \"unsupported\", \"reason\": \"no TLS here\"}'; cat >/dev/null",
    // It is the only cell, so that nothing is proved.
    3,
    "cannot: no TLS here"
)]
fn a_program_is_judged_by_what_it_does(#[case] does: &str, #[case] status: i32, #[case] shown: &str) {
    let place = Place::new();
    let program = place.program(&format!("{UNKNOWN}\nread -r line\n{does}"));
    let begun = Instant::now();
    let output = place.run(&["--client-command", &program, "a::a-case*cosocket"]);
    assert_eq!(output.status, Some(status), "{}", output.text);
    assert!(output.text.contains(shown), "{}", output.text);
    assert!(begun.elapsed() < Duration::from_secs(40), "{}", output.text);
}

/// It connects, with psql and in plaintext, and says that it speaks TLS.
#[test]
fn a_false_claim_to_speak_tls_fails_the_cell() {
    let place = Place::new();
    place.write("scenarios/a.yaml", &format!("{GOOD}{OTHERS}").replace("hostssl", "host"));
    let program = place.program(&format!(
        "{UNKNOWN}\nread -r line\nport=${{line#*'\"port\":'}}; port=${{port%%,*}}\n\
         {{ echo 'SELECT pg_backend_pid();'; sleep 20; }} | \
         psql -XqAt \"host=127.0.0.1 port=$port user=kong dbname=kong sslmode=disable\" | while read -r pid; do\n\
         echo \"{{\\\"outcome\\\": \\\"connected\\\", \\\"pid\\\": $pid, \\\"server_version_num\\\": \\\"1\\\", \\\"tls\\\": \\\"TLSv1.3\\\"}}\"\ndone"
    ));
    let output =
        place.run(&["--client-command", &program, "--runtime", "local", "--postgres", "all", "a::a-case*cosocket"]);
    assert_eq!(output.status, Some(100), "{}", output.text);
    assert!(output.text.contains("the client reports TLSv1.3, but pg_stat_ssl shows off"), "{}", output.text);
}

/// A PostgreSQL that is not the one of the cell: it accepts every login in plaintext, in a process with the number 7.
fn foreign_server() -> u16 {
    fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - length.len()];
        stream.read_exact(&mut body)?;
        Ok(body)
    }
    fn serve(mut stream: TcpStream) -> io::Result<()> {
        read(&mut stream)?;
        // AuthenticationOk, BackendKeyData, ReadyForQuery.
        stream.write_all(b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\0\0\0\x01Z\0\0\0\x05I")?;
        let mut kind = [0];
        while stream.read(&mut kind)? == 1 && kind == *b"Q" {
            read(&mut stream)?;
            // CommandComplete, ReadyForQuery.
            stream.write_all(b"C\0\0\0\x09SHOW\0Z\0\0\0\x05I")?;
        }
        Ok(())
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(serve(stream))));
    port
}

#[test]
fn a_connection_to_another_server_fails_the_cell_and_is_shown() {
    let place = Place::new();
    let port = foreign_server();
    place.write(
        "scenarios/a.yaml",
        &format!(
            "title: a scenario\npki: root-only\npostgres: {{ conf: {{ ssl: on }}, hba: [host all all all trust] }}\n\
             kong: {{ pg_host: 127.0.0.1, pg_port: {port}, pg_ssl: off }}\n\
             cases:\n  - name: a case\n    expect: {{ connects: {{ tls: off }} }}\n"
        ),
    );
    let output = place.run(&[]);
    assert_eq!(output.status, Some(100), "{}", output.text);
    let claim = "the client reports that process 7 serves it, but the server has no such connection";
    assert!(
        output.text.contains(claim) && output.text.contains("(none: no connection was received)"),
        "{}",
        output.text
    );
    let cell = &place.results()["cells"][0];
    assert_eq!((&cell["verdict"], &cell["observed"]["connected"]), (&"fail".into(), &false.into()), "{cell:#}");
    assert!(cell["observed"].to_string().contains(claim), "{cell:#}");
}

const DIFFERENCE: &str = "\
rustls:
  - says: ['invalid peer certificate: Other(OtherError(UnsupportedCertVersion))']
    does: refuses
    because: it knows version 3 only
";

#[test]
fn a_difference_is_known_where_it_is_written_and_a_failure_where_it_is_not() {
    let place = Place::new();
    let output = place.run(&["--client", "kong,rustls"]);
    assert_eq!(output.status, Some(100), "{}", output.text);
    assert!(
        output.text.contains("rustls differs from Kong, and differences.yaml has no entry for that"),
        "{}",
        output.text
    );
    place.write("scenarios/differences.yaml", DIFFERENCE);
    let output = place.run(&["--client", "kong,rustls"]);
    assert_eq!(output.status, Some(0), "{}", output.text);
    assert!(output.text.contains("kong and rustls agree in 4 of 6 cells"), "{}", output.text);
    assert!(output.text.contains("   2 differ: it knows version 3 only"), "{}", output.text);
    let agreement = &place.results()["agreement"][0];
    assert_eq!((&agreement["client"], &agreement["agree"]), (&"rustls".into(), &4.into()));
    assert_eq!(agreement["differences"][0]["cells"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_difference_that_no_cell_shows_is_out_of_date_if_all_of_its_cells_were_run() {
    let place = Place::new();
    let stale = "  - cells: ['a::a-*']\n    kong: [no such words]\n    does: connects\n    because: it was once so\n";
    place.write("scenarios/differences.yaml", &format!("{DIFFERENCE}{stale}"));
    let output = place.run(&["--client", "rustls"]);
    assert_eq!(output.status, Some(100), "{}", output.text);
    let line = "scenarios/differences.yaml:5: no cell of this client differs like this any more; remove the entry";
    assert!(output.text.contains(line), "{}", output.text);
    let output = place.run(&["--client", "rustls", "a::a-case*"]);
    assert_eq!(output.status, Some(0), "not all were run: {}", output.text);
}

#[rstest]
#[case("does: refuses", "dose: refuses", "differences.yaml:3:5: unknown key `dose`")]
#[case("does: refuses", "does: refuses\n    cells: ['b::*']", "differences.yaml:4:13: no case matches `b::*`")]
#[case("rustls:", "kong:", "differences.yaml:1:1: unknown key `kong`: expected one of pgmoon, libpq, rustls, command")]
fn a_fault_in_the_differences_is_reported_with_its_position(
    #[case] part: &str,
    #[case] instead: &str,
    #[case] expected: &str,
) {
    let place = Place::new();
    place.write("scenarios/differences.yaml", &DIFFERENCE.replace(part, instead));
    let faults = Suite::of_folder(&place.0.path().join("scenarios")).expect_err("a fault");
    assert!(faults.iter().any(|fault| fault.to_string().contains(expected)), "{faults:#?}");
}

#[test]
fn an_image_that_is_not_named_is_reported_in_one_line() {
    let output = Place::new().run(&["--client", "kong-image"]);
    assert_eq!(output.status, Some(3), "{}", output.text);
    assert!(output.text.starts_with("kong-pg-tls: the client kong-image cannot be used: "), "{}", output.text);
    assert_eq!(output.text.lines().count(), 1, "{}", output.text);
}
