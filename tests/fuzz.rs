//! Whatever is read that others have written is read without a panic, a hang, or memory without bounds.
//!
//! `KONG_PG_TLS_FUZZ_SECONDS=600 cargo test --test fuzz kong_conf` goes on with other input for ten minutes.

mod edits;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certificate_trees::{Authority, Certificate};
use kong_pg_client::conf::KongConf;
use kong_pg_client::{ConnectionRole, Kong, Profile, Releases, Settings, Stack, remarks};
use kong_pg_scenarios::suite::Suite;
use kong_pg_scenarios::vocabulary::{Behaviour, ClientKind};
use kong_pg_tls::client::{ClientOptions, Clients};
use kong_pg_tls::desk::check::{Request, check};
use kong_pg_tls::desk::diagnose::{Circumstances, find_causes};
use kong_pg_tls::proxy::Proxy;
use kong_pg_tls::record::Results;
use kong_pg_tls::runfolder::RunFolder;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use edits::fuzz;

/// A folder with a file, which is written anew for each input.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

fn release(name: &str) -> Profile {
    Releases::built_in().find(name).expect("a release")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A request of `check` for nothing yet.
fn request() -> Request {
    Request {
        file: None,
        kind: None,
        env_files: Vec::new(),
        prefix: None,
        root: None,
        postgresql: None,
        hba: None,
        ident: None,
        profile: Releases::built_in().newest(),
        major: 17,
        days: 30,
    }
}

#[test]
fn kong_conf() {
    let folder = Folder::new();
    fuzz("kong-conf", move |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let conf = KongConf::read(&text);
        let conf = text.lines().fold(conf, |conf, line| {
            line.split_once('=').map_or(conf.clone(), |(name, value)| conf.with_variable(name, value))
        });
        for release in [Releases::built_in().newest(), release("3.9-oss")] {
            for role in [ConnectionRole::Main, ConnectionRole::ReadOnly] {
                let _ = Settings::read(&conf, &release, role, ("127.0.0.1", 5432), PathBuf::new());
            }
            let _ = remarks(&conf, &release);
        }
        let file = folder.write("kong.conf", bytes);
        let _ = check(&Request { env_files: vec![file.clone()], file: Some(file), ..request() });
    });
}

/// Scenarios, and what they are compiled with.
#[test]
fn scenarios() {
    let folder = Folder::new();
    fuzz("scenario", move |bytes| {
        folder.write("a.yaml", bytes);
        if let Err(faults) = Suite::of_folder(folder.0.path()) {
            for fault in &faults {
                let _ = fault.render(false);
            }
        }
    });
}

/// postgresql.conf, pg_hba.conf and pg_ident.conf.
#[test]
fn files_of_the_server() {
    let folder = Folder::new();
    fuzz("server-files", move |bytes| {
        let file = Some(folder.write("server.conf", bytes));
        let _ = check(&Request { postgresql: file.clone(), hba: file.clone(), ident: file, ..request() });
    });
}

/// Logs of a user's, as `diagnose` reads them. The log of a server of the suite's own is read in `postgres-tls-server`.
#[test]
fn logs() {
    let causes = Suite::built_in_causes().expect("causes");
    fuzz("log", move |bytes| {
        let _ = find_causes(&causes, &String::from_utf8_lossy(bytes), &Circumstances::default());
    });
}

#[rstest]
#[case::results("results", "results.json")]
#[case::events("events", "events.jsonl")]
fn records(#[case] corpus: &'static str, #[case] file: &'static str) {
    let folder = Folder::new();
    fuzz(corpus, move |bytes| {
        if let Ok(results) = Results::read(&folder.write(file, bytes)) {
            results.cells.iter().for_each(|cell| drop(cell.judged_again()));
            let _ = results.partial();
        }
    });
}

/// What a server sends to Kong, from its answer to the SSLRequest on.
#[test]
fn messages_of_the_server() {
    let (runtime, folder) = (runtime(), Folder::new());
    let settings = move |address: SocketAddr| {
        let conf = KongConf::read("pg_ssl = on\npg_password = kong\npg_timeout = 2000\n");
        let host = address.ip().to_string();
        let release = Releases::built_in().newest();
        // Kong keeps a file of its own in its prefix.
        let prefix = folder.0.path().to_owned();
        Settings::read(&conf, &release, ConnectionRole::Main, (&host, address.port()), prefix)
    };
    fuzz("backend", move |bytes| {
        let bytes = bytes.to_vec();
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            let address = listener.local_addr().expect("an address");
            for stack in Stack::ALL {
                let settings = settings(address).expect("settings");
                let kong = Kong::start(settings, Releases::built_in().newest(), *stack).expect("a start");
                let server = async {
                    let (mut stream, _) = listener.accept().await.expect("a connection");
                    // A client that has gone is no fault of the server.
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    let _ = copy(&mut stream, &mut sink()).await;
                };
                let client = async {
                    if let Ok(connection) = kong.connect().await.result {
                        connection.close().await;
                    }
                };
                tokio::join!(server, client);
            }
        });
    });
}

/// What a client of the user's says: docs/client-protocol.md.
#[test]
fn lines_of_a_client() {
    let (runtime, folder) = (runtime(), Folder::new());
    fuzz("client-protocol", move |bytes| {
        let command = format!("cat {}", folder.write("answers", bytes).display());
        runtime.block_on(async {
            let run = Arc::new(RunFolder::create().expect("a folder"));
            let command = Some(command);
            let options = ClientOptions {
                run,
                traces: Arc::default(),
                kong_images: Vec::new(),
                openresty_image: None,
                may_build: false,
                pgmoon: Vec::new(),
                command,
            };
            if let Ok(clients) = Clients::ready(&[ClientKind::Command], &options).await {
                clients.close().await;
            }
        });
    });
}

/// What a client sends to a proxy, which echoes as the server behind it does.
#[test]
fn bytes_to_the_proxies() {
    const BEHAVIOURS: [Behaviour; 5] = [
        Behaviour::AltersClientData,
        Behaviour::AltersServerData,
        Behaviour::AnswersNo,
        Behaviour::EndsTls,
        Behaviour::RoutesByName,
    ];
    let runtime = runtime();
    let certificate = certificate();
    fuzz("proxy", move |bytes| {
        runtime.block_on(async {
            for behaviour in BEHAVIOURS {
                let server = echo_server().await;
                let proxy = Proxy::start(behaviour, Some(certificate.clone()), server).await.expect("a proxy");
                let (host, port) = proxy.address();
                let mut stream = TcpStream::connect((host.as_str(), port)).await.expect("a connection");
                // The proxy may have gone.
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
                let _ = tokio::time::timeout(Duration::from_secs(5), copy(&mut stream, &mut sink())).await;
                drop(stream);
                proxy.stop().await;
            }
        });
    });
}

/// A server for one connection: it agrees to TLS and echoes everything else.
async fn echo_server() -> (String, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        if stream.read_exact(&mut [0; 8]).await.is_ok() && stream.write_all(b"S").await.is_ok() {
            let (mut from, mut to) = stream.split();
            let _ = copy(&mut from, &mut to).await;
        }
    });
    ("127.0.0.1".to_owned(), port)
}

fn certificate() -> Certificate {
    let tree = Suite::built_in().expect("a suite").tree("root-only").expect("a tree");
    Authority::new(PathBuf::new()).certificate(&tree, "server").expect("a certificate")
}
