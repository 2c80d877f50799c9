use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use kong_pg_client::{Edition, Stack};
use kong_pg_scenarios::format::{At, Documented};
use kong_pg_scenarios::plan::{Axes, Cell, Selection, plan};
use kong_pg_scenarios::suite::{Case, Suite};
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::Major;
use rstest::rstest;

use super::*;
use crate::desk::check::settings_in;

fn suite() -> &'static Suite {
    static SUITE: OnceLock<Suite> = OnceLock::new();
    SUITE.get_or_init(|| Suite::built_in().unwrap_or_else(|faults| panic!("{faults:?}")))
}

/// A cell of each case, by the case's id.
fn cells() -> &'static BTreeMap<String, Cell> {
    static CELLS: OnceLock<BTreeMap<String, Cell>> = OnceLock::new();
    CELLS.get_or_init(|| {
        let axes = Axes {
            majors: vec![Major(17)],
            releases: Vec::new(),
            clients: vec![ClientKind::Kong],
            stacks: vec![Stack::Luasec],
        };
        let all = plan(suite(), &axes, &Selection::default()).into_iter().rev();
        all.map(|cell| (cell.case.id.clone(), cell)).collect()
    })
}

fn cell(case: &Case) -> Cell {
    cells()[&case.id].clone()
}

fn address() -> Address {
    Address { host: "db.example.com".into(), port: 6543 }
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new(std::env::temp_dir()))
}

fn deployment(id: &str) -> Deployment {
    let case = suite().cases().find(|case| case.id == id).unwrap_or_else(|| panic!("no case {id}"));
    Deployment::make(cell(case), &suite().texts, authority()).expect("certificates")
}

const MUTUAL: &str = "mtls/cert::a-certificate.the-users.default";

/// Everything about a case but where it is written, and the certificates that it does not use.
fn facts(case: &Case) -> (Vec<String>, BTreeMap<String, String>) {
    let mut text = vec![case.name.clone()];
    let mut certificates = BTreeMap::new();
    for step in &case.steps {
        let (mut server, mut kong) = (step.situation.server.clone(), step.situation.kong.clone());
        server.conf.sort();
        kong.settings.sort();
        let (change, log, open) = (step.change, &step.log, &step.open_connection);
        text.push(format!("{server:?} {kong:?} {change:?} {log:?} {open:?}"));
        text.push(format!("{:?} {:?}", step.queries, step.situation.tree.recipe));
        let expected = step.expect.iter().flat_map(|expect| {
            let all = Stack::ALL.iter().flat_map(|stack| [(*stack, Edition::Enterprise), (*stack, Edition::Oss)]);
            all.map(move |(stack, edition)| format!("{:?}", expect.on(stack, edition)))
        });
        text.extend(expected);
        let all = step.situation.tree.certificates.iter();
        certificates.extend(all.map(|(name, spec)| (name.clone(), format!("{spec:?}"))));
    }
    (text, certificates)
}

#[test]
fn every_case_is_the_same_as_a_scenario_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut originals = Vec::new();
    for case in suite().cases().filter(|case| !case.steps.is_empty()) {
        let text = scenario::write(&cell(case)).expect("a scenario");
        std::fs::write(folder.path().join(format!("{:05}.yaml", originals.len())), text).expect("a file");
        originals.push(case);
    }
    let exported = match Suite::of_folder(folder.path()) {
        Ok(suite) => suite,
        Err(faults) => panic!("{} faults:\n{}", faults.len(), faults[0].render(false)),
    };
    assert_eq!(exported.cases().count(), originals.len());
    for (one, original) in exported.cases().zip(originals) {
        let ((text, certificates), (expected, all)) = (facts(one), facts(original));
        assert_eq!(text, expected, "{}", original.id);
        for (name, spec) in certificates {
            assert_eq!(Some(&spec), all.get(&name), "{name} of {}", original.id);
        }
        assert_eq!(one.claims, original.claims);
        assert_eq!(one.documented, original.documented.iter().map(without_points).collect::<Vec<_>>());
    }
}

/// A case of its own has no axes.
fn without_points(documented: &Arc<Documented>) -> Arc<Documented> {
    let mut documented = Documented::clone(documented);
    documented.at = At::default();
    Arc::new(documented)
}

#[rstest]
#[case(Format::KongConf)]
#[case(Format::Env)]
#[case(Format::Compose)]
#[case(Format::Helm)]
fn check_reads_back_the_settings_of_every_kind(#[case] format: Format) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format.file());
    let ids = [MUTUAL, "passwords/methods::a-role-with-a-scram-secret.over-tls.scram-sha-256.correct"];
    let known = suite().cases().filter(|case| ids.contains(&&*case.id) || case.id.starts_with("guide/recipes::as-in"));
    let mut read = 0;
    for case in known {
        let deployment = Deployment::make(cell(case), &suite().texts, authority()).expect("certificates");
        std::fs::write(&path, document(format, &deployment, authority(), &address()).expect("a document"))
            .expect("a file");
        let inside = Address { host: "postgres".into(), port: 5432 };
        let address = if format == Format::Compose { inside } else { address() };
        let mut expected: Vec<_> = deployment.kong(Path::new("/etc/kong/tls"), Some(&address)).into_iter().collect();
        let mut found = settings_in(&path).expect("settings");
        found.retain(|(key, _)| key != "database");
        found.sort();
        found.dedup();
        expected.sort();
        assert_eq!(found, expected, "{}", case.id);
        read += 1;
    }
    assert!(read > 9 + ids.len(), "{read} cases");
}

#[test]
fn values_that_a_format_has_a_meaning_for_come_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut deployment = deployment(MUTUAL);
    let mut case = scenario_of("a#b ${HOME} \"quoted\" yes");
    std::mem::swap(&mut deployment.cell.case, &mut case);
    for format in [Format::KongConf, Format::Env] {
        let path = folder.path().join(format.file());
        std::fs::write(&path, document(format, &deployment, authority(), &address()).expect("a document"))
            .expect("a file");
        let found = settings_in(&path).expect("settings");
        let password = found.iter().find(|(key, _)| key == "pg_password").map(|(_, value)| value.as_str());
        assert_eq!(password, Some("a#b ${HOME} \"quoted\" yes"), "{format}");
    }
}

fn scenario_of(password: &str) -> Arc<Case> {
    let folder = tempfile::tempdir().expect("a folder");
    let password = serde_json::to_string(password).expect("a string");
    let text = format!(
        "title: a scenario\nreason: a test\nkong: {{ pg_password: {password} }}\n\
         cases: [{{ name: a case, expect: {{ connects: {{ tls: off }} }} }}]"
    );
    std::fs::write(folder.path().join("a.yaml"), text).expect("a file");
    let suite = Suite::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
    suite.cases().next().expect("a case").clone()
}

fn yaml(text: &str) -> Vec<serde_json::Value> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde_json::Value::deserialize(document).expect("YAML"))
        .collect()
}

#[test]
fn helm_values_have_the_certificates_where_kong_looks_for_them() {
    let deployment = deployment(MUTUAL);
    let values = &yaml(&document(Format::Helm, &deployment, authority(), &address()).expect("values"))[0];
    assert_eq!(values["env"]["pg_ssl_cert"], "/etc/kong/tls/client.crt");
    assert_eq!((&values["env"]["database"], &values["env"]["pg_ssl"]), (&"postgres".into(), &"on".into()));
    assert_eq!(values["extraSecrets"][0]["mountPath"], "/etc/kong/tls");
    let secret = &values["extraObjects"][0];
    assert_eq!(secret["metadata"]["name"], values["extraSecrets"][0]["name"]);
    let key = secret["data"]["client.key"].as_str().expect("a key");
    assert_eq!(openssl::base64::decode_block(key).expect("base64"), deployment.files["client.key"].content);
}

#[test]
fn a_cluster_trusts_the_cas_of_the_cell_and_lets_its_own_replicas_in() {
    use openssl::x509::X509;
    for id in [MUTUAL, "guide/recipes::as-in-the-guide.intermediate-ca-chain.mutual-tls-cert"] {
        let deployment = deployment(id);
        let all = yaml(&document(Format::Cnpg, &deployment, authority(), &address()).expect("a cluster"));
        let cluster = all.last().expect("a cluster");
        assert_eq!(
            (&cluster["kind"], &cluster["spec"]["postgresql"]["pg_hba"][0]),
            (&"Cluster".into(), &"hostssl all all all cert".into())
        );
        assert_eq!(cluster["spec"]["postgresql"]["parameters"], serde_json::json!({}), "the operator sets them itself");
        let certificates = &cluster["spec"]["certificates"];
        let file = |secret: &str, file: &str| {
            let name = &certificates[secret];
            let secret = all.iter().find(|one| one["metadata"]["name"] == *name && one["kind"] == "Secret");
            let text = secret.expect("a Secret")["data"][file].as_str().expect("a file");
            X509::from_pem(&openssl::base64::decode_block(text).expect("base64")).expect("a certificate")
        };
        let (ca, replica) = (file("clientCASecret", "ca.crt"), file("replicationTLSSecret", "tls.crt"));
        assert!(replica.verify(&ca.public_key().expect("a key")).expect("a signature"), "{id}");
        let root = file("serverCASecret", "ca.crt");
        assert!(root.verify(&root.public_key().expect("a key")).expect("a signature"), "{id}");
        assert!(file("serverTLSSecret", "tls.crt").issuer_name().try_cmp(root.subject_name()).is_ok(), "{id}");
    }
}

#[rstest]
#[case(
    Format::Cnpg,
    "tls/on-and-off::kong-connects.ssl-off.pg_ssl-on.required.verifying",
    "its servers always have ssl = on"
)]
#[case(Format::Cnpg, "crl/files::no-such-file", "its pods have no file for ssl_crl_file")]
fn what_a_format_cannot_say_is_an_error(#[case] format: Format, #[case] id: &str, #[case] why: &str) {
    let deployment = deployment(id);
    let error = document(format, &deployment, authority(), &address()).expect_err("an error");
    assert_eq!(error.to_string(), format!("{format} cannot have it: {why}"));
}

#[test]
fn an_export_names_what_it_leaves_out() {
    let deployment =
        deployment("between/answers::the-proxy-answers-n-and-forwards-everything-else.not-required.verifying");
    let text = document(Format::KongConf, &deployment, authority(), &address()).expect("a document");
    assert!(text.contains("# Not in here: the proxy between Kong and the server (answers-no).\n"), "{text}");
    assert!(!document(Format::Scenario, &deployment, authority(), &address()).expect("a document").contains("# Not"));
}
