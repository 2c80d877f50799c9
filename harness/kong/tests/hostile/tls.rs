//! Servers that mean harm once they have agreed to TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use kong_pg_client::{ALERTS, Stack, Stage};
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use rstest::rstest;

use crate::chain::Chain;
use crate::peer::{End, Peer, attempt};
use crate::{BOUND, ENDLESS, assert_given_up};

/// A record of TLS 1.2, as it is written in the clear.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("small").to_be_bytes();
    [&[kind, 3, 3], &length[..], body].concat()
}

fn fatal_alert(number: u8) -> Vec<u8> {
    record(21, &[2, number])
}

/// What each stack says of a handshake that fails, with OpenSSL's reason.
fn failed(stack: Stack, reason: &str) -> String {
    if stack == Stack::Cosocket { "handshake failed".into() } else { reason.into() }
}

fn text(end: &End) -> &str {
    assert!(end.sent < BOUND, "{} bytes sent", end.sent);
    &end.refusal.as_ref().expect("an end").text
}

#[rstest]
fn garbage_after_the_agreement_fails_the_handshake(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let end = attempt(stack, "", |peer| {
        peer.answer(b"S")?;
        peer.flood(b"?")
    });
    assert_eq!(text(&end), failed(stack, "wrong version number"));
}

/// OpenSSL skips them, however many there are.
#[rstest]
fn requests_to_shake_hands_again_without_an_end_are_given_up(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let end = attempt(stack, "", |peer| {
        peer.answer(b"S")?;
        peer.take()?;
        // As many as there is room for in a record.
        peer.flood(&record(22, &[0; 1 << 14]))
    });
    assert_given_up(&end, Stage::Handshake, ENDLESS);
}

/// In TLS 1.2, a server may ask for a second handshake. Neither PostgreSQL nor Kong's PostgreSQL does; whatever Kong does
/// then, it has an end.
#[rstest]
fn a_request_to_shake_hands_again_after_the_handshake_has_an_end(
    #[values(Stack::Luasec, Stack::Cosocket)] stack: Stack,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let chain = Chain::new(0, 0);
    let (file, port) = (folder.path().join("server.pem"), free_port());
    let pem = [chain.leaf.to_pem().expect("PEM"), chain.key.private_key_to_pem_pkcs8().expect("PEM")].concat();
    std::fs::write(&file, pem).expect("a file");
    let mut command = Command::new("openssl");
    command.args(["s_server", "-tls1_2", "-accept", &format!("127.0.0.1:{port}"), "-cert"]).arg(&file);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Running(command.spawn().expect("the program openssl"));
    let mut stdin = server.0.stdin.take().expect("a pipe");
    let mut stdout = server.0.stdout.take().expect("a pipe");
    until(&mut stdout, "ACCEPT");
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asks = asked.clone();
    let end = attempt(stack, &format!("pg_ssl_verify = off\n{}", conf("TLSv1.2")), move |peer| {
        peer.answer(b"S")?;
        let server = TcpStream::connect(("127.0.0.1", port))?;
        let asking = std::thread::spawn(move || {
            // Kong's first message is readable in what the program prints.
            until(&mut stdout, "application_name");
            asks.store(stdin.write_all(b"r\n").is_ok(), std::sync::atomic::Ordering::SeqCst);
            let _ = io::copy(&mut stdout, &mut io::sink());
        });
        let copied = pass_on(peer, server);
        drop(asking);
        copied
    });
    assert!(asked.load(std::sync::atomic::Ordering::SeqCst), "the server has asked");
    assert!(end.sent < BOUND, "{} bytes sent", end.sent);
    assert!(end.refusal.is_none_or(|refusal| refusal.stage == Stage::Auth));
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Reads a program's output up to a word.
fn until(output: &mut impl Read, word: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(word) {
        let mut byte = [0];
        if output.read(&mut byte).unwrap_or_default() == 0 {
            return;
        }
        seen.push(byte[0]);
    }
}

#[rstest]
fn warnings_without_an_end_fail_the_handshake(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let end = attempt(stack, "", |peer| {
        peer.answer(b"S")?;
        peer.take()?;
        peer.flood(&record(21, &[1, 90]))
    });
    assert_eq!(text(&end), failed(stack, "too many warn alerts"));
}

#[rstest]
fn each_alert_in_place_of_a_hello_is_reported(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    for (number, name) in ALERTS {
        let end = attempt(stack, "", move |peer| {
            peer.answer(b"S")?;
            peer.take()?;
            peer.send(&fatal_alert(u8::try_from(number).expect("small")))?;
            peer.wait()
        });
        let refusal = end.refusal.expect("an end");
        assert_eq!((refusal.stage, refusal.alert), (Stage::Handshake, Some(name)), "{}", refusal.text);
    }
}

/// What a server does after some of its records of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Alerts,
    Closes,
    IsSilent,
    SendsGarbage,
    FloodsWithWarnings,
}

/// The handshake of a real server up to each of its records, and then something else.
#[rstest]
fn a_handshake_that_breaks_off_has_an_end(
    #[values(Stack::Luasec, Stack::Cosocket)] stack: Stack,
    #[values("TLSv1.2", "TLSv1.3")] version: &str,
    #[values(Then::Alerts, Then::Closes, Then::IsSilent, Then::SendsGarbage, Then::FloodsWithWarnings)] then: Then,
) {
    // Of those that wait for their caller, not all.
    let step = if then == Then::IsSilent { 2 } else { 1 };
    for records in (0..8).step_by(step) {
        let (end, done) = break_off(stack, version, records, then);
        assert!(end.sent < BOUND, "{} bytes sent", end.sent);
        // LuaSec has no limit of time in TLS.
        let waits = then == Then::IsSilent && stack == Stack::Luasec;
        assert_eq!(end.refusal.is_none(), waits, "after {records} records: {:?}", end.refusal);
        if !done {
            assert!(records > 3, "a server has more records than {records}");
            break;
        }
    }
}

/// How the attempt ended, and whether the server has come so far as to break off.
fn break_off(stack: Stack, version: &str, records: usize, then: Then) -> (End, bool) {
    let (sender, done) = std::sync::mpsc::channel();
    let chain = Chain::new(0, 0);
    let conf = format!("pg_ssl_verify = off\n{}", conf(version));
    let end = attempt(stack, &conf, move |peer| {
        peer.answer(b"S")?;
        let mut server = tls_server(chain);
        let mut client = peer.stream.try_clone()?;
        let mut to_server = server.try_clone()?;
        let up = std::thread::spawn(move || {
            let _ = io::copy(&mut client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        for _ in 0..records {
            let mut header = [0; 5];
            server.read_exact(&mut header)?;
            let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
            server.read_exact(&mut body)?;
            peer.send(&[&header[..], &body].concat())?;
        }
        let _ = sender.send(());
        let result = act(peer, then);
        if then != Then::IsSilent {
            let _ = peer.stream.shutdown(Shutdown::Both);
        }
        // Until the client has gone.
        up.join().expect("a thread");
        result
    });
    (end, done.try_recv().is_ok())
}

fn act(peer: &mut Peer, then: Then) -> io::Result<()> {
    match then {
        Then::Closes | Then::IsSilent => Ok(()),
        Then::Alerts => peer.send(&fatal_alert(40)),
        Then::SendsGarbage => peer.flood(b"?"),
        Then::FloodsWithWarnings => peer.flood(&record(21, &[1, 90])),
    }
}

/// Both stacks on one version.
fn conf(version: &str) -> String {
    let luasec = version.to_lowercase().replace('.', "_");
    format!("pg_ssl_version = {luasec}\nlua_ssl_protocols = {version}\n")
}

/// A real TLS server, which shakes hands, reads and says nothing more. Returns the connection to it.
fn tls_server(chain: Chain) -> TcpStream {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("a server");
    acceptor.set_min_proto_version(Some(SslVersion::TLS1_2)).expect("versions");
    acceptor.set_private_key(&chain.key).expect("a key");
    acceptor.set_certificate(&chain.leaf).expect("a certificate");
    for intermediate in chain.intermediates {
        acceptor.add_extra_chain_cert(intermediate).expect("a certificate");
    }
    let acceptor = acceptor.build();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        // The other side may break off.
        if let Ok(mut stream) = acceptor.accept(stream) {
            let _ = io::copy(&mut stream, &mut io::sink());
        }
    });
    TcpStream::connect(address).expect("a connection")
}

/// An attempt at a real TLS server with a chain, whose root Kong trusts.
fn with_chain(stack: Stack, depth: u32, chain: Chain) -> End {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = folder.path().join("root.crt");
    std::fs::write(&trusted, chain.root.to_pem().expect("a certificate")).expect("a file");
    let trusted = trusted.display();
    let conf = format!(
        "{}pg_ssl_verify = on\nlua_ssl_verify_depth = {depth}\nlua_ssl_trusted_certificate = {trusted}\n",
        conf("TLSv1.3")
    );
    attempt(stack, &conf, move |peer| {
        peer.answer(b"S")?;
        pass_on(peer, tls_server(chain))
    })
}

/// Passes bytes on in both directions, until both sides have ended.
fn pass_on(peer: &mut Peer, mut server: TcpStream) -> io::Result<()> {
    let (mut client, mut to_server) = (peer.stream.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || {
        let _ = io::copy(&mut client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let copied = io::copy(&mut server, &mut peer.stream).map(drop);
    up.join().expect("a thread");
    copied
}

/// OpenSSL takes 100 kB of certificates, as Kong's does.
#[rstest]
fn a_certificate_of_a_megabyte_fails_the_handshake(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let end = with_chain(stack, 1, Chain::new(0, 1 << 20));
    assert_eq!(text(&end), failed(stack, "excessive message size"));
}

#[rstest]
#[case::luasec(Stack::Luasec, 99, 1, "receive_message: failed to get type: timeout")]
#[case::luasec_too_many(Stack::Luasec, 101, 1, "certificate verify failed")]
#[case::cosocket(Stack::Cosocket, 100, 100, "receive_message: failed to get type: timeout")]
#[case::cosocket_too_many(Stack::Cosocket, 100, 1, "20: unable to get local issuer certificate")]
fn a_chain_of_a_hundred_is_verified(
    #[case] stack: Stack,
    #[case] intermediates: usize,
    #[case] depth: u32,
    #[case] expected: &str,
) {
    let end = with_chain(stack, depth, Chain::new(intermediates, 0));
    let waits = stack == Stack::Luasec && expected.ends_with("timeout");
    match end.refusal {
        None => assert!(waits, "LuaSec has no limit of time in TLS"),
        Some(refusal) => assert_eq!(refusal.text, expected),
    }
}
