//! The command that measures what TLS costs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::place::{Place, kill};
use kong_pg_tls::bench::{Measurements, claims, page, write_document};

/// Round trips are counted, not timed: they are the same on every machine.
#[test]
fn each_wait_for_the_server_is_counted_and_explained() {
    let place = Place::new();
    let modes = [
        "1-versions::plaintext@*",
        "1-versions::tls-1-2@*",
        "1-versions::tls-1-3@*",
        "4-passwords::*",
        "5-key-exchange::p-256-at-once@*",
    ];
    let arguments = [&["bench", "--quick", "--rounds", "1", "--out", "out"], &modes[..]].concat();
    let output = place.run(&arguments);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let measured = Measurements::read(&place.path().join("out/bench.json")).expect("measurements");
    let trips = |mode: &str| {
        measured.distances.iter().find(|distance| distance.mode == mode).map(|distance| distance.round_trips)
    };
    for distance in &measured.distances {
        assert_eq!(distance.round_trips, distance.because.sum(), "{}", distance.mode);
    }
    let plaintext = trips("plaintext").expect("counted");
    assert_eq!(trips("TLS 1.2"), Some(plaintext + 3), "SSLRequest, and two for the handshake");
    assert_eq!(trips("plaintext, SCRAM"), Some(plaintext + 2));
    let postgres = measured.distances.first().expect("a server").postgres;
    let hello_retry = usize::from(postgres < 18);
    assert_eq!(trips("TLS 1.3"), Some(plaintext + 2 + hello_retry));
    assert_eq!(trips("P-256 at once"), Some(plaintext + 2));
    assert!(
        output.stdout.lines().all(|line| line.chars().count() <= 80 || line.starts_with("not measured")),
        "{output:#?}"
    );
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_file_without_measurements_is_wrong_usage() {
    let place = Place::new();
    std::fs::write(place.path().join("none.json"), "{\"format\": 7}").expect("a file");
    let output = place.run(&["bench", "--compare", "none.json"]);
    assert_eq!(output.status, Some(2));
    assert!(output.stderr.contains("none.json has format 7; this program reads 1"), "{output:#?}");
    let output = place.run(&["bench", "--show", "missing.json"]);
    assert_eq!(output.status, Some(2));
    assert!(output.stderr.contains("cannot read missing.json"), "{output:#?}");
}

/// The page is made by `kong-pg-tls bench --document docs`; with `UPDATE_DOCS=1`, again from the same measurements.
#[test]
fn the_page_is_made_of_its_measurements_and_they_bear_out_all_that_it_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let measured = Measurements::read(&docs.join("performance.json")).expect("measurements");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        write_document(&docs, &measured).expect("the page can be written");
    }
    let claims = claims(&measured);
    assert_eq!(claims.len(), 9, "a claim has no figures");
    let refuted: Vec<_> = claims.iter().filter(|claim| !claim.holds).map(|claim| &claim.text).collect();
    assert!(refuted.is_empty(), "{refuted:#?}");
    assert_eq!(std::fs::read_to_string(docs.join("performance.md")).expect("the page"), page(&measured));
}

/// The server of a test, on a port that is known.
struct Served(Child, u16);

impl Served {
    fn start(place: &Place) -> Self {
        let port =
            std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address").port();
        let cell = "tls/on-and-off::kong-connects.ssl-on.pg_ssl-on.required.not-verifying";
        let mut up = place.program(&["up", cell, "--port", &port.to_string()]);
        let mut child = up.stderr(Stdio::null()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // It prints what there is once the server is up, and then its log, which has to be read.
        lines.next().expect("a server").expect("text");
        std::thread::spawn(move || lines.for_each(drop));
        Self(child, port)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        kill(&self.0, "INT");
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_of_the_users_is_measured_as_far_as_it_lets_kong_in_and_no_password_is_printed() {
    let place = Place::new();
    let Served(_, port) = &Served::start(&place);
    let dsn = format!("postgresql://kong:top-secret@127.0.0.1:{port}/kong");
    let output = place.run(&["bench", "--server", &dsn, "--quick", "--rounds", "1", "--out", "out"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(
        output.stderr.contains(&format!("connects to 127.0.0.1:{port} as kong, database kong, at most ")),
        "{output:#?}"
    );
    let measured = Measurements::read(&place.path().join("out/bench.json")).expect("measurements");
    assert!(measured.handshake("TLS 1.3", "kong luasec").is_some(), "{measured:#?}");
    let written = std::fs::read_to_string(place.path().join("out/bench.json")).expect("a file");
    assert!([output.stdout, output.stderr, written].iter().all(|text| !text.contains("top-secret")));
}

#[test]
fn a_server_that_is_not_there_is_a_failure_of_the_environment() {
    let place = Place::new();
    let output = place.run(&["bench", "--server", "postgresql://kong:top-secret@127.0.0.1:1/kong", "--quick"]);
    assert_eq!(output.status, Some(3), "{output:#?}");
    assert!(output.stderr.contains("cannot reach the server") && !output.stderr.contains("top-secret"), "{output:#?}");
}
