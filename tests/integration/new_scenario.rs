//! `kong-pg-tls new`: the files of a real set-up become a scenario that ends as the set-up does, on both sides.

use crate::place::Place;
use crate::server::{self, RealServer};
use kong_pg_client::conf::KongConf;
use kong_pg_client::{ConnectionRole, Kong, Profile, Settings, Stack};
use rstest::rstest;

const HBA: [&str; 2] = ["# who may come in", "hostssl all all all cert"];

/// Certificates in a place: two roots, the server's, and one of a client.
fn certificates(place: &Place) {
    let root = Some("root");
    let tree = server::tree(&[
        ("root", "/O=Acme/CN=Acme Root", None),
        ("foreign", "/CN=Other Root", None),
        ("server", "/CN=db", root),
        ("client", "/CN=kong-of-acme", root),
    ]);
    server::write(&tree, place);
}

fn write(place: &Place, name: &str, text: &str) {
    std::fs::write(place.path().join(name), text).expect("a file");
}

/// kong.conf and the server's files in a place, with the certificates that they name.
fn set_up(place: &Place, trusted: &str, user: &str) -> String {
    certificates(place);
    let folder = place.path().display();
    let conf = format!(
        "pg_user = {user}\npg_database = {user}-db\npg_password = top-secret\npg_ssl = on\npg_ssl_required = on\n\
         pg_ssl_verify = on\nlua_ssl_trusted_certificate = {folder}/{trusted}\npg_ssl_cert = {folder}/client.crt\n\
         pg_ssl_cert_key = {folder}/client.key\n"
    );
    write(place, "kong.conf", &conf);
    write(place, "postgresql.conf", "ssl = on\nssl_ca_file = 'root.crt'\nport = 6543\n");
    write(place, "pg_hba.conf", &(HBA.join("\n") + "\nlocal all all peer\n"));
    conf
}

/// What both sides of the set-up say, on either of Kong's stacks.
async fn texts(place: &Place, conf: &str) -> Vec<String> {
    let mut server = RealServer::start(&server::with_certificates_of(place, &HBA)).await;
    let (host, port) = server.lease.server().address();
    let (conf, profile, mut texts) = (KongConf::read(conf), Profile::newest(), Vec::new());
    for &stack in Stack::ALL {
        let prefix = tempfile::tempdir().expect("a folder");
        let address = (host.as_str(), port);
        let settings = Settings::read(&conf, &profile, ConnectionRole::Main, address, prefix.path().to_owned());
        let kong = Kong::start(settings.expect("settings"), profile.clone(), stack).expect("a start");
        let mark = server.lease.server().mark();
        let refusal = kong.connect().await.result.err().expect("a refusal");
        texts.push(refusal.text);
        let logged = server.lease.server().observed(mark, 1, &[]).await.expect("a log").relevant_lines;
        // A scenario names the folder so, which PostgreSQL shows since 16.
        let data = server.lease.server().data_directory();
        texts.extend(logged.into_iter().map(|line| line.replace(&*data, "{datadir}")));
    }
    server.close().await;
    texts
}

#[rstest]
#[case::another_user("root.crt", false)]
#[case::another_user_with_keys("root.crt", true)]
#[case::another_ca("foreign.crt", false)]
#[case::another_ca_with_keys("foreign.crt", true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_fails_fails_alike_as_a_scenario(#[case] trusted: &str, #[case] with_keys: bool) {
    let place = Place::new();
    let conf = set_up(&place, trusted, "kong");
    let texts = texts(&place, &conf).await;
    assert!(texts.len() >= 4, "both sides say something on both stacks: {texts:?}");
    let mut arguments =
        vec!["new", "mine", "--from", "kong.conf", "--postgresql", "postgresql.conf", "--hba", "pg_hba.conf"];
    arguments.extend(with_keys.then_some("--with-keys"));
    let made = place.run(&arguments);
    assert_eq!(made.status, Some(0), "{made:#?}");
    let ran = place.run(&["run", "--scenarios", "mine", "--bless"]);
    assert_eq!(ran.status, Some(0), "{ran:#?}");
    if trusted == "root.crt" && !with_keys {
        let document = include_str!("../../docs/scenarios.md");
        let written = ran.stdout.split("written at").nth(1).expect("what was written");
        // Which line of pg_hba.conf it was, PostgreSQL says in other words since 16.
        let (same, _) = written.split_once("    - 'DETAIL").expect("a detail");
        for output in [&made.stdout, same] {
            assert!(document.contains(output), "docs/scenarios.md shows something else than: {output}");
        }
    }
    let scenario = std::fs::read_to_string(place.path().join("mine/scenario.yaml")).expect("a file");
    let expected: serde_json::Value = serde_yaml_value(&scenario)["cases"][0]["expect"].clone();
    let said = expected.to_string();
    for text in &texts {
        let text = serde_json::to_string(text).expect("JSON");
        assert!(said.contains(&text), "{text} is not in {said}");
    }
    assert!(!scenario.contains("top-secret"), "{scenario}");
    let has_key = place.path().join("mine/files/client.key").exists();
    assert_eq!(has_key, with_keys, "private keys are copied on request only");
    assert_eq!(place.run(&["run", "--scenarios", "mine"]).status, Some(0), "what was written is what happens");
}

fn serde_yaml_value(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).expect("YAML")
}

#[test]
fn a_set_up_that_works_works_as_a_scenario_with_roles_and_databases_of_its_own() {
    let place = Place::new();
    set_up(&place, "root.crt", "kong-of-acme");
    let made =
        place.run(&["new", "mine", "--from", "kong.conf", "--postgresql", "postgresql.conf", "--hba", "pg_hba.conf"]);
    assert_eq!(made.status, Some(0), "{made:#?}");
    assert_eq!(place.run(&["run", "--scenarios", "mine", "--bless"]).status, Some(0));
    let scenario = std::fs::read_to_string(place.path().join("mine/scenario.yaml")).expect("a file");
    let expected = serde_yaml_value(&scenario)["cases"][0]["expect"].to_string();
    assert!(expected.contains("\"connects\"") && expected.contains("\"/CN=kong-of-acme\""), "{expected}");
}

#[rstest]
#[case::missing(&["new", "mine", "--from", "none.conf"], "none.conf")]
#[case::binary(&["new", "mine", "--from", "binary"], "is not a text file")]
#[case::a_folder(&["new", "mine", "--from", "."], "cannot read .")]
#[case::no_postgres(&["new", "mine", "--from", "off.conf"], "does not use PostgreSQL")]
#[case::there_already(&["new", ".", "--from", "kong.conf"], "is there already")]
fn what_no_scenario_can_be_made_of_has_a_clear_end(#[case] arguments: &[&str], #[case] why: &str) {
    let place = Place::new();
    write(&place, "kong.conf", "pg_ssl = on\n");
    write(&place, "off.conf", "database = off\n");
    std::fs::write(place.path().join("binary"), b"\x7fELF\x02\x01\x00\x00").expect("a file");
    let output = place.run(arguments);
    assert_eq!(output.status, Some(2), "{output:#?}");
    assert!(output.stderr.contains(why), "{output:#?}");
    assert!(!place.path().join("mine").exists(), "nothing is left of it");
}
