//! A server that sends without an end, in place of the suite's own: every client ends in time and within bounds of memory.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::place::{Place, ProgramOutput};
use kong_pg_tls::judge::{Attempt, Verdict};
use kong_pg_tls::record::Results;
use procfs::process::Process;
use rstest::rstest;

/// How much memory a process may take under attack, in KiB.
const MEMORY: u64 = 400 * 1024;

const SCENARIO: &str = "\
title: a scenario
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_host: 127.0.0.1, pg_port: PORT, pg_timeout: 2000 }
cases:
  - name: a case
    expect: { connects: { tls: off } }
";

#[rstest]
#[case::messages(b"N\0\0\0\x0dSNOTICE\0\0", 0)]
#[case::a_message(b"xxxxxxxxxxxxxxxx", i32::MAX)]
fn a_server_without_an_end_has_one_with_every_client(
    #[values("kong", "rustls", "libpq")] client: &str,
    #[case] part: &'static [u8],
    #[case] length: i32,
) {
    let place = Place::new();
    let port = flood(part, length);
    std::fs::create_dir(place.path().join("scenarios")).expect("a folder");
    std::fs::write(place.path().join("scenarios/a.yaml"), SCENARIO.replace("PORT", &port.to_string())).expect("a file");
    let mut program = place
        .program(&["run", "--scenarios", "scenarios", "--client", client, "--stack", "cosocket"])
        .spawn()
        .expect("a start");
    let (begun, mut highest) = (Instant::now(), 0);
    while program.try_wait().expect("a program").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it still runs");
        let status = Process::new(program.id().cast_signed()).and_then(|process| process.status());
        highest = highest.max(status.ok().and_then(|status| status.vmhwm).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = ProgramOutput::new(program.wait_with_output().expect("an end"));
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(0 < highest && highest < MEMORY, "{highest} KiB");
    let results = Results::read(&place.path().join("target/kong-pg-tls/latest")).expect("results");
    let [cell] = &results.cells[..] else { panic!("one cell: {results:#?}") };
    assert_eq!(cell.verdict, Verdict::Fail);
    let attempt = &cell.observation().expect("an observation").attempt;
    assert!(matches!(attempt, Attempt::Refused(_) | Attempt::Hung), "{attempt:?}");
    println!("{client}: {highest} KiB, {attempt:?}");
    assert_eq!(place.left(), [""; 0]);
}

/// A server that lets everybody in and then sends the same for ever, as a message of its own or as a part of one. Returns its
/// port; it ends with the test.
fn flood(bytes: &'static [u8], length: i32) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
                let _ = stream.write_all(b"R\0\0\0\x08\0\0\0\0");
                if length > 0 {
                    let _ = stream.write_all(&[b"S", &length.to_be_bytes()[..]].concat());
                }
                let parts = bytes.repeat(4096);
                while stream.write_all(&parts).is_ok() {}
            });
        }
    });
    port
}
