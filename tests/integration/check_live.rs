//! `kong-pg-tls check --live`: against a real server, and against what an operator may find in its place.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::place::{Place, ProgramOutput};
use crate::server::{self, RealServer};
use rstest::rstest;

/// A real server with TLS, and a place with the certificates for it.
async fn server_in_a_place(hba: &[&str]) -> (RealServer, Place) {
    let (root, place) = (Some("root"), Place::new());
    let mut tree = server::tree(&[
        ("root", "/CN=root", None),
        ("foreign", "/CN=foreign", None),
        ("server", "/CN=db", root),
        ("client", "/CN=kong", root),
    ]);
    let server = tree.certificates.get_mut("server").expect("a certificate");
    server.san = Some(vec!["DNS:db.example.com".into(), "IP:127.0.0.1".into()]);
    server::write(&tree, &place);
    (RealServer::start(&server::with_certificates_of(&place, hba)).await, place)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_shown_with_its_chain_and_both_logins() {
    let (mut server, place) = server_in_a_place(&["hostssl all all all cert"]).await;
    let (host, port) = server.lease.server().address();
    let conf = format!(
        "pg_host = {host}\npg_port = {port}\npg_ssl = on\npg_ssl_required = on\npg_ssl_verify = on\n\
         lua_ssl_trusted_certificate = root.crt\npg_ssl_cert = client.crt\npg_ssl_cert_key = client.key\n"
    );
    std::fs::write(place.path().join("kong.conf"), &conf).expect("a file");
    let output = place.run(&["check", "kong.conf", "--live"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    for part in [
        "one login on each of its two",
        "The server: TLSv1.3, TLS_",
        "/CN=db\n    issued by /CN=root",
        "for db.example.com, 127.0.0.1",
        "asks for a client certificate of: /CN=root",
        "LuaSec, while Kong starts: connected",
        "a cosocket, in Kong's workers: connected",
        "Kong connects.",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    std::fs::write(place.path().join("kong.conf"), conf.replace("= root.crt", "= foreign.crt")).expect("a file");
    let output = place.run(&["check", "kong.conf", "--live"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    for part in [
        "server_version_num: certificate verify failed",
        "20: unable to get local issuer certificate",
        "Kong does not connect.",
        "Printed by Kong",
        "fails in ",
    ] {
        let other =
            part.replace("20: unable to get local issuer certificate", "self-signed certificate in certificate chain");
        assert!(output.stdout.contains(part) || output.stdout.contains(&other), "{part}: {}", output.stdout);
    }
    let told = place.run(&["check", "kong.conf", "--live", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&told.stdout).expect("one document");
    let live = &document["live"];
    assert_eq!((told.status, &live["connects"]), (Some(100), &false.into()), "{told:#?}");
    assert_eq!((&live["chain"][0]["subject"], &live["attempts"][0]["outcome"]), (&"/CN=db".into(), &"refused".into()));
    let causes = live["diagnosis"]["causes"].as_array().expect("causes");
    assert!(causes.iter().take(3).any(|cause| cause["code"] == "ca-not-trusted"), "{causes:#?}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_sees_both_sides_and_no_password_is_shown() {
    let hba = ["host all postgres all trust", "hostssl all all all cert map=nobody", "hostssl all all all md5"];
    let (mut server, place) = server_in_a_place(&hba).await;
    let (host, port) = server.lease.server().address();
    let conf = format!(
        "pg_host = {host}\npg_port = {port}\npg_user = kong\npg_ssl = on\npg_ssl_required = on\npg_ssl_verify = on\n\
         lua_ssl_trusted_certificate = root.crt\npg_password = secret-of-kong\n"
    );
    std::fs::write(place.path().join("kong.conf"), &conf).expect("a file");
    let dsn = format!("postgres://postgres:secret-of-admin@{host}:{port}/postgres");
    let output = place.run(&["check", "kong.conf", "--live", "--as-superuser", &dsn]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    for part in [
        "The server's side is read as postgres@",
        "connection requires a valid client certificate",
        "The server's side: PostgreSQL ",
        "  ssl_ca_file = root.crt  (",
        "pg_hba.conf:2: hostssl all all all cert map=nobody",
        "  role kong: may log in, has a password for SCRAM\n",
        "not seen: the log: logging_collector is off; name the log with --log",
        "What of it does not fit Kong:",
        "error[client-certificate-wanted]",
        "warning[hba-shadowed]",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    assert!(!format!("{output:?}").contains("secret-of"), "{output:#?}");

    let conf = conf.replace("pg_user = kong", "pg_user = postgres");
    std::fs::write(place.path().join("kong.conf"), &conf).expect("a file");
    let output = place.run(&["check", "kong.conf", "--live", "--as-superuser", &dsn, "--json"]);
    let document: serde_json::Value = serde_json::from_str(&output.stdout).expect("one document");
    let live = &document["live"];
    assert_eq!(live["connects"], true, "{live:#}");
    for attempt in live["attempts"].as_array().expect("attempts") {
        let seen = attempt["seen"].as_str().expect("what the server shows");
        assert!(seen.starts_with("TLSv1.") && seen.contains(", no client certificate, user postgres, from "), "{seen}");
    }
    let rule = live["server"]["rules"][1]["line"].as_str();
    assert!(rule.is_some_and(|line| line.starts_with("hostssl all all all cert map=nobody")), "{live:#}");

    let other = format!("postgres://postgres@{host}:{port}/no-such-database");
    let output = place.run(&["check", "kong.conf", "--live", "--as-superuser", &other]);
    assert_eq!(output.status, Some(0), "Kong connects all the same: {output:#?}");
    assert!(
        output.stdout.contains("cannot be read: db error: FATAL: database \"no-such-database\""),
        "{}",
        output.stdout
    );
    server.close().await;
}

#[test]
fn what_is_no_connection_string_has_a_clear_end() {
    let output = Place::new().run(&["check", "--live", "--host", "127.0.0.1", "--as-superuser", "nonsense"]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains("expected one like postgres://"), "{output:#?}");
}

/// What stands where a server should be.
#[derive(Debug, Clone, Copy)]
enum Peer {
    Absent,
    Silent,
    Http,
    WithoutTls,
    NoHandshake,
    Closes,
}

/// Answers connections until the test ends; the port of it.
fn stand_in(peer: Peer) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    if matches!(peer, Peer::Absent) {
        return port;
    }
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(connection, peer));
        }
    });
    port
}

fn answer(mut connection: TcpStream, peer: Peer) {
    let mut request = [0; 8];
    if connection.read_exact(&mut request).is_err() {
        return;
    }
    let answer: &[u8] = match peer {
        Peer::Http => b"HTTP/1.1 400 Bad Request\r\n\r\n",
        Peer::WithoutTls => b"N",
        Peer::NoHandshake => b"S",
        Peer::Absent | Peer::Silent | Peer::Closes => b"",
    };
    // The program may have gone already.
    let _ = connection.write_all(answer);
    if !matches!(peer, Peer::Closes | Peer::Http) {
        std::thread::sleep(Duration::from_secs(30));
    }
}

#[rstest]
#[case::nothing_listens(Peer::Absent, "Connection refused", "server_version_num: connection refused")]
#[case::silent(Peer::Silent, "no answer to the question for TLS", "server_version_num: timeout")]
#[case::http(Peer::Http, "it speaks HTTP", "the server does not support SSL connections")]
#[case::without_tls(Peer::WithoutTls, "has no TLS", "the server does not support SSL connections")]
#[case::no_handshake(Peer::NoHandshake, "no handshake comes about", "nothing, given up after 2 s")]
#[case::closes(Peer::Closes, "it closes the connection", "server_version_num: closed")]
fn what_is_not_a_server_has_a_clear_end(#[case] peer: Peer, #[case] seen: &str, #[case] message: &str) {
    let place = Place::new();
    let port = stand_in(peer).to_string();
    let conf = "pg_host = 127.0.0.1\npg_ssl = on\npg_ssl_required = on\npg_ssl_verify = off\n";
    std::fs::write(place.path().join("kong.conf"), conf).expect("a file");
    let began = Instant::now();
    let output = place.run(&["check", "kong.conf", "--live", "--port", &port, "--timeout", "1"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(output.stdout.contains(seen) && output.stdout.contains(message), "{output:#?}");
    assert!(began.elapsed() < Duration::from_secs(25), "it took {:?}", began.elapsed());
}

#[test]
fn a_host_that_leads_nowhere_has_a_clear_end() {
    let output: ProgramOutput =
        Place::new().run(&["check", "--live", "--host", "no-such-host.invalid", "--timeout", "2"]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    assert!(output.stdout.contains("no-such-host.invalid cannot be resolved"), "{output:#?}");
}

#[test]
fn a_kong_without_a_database_is_not_connected_as() {
    let place = Place::new();
    std::fs::write(place.path().join("kong.conf"), "database = off\n").expect("a file");
    let output = place.run(&["check", "kong.conf", "--live"]);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains("does not use PostgreSQL"), "{output:#?}");
}
