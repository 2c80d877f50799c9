//! The emulated Kong against a real PostgreSQL: both stacks, every way to log in, and the server's own word on what the
//! connection was. Needs the programs of PostgreSQL.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use certificate_trees::{Authority, CertificateSpec, KeyType, Tree};
use kong_pg_client::conf::KongConf;
use kong_pg_client::{ConnectionRole, Kong, Profile, Settings, Stack};
use postgres_tls_server::{Configuration, File, Local, Pool};
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
    let issued = |name: &str| CertificateSpec {
        issuer: Some("root".into()),
        subject: Some(format!("/CN={name}")),
        key: Some(KeyType::EcdsaP256),
        ..CertificateSpec::default()
    };
    let mut tree = Tree::default();
    for (name, certificate) in [
        ("root", root("root")),
        ("foreign", root("foreign")),
        ("server", issued("localhost")),
        ("client", issued("kong")),
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
    /// What the server has authorized, by its log: a version of TLS, `plaintext` or `nothing`.
    authorized: String,
}

fn connected(tls: Option<&str>) -> End {
    End { kong: Ok(true), authorized: tls.unwrap_or("plaintext").to_owned() }
}

fn refused(text: &str) -> End {
    End { kong: Err(text.to_owned()), authorized: "nothing".to_owned() }
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
        let authority = Authority::new(folder.path().join("authority"));
        for name in ["root.crt", "foreign.crt", "client.crt", "client.key"] {
            let content = authority.file(&certificates(), name).expect("a file");
            std::fs::write(folder.path().join(name), content).expect("a file");
        }
        let prepare = [
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE kong LOGIN PASSWORD 'secret'",
            "SET password_encryption = 'md5'; CREATE ROLE older LOGIN PASSWORD 'secret'",
            "CREATE DATABASE kong",
        ];
        let local = Local::find(folder.path()).expect("an installed PostgreSQL");
        Self { pool: Pool::new(Arc::new(local), 1, prepare.map(str::to_owned).into()), authority, folder }
    }

    /// Connects once, to a server with this line of pg_hba.conf. `{kong}` is where Kong's files are.
    async fn attempt(&self, stack: Stack, hba: &str, kong: &str) -> End {
        let file = |name: &str| File::of_database_user(self.authority.file(&certificates(), name).expect("a file"));
        let configuration = Configuration {
            conf: [("ssl", "on"), ("ssl_ca_file", "root.crt")].map(|(name, value)| (name.into(), value.into())).into(),
            hba: vec![hba.into()],
            files: ["server.crt", "server.key", "root.crt"].map(|name| (name.to_owned(), file(name))).into(),
            ..Configuration::default()
        };
        let major = self.pool.offers().last().expect("a major").major;
        let mut lease = self.pool.lease(major, &configuration).await.expect("a server");
        let server = lease.server();
        assert_eq!(server.reload(&configuration).await.expect("a reload"), Vec::<String>::new());
        let mark = server.mark();
        let (host, port) = server.address();
        let settings = settings(kong, (&host, port), self.folder.path());
        let kong = match Kong::start(settings, release(), stack).expect("a start").connect().await.result {
            Err(refusal) => Err(refusal.text),
            Ok(mut connection) => {
                let version = connection.ask("SHOW server_version").await.expect("an answer").unwrap_or_default();
                connection.close().await;
                Ok(version.starts_with(&major.to_string()))
            }
        };
        let observed = server.observed(mark, 1, &[]).await.expect("an observation");
        let authorized =
            observed.authorized().map_or("nothing".into(), |proof| proof.version.unwrap_or("plaintext".into()));
        End { kong, authorized }
    }
}

fn release() -> Profile {
    "3.14-enterprise".parse().expect("a release")
}

fn settings(kong: &str, server: (&str, u16), folder: &Path) -> Settings {
    let mut text = "pg_database = kong\n".to_owned();
    for line in kong.split("; ") {
        writeln!(text, "{}", line.replace("{kong}", &folder.to_string_lossy())).expect("text");
    }
    Settings::read(&KongConf::read(&text), &release(), ConnectionRole::Main, server, folder.to_owned())
        .expect("settings")
}

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
