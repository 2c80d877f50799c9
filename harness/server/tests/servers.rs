//! What a lease promises, on real servers: processes of the installed binaries, or with
//! `POSTGRES_TLS_SERVER_RUNTIME=docker` containers of the images that the engine has.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres_tls_server::engine::{self, Label};
use postgres_tls_server::{
    ApplyMode, Configuration, Docker, DockerOptions, File, Lease, Local, Major, Observed, Pool, Runtime, RuntimeKind,
    Start,
};
use tempfile::TempDir;

/// A pool of one server, the newest major that is there, and the folder of its data.
struct Servers {
    pool: Arc<Pool>,
    major: Major,
    _folder: TempDir,
}

impl Servers {
    async fn new() -> Self {
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("a mode");
        let runtime: Arc<dyn Runtime> = match std::env::var("POSTGRES_TLS_SERVER_RUNTIME").as_deref() {
            Ok("docker") => {
                let value = folder.path().display().to_string();
                let label = Label { key: "postgres-tls-server.test".into(), value };
                let repositories = ["postgres", "kong-pg-tls/postgres"].map(str::to_owned).into();
                let options = DockerOptions { repositories, ..DockerOptions::new(label) };
                Arc::new(Docker::find(options).await.expect("an engine with an image of PostgreSQL"))
            }
            _ => Arc::new(Local::find(folder.path()).expect("an installed PostgreSQL")),
        };
        let major = runtime.offers().last().expect("a major").major;
        Self { pool: Pool::new(runtime, 1, Vec::new()), major, _folder: folder }
    }

    async fn lease(&self, configuration: &Configuration) -> Lease {
        self.pool.lease(self.major, configuration).await.expect("a server")
    }
}

/// A server with TLS, and a certificate of its own.
fn configuration(by: ApplyMode) -> Configuration {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let files = [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())];
    Configuration {
        conf: vec![("ssl".into(), "on".into())],
        hba: vec!["hostssl all all all trust".into()],
        files: files.map(|(name, content)| (name.to_owned(), File::of_database_user(content))).into(),
        by,
        ..Configuration::default()
    }
}

const NOTHING: [&str; 0] = [];

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_process_has_taken_is_replaced() {
    let servers = Servers::new().await;
    let wanted = configuration(ApplyMode::Start);
    let mut lease = servers.lease(&wanted).await;
    let server = lease.server();
    assert_eq!(server.start(&wanted, false).await.expect("a start"), Start::Up(Vec::new()));
    let (host, port) = server.address();
    server.stop().await.expect("a stop");
    // For a container the engine holds the port as long as the container exists.
    let taken = TcpListener::bind((host.as_str(), port));
    let is_contained = servers.pool.offers()[0].runtime == RuntimeKind::Docker;
    assert_eq!(taken.is_err(), is_contained);
    let other = Configuration { ident: vec!["map a b".into()], ..wanted };
    assert_eq!(server.start(&other, false).await.expect("a start"), Start::Up(Vec::new()));
    assert_eq!(server.address().1 == port, is_contained);
    drop(lease);
    servers.pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_in_force_when_it_returns_and_says_what_is_not() {
    let servers = Servers::new().await;
    let good = configuration(ApplyMode::Reload);
    let mut lease = servers.lease(&good).await;
    let server = lease.server();
    assert_eq!(server.reload(&good).await.expect("a reload"), NOTHING);
    assert!(server.has(&good));
    let mut bad = good.clone();
    bad.files.remove("server.key");
    let log = server.reload(&bad).await.expect("a reload");
    assert!(log.iter().any(|line| line == "LOG:  SSL configuration was not reloaded"), "{log:?}");
    assert!(!server.has(&bad) && !server.has(&good), "a part of each is in force");
    assert_eq!(server.reload(&good).await.expect("a reload"), NOTHING);
    drop(lease);
    servers.pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_is_remembered_and_its_address_refuses_connections() {
    let servers = Servers::new().await;
    let mut bad = configuration(ApplyMode::Start);
    bad.files.remove("server.crt");
    let mut lease = servers.lease(&bad).await;
    let server = lease.server();
    let expected =
        vec!["FATAL:  could not load server certificate file \"server.crt\": No such file or directory".to_owned()];
    assert_eq!(server.start(&bad, false).await.expect("an answer"), Start::Failed(expected));
    assert!(server.has(&bad) && !server.is_up());
    assert!(TcpStream::connect(server.address()).is_err());
    drop(lease);
    let mut again = servers.lease(&bad).await;
    assert!(again.server().has(&bad), "the next lease gets the same server");
    drop(again);
    servers.pool.close().await;
}

/// Sends what is no startup packet.
async fn connect((host, port): (String, u16)) {
    let connecting = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect((host, port)).expect("a connection");
        std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").expect("a write");
    });
    connecting.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_connection_is_complete_when_it_is_returned() {
    let servers = Servers::new().await;
    let wanted = configuration(ApplyMode::Reload);
    let mut lease = servers.lease(&wanted).await;
    let server = lease.server();
    server.reload(&wanted).await.expect("a reload");
    for _ in 0..20 {
        let mark = server.mark();
        connect(server.address()).await;
        let observed = server.observed(mark, 1, &[]).await.expect("a log");
        assert!(observed.log[0].starts_with("LOG:  connection received: host="), "{observed:?}");
        assert_eq!(observed.relevant_lines, ["LOG:  invalid length of startup packet"], "{observed:?}");
    }
    drop(lease);
    servers.pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_went_elsewhere_are_not_waited_for_and_the_others_are_kept() {
    let servers = Servers::new().await;
    // Everybody is rejected, including the superuser's session over TCP.
    let wanted = Configuration { hba: vec!["host all all all reject".into()], ..configuration(ApplyMode::Reload) };
    let mut lease = servers.lease(&wanted).await;
    let server = lease.server();
    server.reload(&wanted).await.expect("a reload");
    let (mark, begun) = (server.mark(), Instant::now());
    assert_eq!(server.observed(mark, 1, &[]).await.expect("a log"), Observed::default());
    assert!(!server.has_begun(mark, 1).await.expect("an answer"));
    connect(server.address()).await;
    let observed = server.observed(mark, 3, &[]).await.expect("a log");
    assert_eq!(
        (observed.connections, &observed.relevant_lines[..]),
        (1, &["LOG:  invalid length of startup packet".to_owned()][..])
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(lease);
    servers.pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_knows_its_version_and_that_of_its_openssl() {
    let servers = Servers::new().await;
    let mut lease = servers.lease(&configuration(ApplyMode::Reload)).await;
    let facts = lease.server().facts().clone();
    assert!(facts.version.starts_with(&servers.major.to_string()), "{facts:?}");
    assert!(facts.openssl.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())));
    drop(lease);
    servers.pool.close().await;
}

/// Two programs may find the same abandoned container.
#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_container_that_is_gone_counts_as_removed() {
    let engine = engine::connect().await.expect("an engine");
    engine::remove(&engine, "postgres-tls-server-no-such-container").await.expect("nothing is left to remove");
}
