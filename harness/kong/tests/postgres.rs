//! The emulated Kong against a real PostgreSQL: both stacks, every way to log in, and the server's own word on what the
//! connection was. Needs the programs of PostgreSQL.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use certificate_trees::{Authority, CertificateSpec, KeyType, Tree};
use kong_pg_client::conf::KongConf;
use kong_pg_client::{Attempt, ConnectionRole, Kong, Profile, Settings, Stack, Tap, Traffic};
use openssl::pkey::PKey;
use openssl::symm::Cipher;
use postgres_tls_server::{Configuration, File, Lease, Local, Major, Pool, Server};
use rstest::rstest;
use tempfile::TempDir;

/// A root, the certificates of a server and of a client that it has issued, and a root that has issued nothing. The roots
/// sign with RSA: SCRAM of this release fails where the server's certificate is signed with ECDSA.
fn certificates() -> Tree {
    let root = |name: &str| CertificateSpec {
        subject: Some(format!("/CN={name}")),
        ca: Some(true),
        ..CertificateSpec::default()
    };
    let issued = |issuer: &str, name: &str| CertificateSpec {
        issuer: Some(issuer.into()),
        subject: Some(format!("/CN={name}")),
        key: Some(KeyType::EcdsaP256),
        ..CertificateSpec::default()
    };
    let mut tree = Tree::default();
    for (name, certificate) in [
        ("root", root("root")),
        ("foreign", root("foreign")),
        ("server", issued("root", "localhost")),
        ("client", issued("root", "kong")),
        ("stranger", issued("foreign", "kong")),
        ("ecdsa", CertificateSpec { key: Some(KeyType::EcdsaP256), ..root("ecdsa") }),
        ("signed-with-ecdsa", issued("ecdsa", "localhost")),
    ] {
        tree.certificates.insert(name.into(), certificate);
    }
    tree
}

/// How an attempt ended.
#[derive(Debug, PartialEq)]
struct End {
    /// Whether the server answered with the version that it is of, or Kong's text.
    kong: Result<bool, String>,
    /// The alert that the server has sent.
    alert: Option<&'static str>,
    /// What the server has authorized, by its log: a version of TLS, `plaintext` or `nothing`.
    authorized: String,
}

fn connected(tls: Option<&str>) -> End {
    End { kong: Ok(true), alert: None, authorized: tls.unwrap_or("plaintext").to_owned() }
}

fn refused(text: &str) -> End {
    End { kong: Err(text.to_owned()), alert: None, authorized: "nothing".to_owned() }
}

/// A pool of one server, and the folder of its data and of Kong's files.
struct Servers {
    pool: Arc<Pool>,
    authority: Authority,
    folder: TempDir,
}

impl Servers {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("a mode");
        // RSA keys and initdb take most of the time of such a test.
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let authority = Authority::new(folder.path().join("authority")).keeping(Some(kept.join("keys")));
        for name in ["root.crt", "foreign.crt", "client.crt", "client.key", "stranger.crt", "stranger.key"] {
            let content = authority.file(&certificates(), name).expect("a file");
            std::fs::write(folder.path().join(name), content).expect("a file");
        }
        let key = std::fs::read(folder.path().join("client.key")).and_then(|pem| Ok(PKey::private_key_from_pem(&pem)?));
        let encrypted =
            key.and_then(|key| Ok(key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"kong")?));
        std::fs::write(folder.path().join("encrypted.key"), encrypted.expect("a key")).expect("a file");
        let prepare = [
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE kong LOGIN PASSWORD 'secret'",
            "SET password_encryption = 'md5'; CREATE ROLE older LOGIN PASSWORD 'secret'",
            "CREATE DATABASE kong",
        ];
        let templates = kept.join("templates");
        let local = Local::find(folder.path()).expect("an installed PostgreSQL").keeping_templates(Some(templates));
        Self { pool: Pool::new(Arc::new(local), 1, prepare.map(str::to_owned).into()), authority, folder }
    }

    fn major(&self) -> Major {
        self.pool.offers().last().expect("a major").major
    }

    fn file(&self, name: &str) -> File {
        File::of_database_user(self.authority.file(&certificates(), name).expect("a file"))
    }

    /// The configuration of a server with these settings and this line of pg_hba.conf.
    fn configuration(&self, conf: &[(&str, &str)], hba: &str) -> Configuration {
        let conf = [conf, &[("ssl_ca_file", "root.crt")]].concat();
        Configuration {
            conf: conf.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            hba: vec![hba.into()],
            files: ["server.crt", "server.key", "root.crt"].map(|name| (name.to_owned(), self.file(name))).into(),
            ..Configuration::default()
        }
    }

    /// A server that has applied a configuration.
    async fn lease(&self, configuration: &Configuration) -> Lease {
        let mut lease = self.pool.lease(self.major(), configuration).await.expect("a server");
        assert_eq!(lease.server().reload(configuration).await.expect("a reload"), Vec::<String>::new());
        lease
    }

    /// What a release reads from kong.conf, whose lines these are, to connect to a server.
    fn settings(&self, kong: &str, release: &Profile, server: &Server) -> Settings {
        let folder = self.folder.path();
        let mut text = "pg_database = kong\n".to_owned();
        for line in kong.split("; ") {
            writeln!(text, "{}", line.replace("{kong}", &folder.to_string_lossy())).expect("text");
        }
        let (host, port) = server.address();
        let (conf, role) = (KongConf::read(&text), ConnectionRole::Main);
        Settings::read(&conf, release, role, (&host, port), folder.to_owned()).expect("settings")
    }

    /// Connects once, to a server with this line of pg_hba.conf. `{kong}` is where Kong's files are.
    async fn attempt(&self, stack: Stack, hba: &str, kong: &str) -> End {
        self.attempt_as(RELEASE, stack, &self.configuration(&[("ssl", "on")], hba), kong).await.0
    }

    /// The same as a release, to a server with this configuration. Returns what the server has logged as well, without
    /// routine messages.
    async fn attempt_as(
        &self,
        release: &str,
        stack: Stack,
        configuration: &Configuration,
        kong: &str,
    ) -> (End, Vec<String>) {
        let mut lease = self.lease(configuration).await;
        let server = lease.server();
        let mark = server.mark();
        let release: Profile = release.parse().expect("a release");
        let settings = self.settings(kong, &release, server);
        let kong = Kong::start(settings.clone(), release, stack).expect("a start");
        let Attempt { result, reached, certificate } = kong.connect().await;
        let mut alert = None;
        let subject = certificate.map(|certificate| format!("{:?}", certificate.subject_name()));
        let kong = match result {
            Err(refusal) => {
                let is_unverified = refusal.text == "certificate verify failed";
                // A cosocket's text begins with OpenSSL's number.
                let number = refusal.text.split_once(": ").and_then(|(number, _)| number.parse().ok());
                assert_eq!(refusal.x509, number.or(is_unverified.then_some(19)), "{}", refusal.text);
                let is_of_server =
                    refusal.text.starts_with("FATAL") || refusal.text == "authentication exchange unsuccessful";
                assert_eq!(refusal.sqlstate.is_some(), is_of_server, "{}", refusal.text);
                alert = refusal.alert;
                Err(refusal.text)
            }
            Ok(mut connection) => {
                let version = connection.ask("SHOW server_version").await.expect("an answer").unwrap_or_default();
                connection.ask_again().await.expect("an answer");
                assert!(connection.is_reused_for(&settings));
                assert!(!connection.is_reused_for(&Settings { database: "another".into(), ..settings }));
                connection.close().await;
                Ok(version.starts_with(&self.major().to_string()))
            }
        };
        let observed = server.observed(mark, usize::from(reached), &[]).await.expect("an observation");
        let authorized =
            observed.authorized().map_or("nothing".into(), |proof| proof.version.unwrap_or("plaintext".into()));
        let is_in_tls = authorized.starts_with("TLS");
        assert!(!is_in_tls || subject.is_some_and(|subject| subject.contains("localhost")), "the server's certificate");
        (End { kong, alert, authorized }, observed.relevant_lines)
    }
}

const RELEASE: &str = "3.14-enterprise";

const PLAINTEXT: &str = "pg_ssl = off";
const VERIFIED: &str = "pg_ssl = on; pg_ssl_verify = on; lua_ssl_trusted_certificate = {kong}/root.crt";
/// Verified, and in no other version than this.
fn in_tls(version: &str) -> String {
    let pinned = version.to_lowercase().replace('.', "_");
    format!("{VERIFIED}; pg_ssl_version = {pinned}; lua_ssl_protocols = {version}")
}

const CERTIFICATE: &str = "pg_ssl_cert = {kong}/client.crt; pg_ssl_cert_key = {kong}/client.key";

/// How the line of pg_hba.conf asks for a password, Kong's user and password, and whether they are right.
const LOGINS: [(&str, &str, bool); 7] = [
    ("trust", "pg_user = kong", true),
    ("password", "pg_user = kong; pg_password = secret", true),
    ("password", "pg_user = kong; pg_password = wrong", false),
    ("md5", "pg_user = older; pg_password = secret", true),
    ("md5", "pg_user = older; pg_password = wrong", false),
    ("scram-sha-256", "pg_user = kong; pg_password = secret", true),
    ("scram-sha-256", "pg_user = kong; pg_password = wrong", false),
];

#[rstest]
#[tokio::test]
async fn every_method_logs_in_and_reports_a_wrong_password_in_its_way(
    #[values(Stack::Luasec, Stack::Cosocket)] stack: Stack,
) {
    let servers = Servers::new();
    for tls in [None, Some("TLSv1.2"), Some("TLSv1.3")] {
        let transport = tls.map_or(PLAINTEXT.to_owned(), in_tls);
        for (method, user, is_right) in LOGINS {
            let name = if user.contains("older") { "older" } else { "kong" };
            let expected = match (is_right, method) {
                (true, _) => connected(tls),
                (false, "scram-sha-256") => refused("authentication exchange unsuccessful"),
                (false, _) => refused(&format!("FATAL: password authentication failed for user \"{name}\"")),
            };
            let end =
                servers.attempt(stack, &format!("host all all all {method}"), &format!("{transport}; {user}")).await;
            assert_eq!(end, expected, "{tls:?} {method} {user}");
        }
    }
    let end = servers.attempt(stack, "host all all all md5", PLAINTEXT).await;
    assert_eq!(end, refused("missing password, required for connect"));
}

/// The server sends the root as well, because it has it in `ssl_ca_file`.
#[tokio::test]
async fn the_server_is_verified_only_if_that_is_asked_for() {
    let servers = Servers::new();
    let trust = "host all all all trust";
    let foreign = "pg_ssl = on; pg_ssl_version = tlsv1_3; lua_ssl_trusted_certificate = {kong}/foreign.crt";
    for (stack, text) in [
        (Stack::Luasec, "certificate verify failed"),
        (Stack::Cosocket, "19: self-signed certificate in certificate chain"),
    ] {
        let verifying = servers.attempt(stack, trust, &format!("{foreign}; pg_ssl_verify = on")).await;
        assert_eq!(verifying, refused(text), "{stack:?}");
        let trusting = servers.attempt(stack, trust, &format!("{foreign}; pg_ssl_verify = off")).await;
        assert_eq!(trusting, connected(Some("TLSv1.3")), "{stack:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_presented_where_there_is_one() {
    let servers = Servers::new();
    for stack in Stack::ALL {
        // The open-source edition does not read the settings, and its driver has no certificate on a cosocket.
        let kong = format!("{}; {CERTIFICATE}", in_tls("TLSv1.3"));
        let without = match stack {
            Stack::Luasec => &["3.9-oss"][..],
            Stack::Cosocket => &["3.9-oss", "pgmoon-leafo-1.16.0"],
        };
        for release in without {
            let (end, _) =
                servers.attempt_as(release, *stack, &servers.configuration(&[("ssl", "on")], CERT), &kong).await;
            assert_eq!(end, refused("FATAL: connection requires a valid client certificate"), "{release} {stack:?}");
        }
        for version in ["TLSv1.2", "TLSv1.3"] {
            let cert = "hostssl all all all cert";
            let with = servers.attempt(*stack, cert, &format!("{}; {CERTIFICATE}", in_tls(version))).await;
            assert_eq!(with, connected(Some(version)), "{stack:?}");
            let without = servers.attempt(*stack, cert, &in_tls(version)).await;
            let text = "FATAL: connection requires a valid client certificate";
            assert_eq!(without, refused(text), "{stack:?} {version}");
        }
    }
}

const TRUST: &str = "host all all all trust";
const CERT: &str = "hostssl all all all cert";

/// OpenSSL's words for alerts, and their names in TLS.
const ALERTS: [(&str, &str); 2] = [("alert protocol version", "protocol_version"), ("alert unknown ca", "unknown_ca")];

/// What the server, OpenSSL or Kong refuses, in the words of LuaSec and of a cosocket.
#[tokio::test]
async fn each_stack_reports_a_refusal_in_its_words() {
    let servers = Servers::new();
    let on: &[_] = &[("ssl", "on")];
    let off: &[_] = &[("ssl", "off")];
    let newer: &[_] = &[("ssl", "on"), ("ssl_min_protocol_version", "TLSv1.3")];
    let [tls12, tls13] = ["TLSv1.2", "TLSv1.3"].map(in_tls);
    let foreign = "pg_ssl_cert = {kong}/stranger.crt; pg_ssl_cert_key = {kong}/stranger.key";
    let pair =
        |cert: &str, key: &str| format!("{tls13}; pg_ssl_cert = {{kong}}/{cert}; pg_ssl_cert_key = {{kong}}/{key}");
    let cases = [
        (
            (on, TRUST, "pg_ssl = off; pg_database = nowhere".to_owned()),
            ["FATAL: database \"nowhere\" does not exist"; 2],
        ),
        (
            (on, "host all all all reject", PLAINTEXT.to_owned()),
            ["FATAL: pg_hba.conf rejects connection for host \"127.0.0.1\", user \"kong\", database \"kong\", no \
              encryption"; 2],
        ),
        ((off, TRUST, format!("{tls12}; pg_ssl_required = on")), ["the server does not support SSL connections"; 2]),
        ((newer, TRUST, tls12.clone()), ["tlsv1 alert protocol version", "handshake failed"]),
        ((on, CERT, format!("{tls12}; {foreign}")), ["tlsv1 alert unknown ca", "handshake failed"]),
        (
            (on, CERT, format!("{tls13}; {foreign}")),
            [
                "receive_message: failed to get type: tlsv1 alert unknown ca",
                "receive_message: failed to get type: error",
            ],
        ),
        (
            (on, CERT, pair("stranger.crt", "client.key")),
            ["private key does not match public key", "ssl set client private key failed"],
        ),
        (
            (on, CERT, format!("{tls13}; pg_ssl_cert = {{kong}}/client.crt")),
            [
                "FATAL: connection requires a valid client certificate",
                "client certificate supplied without corresponding private key",
            ],
        ),
        (
            (on, CERT, pair("client.crt", "encrypted.key")),
            ["error loading private key (processing error)", "PEM_read_bio_PrivateKey() failed"],
        ),
        (
            (on, CERT, pair("missing", "client.key")),
            ["error loading certificate ((null))", "attempt to get length of local 'pem' (a nil value)"],
        ),
    ];
    for ((conf, hba, kong), texts) in cases {
        for (stack, text) in [Stack::Luasec, Stack::Cosocket].into_iter().zip(texts) {
            let (end, _) = servers.attempt_as(RELEASE, stack, &servers.configuration(conf, hba), &kong).await;
            let authorized = if text.contains("nowhere") { "plaintext" } else { "nothing" }.to_owned();
            // Both stacks are sent the same.
            let alert = ALERTS.iter().find(|(words, _)| texts[0].contains(words)).map(|(_, alert)| *alert);
            assert_eq!(end, End { alert, authorized, ..refused(text) }, "{stack:?} {kong}");
        }
    }
}

/// Kong verifies nothing where the server says that it has no TLS, and its OpenResty 1.21.4 nowhere.
#[tokio::test]
async fn there_are_servers_that_are_not_verified() {
    let servers = Servers::new();
    let tls12 = in_tls("TLSv1.2");
    let foreign = tls12.replace("root.crt", "foreign.crt");
    for stack in [Stack::Luasec, Stack::Cosocket] {
        let (end, _) =
            servers.attempt_as(RELEASE, stack, &servers.configuration(&[("ssl", "off")], TRUST), &tls12).await;
        assert_eq!(end, connected(None), "{stack:?}");
    }
    let old = "pgmoon-kong-1.21.4";
    let (end, _) =
        servers.attempt_as(old, Stack::Cosocket, &servers.configuration(&[("ssl", "on")], TRUST), &foreign).await;
    assert_eq!(end, connected(Some("TLSv1.2")));
    let pair = format!("{foreign}; pg_ssl_cert = {{kong}}/stranger.crt; pg_ssl_cert_key = {{kong}}/client.key");
    let (end, _) =
        servers.attempt_as(old, Stack::Cosocket, &servers.configuration(&[("ssl", "on")], CERT), &pair).await;
    assert_eq!(end, refused("ssl set client private key failed"));
}

/// SCRAM of this release raises an error where the server's certificate is signed with ECDSA; that ends Kong's Lua VM, in
/// which LuaSec ends the connection in good order.
#[tokio::test]
async fn a_connection_whose_driver_raises_an_error_ends_with_the_vm() {
    let servers = Servers::new();
    let reset = "LOG:  could not receive data from client: Connection reset by peer";
    let mut configuration = servers.configuration(&[("ssl", "on")], "host all all all scram-sha-256");
    for ending in ["crt", "key"] {
        let file = servers.file(&format!("signed-with-ecdsa.{ending}"));
        configuration.files.insert(format!("server.{ending}"), file);
    }
    let kong = format!("{}; pg_ssl_verify = off; pg_password = secret", in_tls("TLSv1.3"));
    for (release, stack, is_abrupt) in
        [(RELEASE, Stack::Luasec, false), (RELEASE, Stack::Cosocket, true), ("pgmoon-kong-2.2.0", Stack::Luasec, true)]
    {
        let (end, log) = servers.attempt_as(release, stack, &configuration, &kong).await;
        let text = end.kong.expect_err("an error");
        assert!(text.contains("invalid digest type"), "{release} {stack:?} {text}");
        assert_eq!(log.iter().any(|line| line == reset), is_abrupt, "{release} {stack:?} {log:?}");
    }
}

/// The server ends a connection that is open: the driver reports that where it asks again.
#[tokio::test]
async fn a_connection_that_the_server_has_ended_has_no_answer() {
    let servers = Servers::new();
    let mut lease = servers.lease(&servers.configuration(&[("ssl", "off")], TRUST)).await;
    let release: Profile = RELEASE.parse().expect("a release");
    let settings = servers.settings(PLAINTEXT, &release, lease.server());
    let kong = Kong::start(settings, release, Stack::Cosocket).expect("a start");
    let mut connection = kong.connect().await.result.expect("a connection");
    connection.ask_again().await.expect("an answer");
    let closed = Some("receive_message: failed to get type: closed");
    let ended = connection.ask("SELECT pg_terminate_backend(pg_backend_pid())").await;
    assert_eq!(ended.err().map(|error| error.text).as_deref(), closed);
    let without = Some("attempt to index field 'sock' (a nil value)");
    assert_eq!(connection.ask_again().await.err().map(|error| error.text).as_deref(), without);
}

/// With the secrets of its session, a recorded connection can be decrypted.
#[rstest]
#[tokio::test]
async fn a_listener_is_told_the_secrets_of_the_session(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let servers = Servers::new();
    let mut lease = servers.lease(&servers.configuration(&[("ssl", "on")], TRUST)).await;
    let release: Profile = RELEASE.parse().expect("a release");
    let settings = servers.settings(&in_tls("TLSv1.2"), &release, lease.server());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let secrets = heard.clone();
    let tap = Tap::new(move |traffic| {
        if let Traffic::Secret(line) = traffic {
            secrets.lock().expect("a lock").push(line.to_owned());
        }
    });
    let kong = Kong::start_tapped(settings, release, stack, Some(tap)).expect("a start");
    kong.connect().await.result.expect("a connection").close().await;
    let heard = heard.lock().expect("a lock");
    assert!(heard.iter().any(|line| line.starts_with("CLIENT_RANDOM ")), "{heard:?}");
}

/// LuaSec ends TLS in good order, a cosocket just closes; leafo's pgmoon takes leave of the server before that.
#[tokio::test]
async fn a_connection_ends_as_its_stack_and_its_driver_end_it() {
    let servers = Servers::new();
    let reset = "LOG:  could not receive data from client: Connection reset by peer";
    for (release, stack, is_abrupt) in [
        (RELEASE, Stack::Luasec, false),
        (RELEASE, Stack::Cosocket, true),
        ("3.9-oss", Stack::Luasec, false),
        ("3.9-oss", Stack::Cosocket, false),
    ] {
        let tls = "pg_ssl = on; pg_ssl_version = tlsv1_2; lua_ssl_trusted_certificate = {kong}/root.crt";
        let (end, log) = servers.attempt_as(release, stack, &servers.configuration(&[("ssl", "on")], TRUST), tls).await;
        assert_eq!(
            (end.kong, log),
            (Ok(true), if is_abrupt { vec![reset.to_owned()] } else { Vec::new() }),
            "{release}"
        );
    }
}
