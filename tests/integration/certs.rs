//! `kong-pg-tls certs`: a real server takes exactly the settings that are printed, and Kong connects with them.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::place::Place;
use crate::runs_on::runs_on;
use crate::server::RealServer;
use kong_pg_client::conf::KongConf;
use kong_pg_client::{ConnectionRole, Kong, Profile, Settings, Stack};
use kong_pg_tls::session::RuntimeChoice;
use openssl::x509::X509;
use postgres_tls_server::{Configuration, File};
use rstest::rstest;

/// The lines that are printed below a heading.
fn section<'o>(output: &'o str, heading: &str) -> Vec<&'o str> {
    let lines = output.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    lines.map_while(|line| line.strip_prefix("  ")).collect()
}

/// `name = 'value'` as PostgreSQL reads it.
fn setting(line: &str) -> (String, String) {
    let (name, value) = line.split_once(" = ").expect("a setting");
    (name.to_owned(), value.trim_matches('\'').replace("''", "'"))
}

/// The server with the printed settings. Its files stay where they are, unless it is in a container.
fn configuration(output: &str, is_local: bool) -> Configuration {
    let conf: Vec<_> = section(output, "postgresql.conf").into_iter().map(setting).collect();
    let hba = section(output, "pg_hba.conf").into_iter().map(str::to_owned).collect();
    if is_local {
        return Configuration { conf, hba, ..Configuration::default() };
    }
    let is_file = |value: &str| value.starts_with('/');
    let name = |value: &str| Path::new(value).file_name().expect("a name").to_string_lossy().into_owned();
    let files = conf
        .iter()
        .filter(|(_, value)| is_file(value))
        .map(|(_, value)| (name(value), File::of_database_user(std::fs::read(value).expect("a file"))));
    let files = files.collect();
    let inside =
        |(key, value): &(String, String)| (key.clone(), if is_file(value) { name(value) } else { value.clone() });
    Configuration { conf: conf.iter().map(inside).collect(), hba, files, ..Configuration::default() }
}

/// Does what is printed for a server that runs as another user.
fn give_to_the_server(output: &str) {
    let mine = std::fs::metadata("/proc/self").expect("a process");
    let command = output.lines().find_map(|line| line.trim().strip_prefix("chown ")).expect("a command");
    if mine.uid() != 0 {
        return;
    }
    let user = |name: &str| {
        let passwd = std::fs::read_to_string("/etc/passwd").expect("a file");
        let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:"))).map(str::to_owned);
        line.map(|line| line.split(':').nth(2).expect("a number").parse().expect("a number"))
    };
    // The user that servers of this suite run as.
    let uid: u32 = ["postgres", "nobody"].into_iter().find_map(user).expect("a user");
    let path = command.split_once(": ").expect("a path").1.trim_matches('\'');
    let mut all = vec![PathBuf::from(path)];
    while let Some(path) = all.pop() {
        chown(&path, Some(uid), None).expect("an owner");
        all.extend(std::fs::read_dir(&path).into_iter().flatten().map(|entry| entry.expect("an entry").path()));
    }
}

#[rstest]
#[case::root("root-only", &["--host", "localhost", "--host", "127.0.0.1"])]
#[case::intermediate("intermediate", &["--days", "30", "--kubernetes-secret"])]
#[case::two("two-intermediates", &[])]
#[case::self_signed("self-signed", &["--user", "kong"])]
#[case::guide("guide/intermediate", &[])]
#[case::guide_root("guide/root-only", &[])]
#[case::guide_self_signed("guide/self-signed", &["--kubernetes-secret"])]
#[tokio::test(flavor = "multi_thread")]
async fn kong_connects_with_the_printed_settings_on_both_stacks(#[case] tree: &str, #[case] options: &[&str]) {
    let place = Place::new();
    let output = place.run(&[&["certs", tree, "--out", "a folder"], options].concat());
    assert_eq!((output.status, &*output.stderr), (Some(0), ""), "{output:#?}");
    give_to_the_server(&output.stdout);
    let is_local = runs_on().runtime == RuntimeChoice::Local.to_string();
    let mut real = RealServer::start(&configuration(&output.stdout, is_local)).await;
    let server = real.lease.server();
    let address = server.address();
    let conf = KongConf::read(&section(&output.stdout, "kong.conf").join("\n"));
    for stack in [Stack::Luasec, Stack::Cosocket] {
        let prefix = tempfile::tempdir().expect("a folder");
        let at = (&*address.0, address.1);
        let settings = Settings::read(&conf, &Profile::newest(), ConnectionRole::Main, at, prefix.path().into());
        // The host may be one that is not here.
        let settings = Settings { host: address.0.clone(), ..settings.expect("settings") };
        let kong = Kong::start(settings, Profile::newest(), stack).expect("a Kong");
        let connection = kong.connect().await.result.unwrap_or_else(|refusal| panic!("{stack}: {refusal:?}"));
        let proof = server.proof(connection.pid).await.expect("a query").expect("a connection");
        assert_eq!(proof.client_dn.as_deref(), Some("/CN=kong"), "{stack}");
        connection.close().await;
    }
    real.close().await;
}

fn certificate(place: &Place, file: &str) -> X509 {
    X509::from_pem(&std::fs::read(place.path().join(file)).expect("a file")).expect("a certificate")
}

#[test]
fn certificates_are_of_version_3_with_names_and_their_keys_are_private() {
    let place = Place::new();
    let options = ["--host", "db.example.com", "--host", "10.0.0.5", "--user", "gateway", "--days", "30"];
    let output = place.run(&[&["certs", "intermediate", "--out", "tls", "--kubernetes-secret"], &options[..]].concat());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let server = certificate(&place, "tls/postgres/server.crt");
    assert_eq!(server.version(), 2, "X.509 counts from 0");
    let names = server.subject_alt_names().expect("names");
    assert_eq!(names[0].dnsname(), Some("db.example.com"));
    assert_eq!(names[1].ipaddress(), Some(&[10, 0, 0, 5][..]));
    let client = certificate(&place, "tls/kong/client.crt");
    assert_eq!(certificate_trees::oneline(client.subject_name()), "/CN=gateway");
    for (certificate, days) in [(&server, 29..=30), (&client, 29..=30)] {
        let left = openssl::asn1::Asn1Time::days_from_now(0).expect("now").diff(certificate.not_after()).expect("days");
        assert!(days.contains(&left.days), "{left:?}");
    }
    for key in ["postgres/server.key", "kong/client.key", "ca/root.key", "ca/intermediate.key", "secrets.yaml"] {
        let path = place.path().join("tls").join(key);
        assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600, "{key}");
    }
    for folder in ["postgres", "kong", "ca"] {
        let path = place.path().join("tls").join(folder);
        assert_eq!(path.metadata().expect("a folder").permissions().mode() & 0o777, 0o700, "{folder}");
    }
    assert!(output.stdout.contains("  hostssl kong gateway all cert\n"), "{output:#?}");
    let secrets = std::fs::read_to_string(place.path().join("tls/secrets.yaml")).expect("a file");
    assert_eq!(secrets.matches("type: kubernetes.io/tls").count(), 2, "{secrets}");
    // What was written is what check finds nothing wrong with.
    let output = place.run(&[
        "check",
        "tls/kong/kong.conf",
        "--postgresql",
        "tls/postgres/postgresql.conf",
        "--hba",
        "tls/postgres/pg_hba.conf",
        "--days",
        "7",
    ]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let again = place.run(&["certs", "root-only", "--out", "tls"]);
    assert_eq!(again.status, Some(2), "{again:#?}");
    assert!(again.stderr.contains("tls is there already, and nothing is overwritten"), "{again:#?}");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn the_guides_commands_are_there_with_what_is_wrong_with_them() {
    let place = Place::new();
    let output = place.run(&["certs", "guide/intermediate", "--out", "tls"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert_eq!(certificate(&place, "tls/server.crt").version(), 0, "X.509 counts from 0");
    let commands = std::fs::read_to_string(place.path().join("tls/commands.sh")).expect("a file");
    assert!(commands.contains("openssl x509 -req -in server.csr -days 365 -CA intermediate.crt"), "{commands}");
    for part in ["X.509 version 1", "Shown by: guide/recipes::as-in-the-guide.intermediate-ca-chain."] {
        assert!(output.stdout.contains(part), "{part}: {output:#?}");
    }
}

#[rstest]
#[case::no_tree(&["certs", "roots", "--out", "x"], "no tree of certificates is called `roots`; there are guide/intermediate, ")]
#[case::no_host(&["certs", "root-only", "--out", "x", "--host", "a b"], "`a b` is neither a host name nor an address")]
#[case::no_user(&["certs", "root-only", "--out", "x", "--user", "a/CN=b"], "`a/CN=b` cannot be the user in a certificate")]
#[case::no_days(&["certs", "root-only", "--out", "x", "--days", "0"], "0 is not in 1..=10000")]
#[case::guide(&["certs", "guide/root-only", "--out", "x", "--host", "db"], "use root-only for yours")]
#[case::a_file(&["certs", "root-only", "--out", "/etc/passwd"], "/etc/passwd is there already")]
fn what_cannot_be_made_is_reported(#[case] arguments: &[&str], #[case] said: &str) {
    let place = Place::new();
    let output = place.run(arguments);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(said), "{output:#?}");
    assert!(!place.path().join("x").exists());
}
