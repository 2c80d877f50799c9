//! Real servers, one at a time: what a lease promises to the case that has it.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use certificate_trees::{CertificateSpec, Forge, KeyType, Tree};
use kong_pg_tls::runfolder::RunFolder;
use kong_pg_tls::session::RuntimeRequest;
use postgres_tls_server::ApplyMode;
use postgres_tls_server::Major;
use postgres_tls_server::{Configuration, File, Pool, Start};

/// A pool of the servers that are here, and one major of them.
async fn pool() -> (Arc<Pool>, Major) {
    let mut request = RuntimeRequest::default();
    if let Ok(runtime) = std::env::var("KONG_PG_TLS_RUNTIME") {
        request.choice = runtime.parse().expect("a runtime");
    }
    let folder = Arc::new(RunFolder::create().expect("a folder"));
    let chosen = request.find(&[], &folder).await.expect("something to run servers with");
    let major = chosen.runtime.offers().last().expect("a server").major;
    (Pool::new(chosen.runtime, 1, kong_pg_tls::roles::statements()), major)
}

/// A configuration with a certificate that is its own issuer.
fn configuration(by: ApplyMode) -> Configuration {
    let spec = CertificateSpec {
        subject: Some("/CN=server".into()),
        key: Some(KeyType::EcdsaP256),
        ..CertificateSpec::default()
    };
    let tree = Tree { certificates: BTreeMap::from([("server".to_owned(), spec)]), ..Tree::default() };
    let forge = Forge::new(std::env::temp_dir());
    let file = |name: &str| File::of_database_user(forge.file(&tree, name).expect("a file"));
    Configuration {
        conf: vec![("ssl".into(), "on".into())],
        hba: vec!["hostssl all all all trust".into()],
        files: ["server.crt", "server.key"].map(|name| (name.to_owned(), file(name))).into(),
        by,
        ..Configuration::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_has_taken_is_exchanged_for_another() {
    let (pool, major) = pool().await;
    let mut lease = pool.lease(major, &configuration(ApplyMode::Start)).await.expect("a server");
    let server = lease.server();
    assert_eq!(server.start(&configuration(ApplyMode::Start), false).await.expect("a start"), Start::Up(Vec::new()));
    let (host, port) = server.address();
    server.stop().await.expect("a stop");
    // In a container the engine holds the port for as long as there is a container.
    let taken = TcpListener::bind((host.as_str(), port));
    let other = Configuration { ident: vec!["map a b".into()], ..configuration(ApplyMode::Start) };
    assert_eq!(server.start(&other, false).await.expect("a start"), Start::Up(Vec::new()));
    assert_eq!(server.address().1 != port, taken.is_ok());
    drop(lease);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_in_force_when_it_returns_and_says_what_went_wrong() {
    let (pool, major) = pool().await;
    let good = configuration(ApplyMode::Reload);
    let mut lease = pool.lease(major, &good).await.expect("a server");
    let server = lease.server();
    assert_eq!(server.reload(&good).await.expect("a reload"), [""; 0]);
    assert!(server.has(&good));
    let mut bad = good.clone();
    bad.files.remove("server.key");
    let said = server.reload(&bad).await.expect("a reload");
    assert!(said.iter().any(|line| line == "LOG:  SSL configuration was not reloaded"), "{said:?}");
    assert!(!server.has(&bad) && !server.has(&good), "nobody knows what is in force now");
    assert_eq!(server.reload(&good).await.expect("a reload"), [""; 0]);
    drop(lease);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_start_is_remembered_and_nobody_answers_at_its_address() {
    let (pool, major) = pool().await;
    let mut bad = configuration(ApplyMode::Start);
    bad.files.remove("server.crt");
    let mut lease = pool.lease(major, &bad).await.expect("a server");
    let server = lease.server();
    let expected =
        vec!["FATAL:  could not load server certificate file \"server.crt\": No such file or directory".to_owned()];
    assert_eq!(server.start(&bad, false).await.expect("an answer"), Start::Failed(expected));
    assert!(server.has(&bad) && !server.is_up());
    assert!(TcpStream::connect(server.address()).is_err());
    drop(lease);
    let mut again = pool.lease(major, &bad).await.expect("a server");
    assert!(again.server().has(&bad), "the next lease gets the same server");
    drop(again);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_connection_is_complete_when_it_is_handed_out() {
    let (pool, major) = pool().await;
    let mut lease = pool.lease(major, &configuration(ApplyMode::Reload)).await.expect("a server");
    let server = lease.server();
    server.reload(&configuration(ApplyMode::Reload)).await.expect("a reload");
    for _ in 0..20 {
        let mark = server.mark();
        let (host, port) = server.address();
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect((host, port)).expect("a connection");
            std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").expect("a write");
        })
        .await
        .expect("no panic");
        let seen = server.observed(mark, 1, &[]).await.expect("a log");
        assert!(seen.log[0].starts_with("LOG:  connection received: host="), "{seen:?}");
        assert_eq!(seen.relevant_lines, ["LOG:  invalid length of startup packet"], "{seen:?}");
    }
    drop(lease);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_which_openssl_it_is_linked_with() {
    let (pool, major) = pool().await;
    let mut lease = pool.lease(major, &configuration(ApplyMode::Reload)).await.expect("a server");
    let facts = lease.server().facts().clone();
    assert!(facts.version.starts_with(&major.to_string()), "{facts:?}");
    assert!(facts.openssl.is_some(), "{facts:?}");
    drop(lease);
    pool.close().await;
}
