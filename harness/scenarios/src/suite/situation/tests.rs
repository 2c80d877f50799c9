use serde_json::{Value, json};

use super::*;

/// What comes of a scenario's set-up and a case's.
fn merged(scenario: Value, case: Value) -> Result<Situation, Vec<Problem>> {
    let setups: Vec<Setup> = [scenario, case].map(|setup| serde_json::from_value(setup).expect("a setup")).into();
    let paths = [Vec::new(), vec![key("cases"), Segment::Index(0)]];
    let layers: Vec<_> = setups.iter().zip(paths).map(|(setup, path)| Rc::new(Layer::new(path, setup))).collect();
    merge(&Trees::default(), None, &layers)
}

fn scenario() -> Value {
    json!({
        "pki": { "certificates": {
            "root": { "subject": "/CN=root", "ca": true },
            "server": { "issuer": "root", "subject": "/CN=db" },
            "client": { "issuer": "root", "subject": "/CN=kong" },
        } },
        "postgres": { "conf": { "ssl": "on", "ssl_ca_file": "root.crt" }, "hba": ["hostssl all all all cert"] },
        "kong": { "pg_ssl": "on", "lua_ssl_trusted_certificate": "root.crt", "pg_ssl_cert": "client.crt" },
    })
}

fn situation(case: Value) -> Situation {
    merged(scenario(), case).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn names(files: &BTreeMap<String, PlannedFile>) -> Vec<&str> {
    files.keys().map(String::as_str).collect()
}

fn message(case: Value) -> Vec<String> {
    merged(scenario(), case).expect_err("a problem").into_iter().map(|problem| problem.message).collect()
}

#[test]
fn each_side_gets_the_files_that_its_settings_name() {
    let situation = situation(json!({}));
    assert_eq!(names(&situation.server.files), ["root.crt", "server.crt", "server.key"]);
    assert_eq!(names(&situation.kong.files), ["client.crt", "root.crt"]);
}

#[test]
fn a_later_layer_changes_a_setting_or_takes_it_away() {
    let situation = situation(json!({
        "postgres": { "conf": { "ssl_ca_file": null }, "hba": ["host all all all trust"] },
        "kong": { "pg_ssl": "off", "pg_ssl_cert": null },
    }));
    assert_eq!(situation.server.conf, [("ssl".to_owned(), "on".to_owned())]);
    assert_eq!(situation.server.hba, ["host all all all trust"]);
    let expected = [("pg_ssl", "off"), ("lua_ssl_trusted_certificate", "root.crt")];
    assert_eq!(situation.kong.settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(names(&situation.kong.files), ["root.crt"]);
}

#[test]
fn variables_are_kept_apart_from_kong_conf() {
    let situation = situation(json!({ "kong": { "KONG_PG_SSL": "off" } }));
    assert_eq!(situation.kong.environment, [("KONG_PG_SSL".to_owned(), "off".to_owned())]);
    assert!(situation.kong.settings.iter().all(|(name, _)| !name.starts_with("KONG_")));
}

#[test]
fn a_file_is_private_unless_it_has_a_mode() {
    let files = situation(json!({ "files": { "server.crt": { "mode": "0644" } } })).server.files;
    assert_eq!(files["server.key"].mode, FileMode::Octal(0o600));
    assert_eq!(files["server.crt"].mode, FileMode::Octal(0o644));
}

#[test]
fn a_server_without_tls_needs_no_certificate() {
    let situation = situation(json!({ "postgres": { "conf": { "ssl": "off" } } }));
    assert_eq!(names(&situation.server.files), ["root.crt"]);
}

#[test]
fn an_absent_file_is_named_but_not_made() {
    let situation = situation(json!({ "files": { "client.crt": "absent" } }));
    assert_eq!(names(&situation.kong.files), ["root.crt"]);
    assert!(situation.kong.settings.iter().any(|(name, _)| name == "pg_ssl_cert"));
}

#[test]
fn mistakes_are_problems() {
    assert_eq!(message(json!({ "kong": { "pg_ssl_cert": "missing.crt" } })).len(), 1);
    let unused = message(json!({ "files": { "other.crt": ["root.crt"] } }));
    assert_eq!(unused, ["no setting names the file `other.crt`"]);
    let proxy = message(json!({ "proxy": { "does": "ends-tls", "certificate": "nobody" } }));
    assert_eq!(proxy, ["no certificate of this case is called `nobody`"]);
    assert_eq!(message(json!({ "postgres": { "hba": ["hostssll all all all cert"] } })).len(), 1);
}
