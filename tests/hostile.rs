//! Clients that attack the proxies of the suite. Everything ends in time and within bounds of memory. Servers that attack
//! the emulated Kong: harness/kong/tests/hostile; that attack other clients: tests/integration/flood.rs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use certificate_trees::{Authority, Certificate};
use kong_pg_scenarios::suite::Suite;
use kong_pg_scenarios::vocabulary::Behaviour;
use kong_pg_tls::proxy::Proxy;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use procfs::process::Process;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// How much memory a process may take under attack, in KiB.
const MEMORY: u64 = 400 * 1024;
/// How long an attack on a proxy lasts.
const ATTACK: Duration = Duration::from_millis(500);
/// How long a proxy may take to end: two seconds, on a machine that is busy with other tests.
const END: Duration = Duration::from_secs(10);

const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
/// A TLS record that says it is as long as can be.
const RECORD: &[u8] = b"\x16\x03\x03\xff\xff";

/// Every behaviour of the proxies.
fn behaviours() -> Vec<Behaviour> {
    let schema = serde_json::to_value(schemars::schema_for!(Behaviour)).expect("a schema");
    let all = schema["oneOf"].as_array().expect("variants").iter();
    all.map(|variant| serde_json::from_value(variant["const"].clone()).expect("a behaviour")).collect()
}

/// A server that agrees to TLS and echoes everything else, for any number of connections. `open` is how many there are.
async fn echo_server(open: Arc<AtomicUsize>) -> (String, u16) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let open = open.clone();
            open.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                if stream.read_exact(&mut [0; 8]).await.is_ok() && stream.write_all(b"S").await.is_ok() {
                    let (mut from, mut to) = stream.split();
                    let _ = copy(&mut from, &mut to).await;
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    ("127.0.0.1".to_owned(), port)
}

fn certificate() -> Certificate {
    let tree = Suite::built_in().expect("a suite").tree("root-only").expect("a tree");
    Authority::new(PathBuf::new()).certificate(&tree, "server").expect("a certificate")
}

async fn proxy(behaviour: Behaviour, open: Arc<AtomicUsize>) -> Proxy {
    Proxy::start(behaviour, Some(certificate()), echo_server(open).await).await.expect("a proxy")
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let (host, port) = proxy.address();
    TcpStream::connect((host.as_str(), port)).await.expect("a connection")
}

/// Ends the proxy in time. Returns how many connections to the server it has opened.
async fn stop(proxy: Proxy, what: &str) -> usize {
    let begun = Instant::now();
    let opened = proxy.stop().await;
    assert!(begun.elapsed() < END, "{what}: the proxy took {:?} to end", begun.elapsed());
    opened
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    /// Says nothing.
    IsSilent,
    /// The beginning of the request for TLS.
    IsHalfOpen,
    /// One byte after the other.
    IsSlow,
    FloodsWith(&'static [u8]),
    FloodsInTlsWith(&'static [u8]),
}

/// Attacks for a while; the proxy may leave at any time. What it sends is read, or not.
async fn attack(proxy: &Proxy, attack: Attack, reads: bool) {
    let (mut from, mut to) = connect(proxy).await.into_split();
    let reading = async {
        if reads {
            let _ = copy(&mut from, &mut sink()).await;
        }
        std::future::pending::<()>().await;
    };
    let attacking = async {
        let (first, part) = match attack {
            Attack::IsSilent => (&b""[..], &b""[..]),
            Attack::IsHalfOpen => (&SSL_REQUEST[..5], &b""[..]),
            Attack::IsSlow => {
                for byte in SSL_REQUEST.iter().chain(&RECORD.repeat(100)) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    if to.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                }
                (&b""[..], &b""[..])
            }
            Attack::FloodsWith(part) => (&b""[..], part),
            Attack::FloodsInTlsWith(part) => (SSL_REQUEST, part),
        };
        let parts = part.repeat((1 << 16) / part.len().max(1));
        let mut alive = to.write_all(first).await.is_ok();
        while alive && !parts.is_empty() {
            alive = to.write_all(&parts).await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    let _ = tokio::time::timeout(ATTACK, async { tokio::join!(reading, attacking) }).await;
}

/// All at once, at several proxies.
#[test]
fn attacks_on_a_proxy_end_within_bounds() {
    const ATTACKS: [Attack; 9] = [
        Attack::IsSilent,
        Attack::IsHalfOpen,
        Attack::IsSlow,
        Attack::FloodsWith(b"\0"),
        Attack::FloodsWith(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"),
        Attack::FloodsWith(RECORD),
        Attack::FloodsInTlsWith(RECORD),
        Attack::FloodsInTlsWith(b"\x16\x03\x03\x00\x04\x01\xff\xff\xff"),
        Attack::FloodsInTlsWith(b"\x15\x03\x03\x00\x02\x01\x5a"),
    ];
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for behaviours in behaviours().chunks(7) {
        reset_peak();
        let attacked = behaviours.iter().map(|behaviour| async move {
            let proxy = proxy(*behaviour, Arc::default()).await;
            let attacks = ATTACKS.into_iter().flat_map(|kind| [(kind, true), (kind, false)]);
            let attacks = attacks.map(|(kind, reads)| attack(&proxy, kind, reads));
            futures_util::future::join_all(attacks).await;
            stop(proxy, &format!("{behaviour:?}")).await;
        });
        runtime.block_on(futures_util::future::join_all(attacked));
        let peak = peak();
        assert!(peak < MEMORY, "{behaviours:?}: {peak} KiB");
    }
}

/// 10,000 come and go, some with a reset before they are served, and another 180 stay, of which a hundred have to wait in the system's queue.
#[tokio::test]
async fn thousands_of_connections_do_not_exhaust_a_proxy() {
    let open = Arc::new(AtomicUsize::new(0));
    let proxy = proxy(Behaviour::PassesThrough, open.clone()).await;
    for number in 0..10_000 {
        let mut stream = connect(&proxy).await;
        if number % 2 == 0 {
            stream.set_zero_linger().expect("a reset");
            continue;
        }
        stream.write_all(SSL_REQUEST).await.expect("sent");
        let answer = tokio::time::timeout(END, stream.read_u8()).await.expect("in time").expect("an answer");
        assert_eq!(answer, b'S');
    }
    let mut kept = Vec::new();
    for _ in 0..180 {
        kept.push(connect(&proxy).await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let open = open.load(Ordering::SeqCst);
    assert!((1..=64).contains(&open), "{open} connections to the server");
    drop(kept);
    let mut stream = connect(&proxy).await;
    stream.write_all(SSL_REQUEST).await.expect("sent");
    let answer = tokio::time::timeout(END, stream.read_u8()).await.expect("in time").expect("an answer");
    assert_eq!(answer, b'S', "the next client is served as ever");
    drop(stream);
    stop(proxy, "after a flood").await;
}

/// Scripts of tlsfuzzer that send what no client does.
const SCRIPTS: [&str; 10] = [
    "test-tls13-record-layer-limits.py",
    "test-tls13-zero-length-data.py",
    "test-tls13-keyupdate.py",
    "test-tls13-finished.py",
    "test-tls13-ccs.py",
    "test-invalid-content-type.py",
    "test-truncating-of-client-hello.py",
    "test-record-layer-fragmentation.py",
    "test-large-hello.py",
    // In the end, an ordinary conversation.
    "test-tls13-conversation.py",
];

/// Whether rustls answers as tlsfuzzer expects does not matter here, but that the proxy withstands it.
#[test]
#[ignore = "needs a checkout of tlsfuzzer in KONG_PG_TLS_TLSFUZZER, and a python with tlslite-ng in KONG_PG_TLS_PYTHON"]
fn a_proxy_that_ends_tls_withstands_tlsfuzzer() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (checkout, python) = (variable("KONG_PG_TLS_TLSFUZZER"), variable("KONG_PG_TLS_PYTHON"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let certificate = certificate();
    let proxy = runtime.block_on(async {
        let server = tls_echo_server(&certificate).await;
        Proxy::start(Behaviour::TakesTlsAtOnce, Some(certificate), server).await.expect("a proxy")
    });
    let port = proxy.address().1.to_string();
    reset_peak();
    for script in SCRIPTS {
        let mut command = std::process::Command::new("timeout");
        command.args(["100", &python, &format!("scripts/{script}"), "-p", &port]).current_dir(&checkout);
        let output = command.env("PYTHONPATH", ".").output().expect("the program timeout");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let of = |name: &str| text.lines().rfind(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        println!("{script}: {}; {}; {}", output.status, of("PASS:"), of("FAIL:"));
        let is_over =
            output.status.code() != Some(124) && (!script.contains("conversation") || output.status.success());
        assert!(is_over, "{script}: {text}");
    }
    let peak = peak();
    println!("{peak} KiB");
    assert!(peak < MEMORY, "{peak} KiB");
    runtime.block_on(stop(proxy, "tlsfuzzer"));
}

/// A server that agrees to TLS, and echoes what is in it.
async fn tls_echo_server(certificate: &Certificate) -> (String, u16) {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("a server");
    acceptor.set_private_key(&certificate.key).expect("a key");
    acceptor.set_certificate(&certificate.x509).expect("a certificate");
    let acceptor = acceptor.build();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let ssl = Ssl::new(acceptor.context()).expect("a session");
            tokio::spawn(async move {
                if stream.read_exact(&mut [0; 8]).await.is_err() || stream.write_all(b"S").await.is_err() {
                    return;
                }
                let mut stream = Box::pin(SslStream::new(ssl, stream).expect("a stream"));
                if stream.as_mut().accept().await.is_ok() {
                    let (mut from, mut to) = tokio::io::split(stream);
                    let _ = copy(&mut from, &mut to).await;
                }
            });
        }
    });
    ("127.0.0.1".to_owned(), port)
}

/// From here on the peak of this process is that of what follows.
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak is reset");
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = Process::myself().and_then(|process| process.status()).expect("this process");
    status.vmhwm.expect("a peak")
}
