//! A Cluster of CloudNativePG. The operator serves TLS itself, with the certificates of Secrets.

use certificate_trees::{Artifact, Authority, CertificateSpec, ExtendedKeyUsage, PkiError, Tree};
use kong_pg_scenarios::suite::{Content, PlannedFile, Step};
use serde_json::{Map, Value, json};

use super::deployment::Deployment;
use super::error::ExportError;
use super::format::Format;
use super::kubernetes::{self, NAME};

/// The settings that the operator makes itself.
const FIXED: [&str; 6] = [
    "ssl",
    "ssl_cert_file",
    "ssl_key_file",
    "ssl_ca_file",
    "ssl_passphrase_command",
    "ssl_passphrase_command_supports_reload",
];

/// Settings for files that a pod of the operator does not have.
const FILES: [&str; 3] = ["ssl_crl_file", "ssl_crl_dir", "ssl_dh_params_file"];

/// The user with which the operator's replicas log in, by certificate.
const REPLICA: &str = "streaming_replica";

fn not_possible(why: impl Into<String>) -> ExportError {
    ExportError::NotPossible { format: Format::Cnpg, why: why.into() }
}

pub(super) fn write(deployment: &Deployment, authority: &Authority) -> Result<String, ExportError> {
    let step = deployment.step().ok_or_else(|| not_possible("the case configures nothing"))?;
    let conf = &step.situation.server.conf;
    let value = |key: &str| conf.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    if value("ssl") != Some("on") {
        return Err(not_possible("its servers always have ssl = on"));
    }
    if let Some(key) = FILES.iter().find(|key| value(key).is_some()) {
        return Err(not_possible(format!("its pods have no file for {key}")));
    }
    let file = |key: &str, default: &str| {
        let name = value(key).unwrap_or(default);
        let file = deployment.server.files.get(name);
        file.map(|file| &file.content[..]).ok_or_else(|| not_possible(format!("the server has no file {name}")))
    };
    let (certificate, key) = (file("ssl_cert_file", "server.crt")?, file("ssl_key_file", "server.key")?);
    let server = format!("{NAME}-server");
    let mut certificates = Map::from_iter([
        ("serverTLSSecret".to_owned(), Value::from(server.as_str())),
        ("serverCASecret".to_owned(), Value::from(server.as_str())),
    ]);
    let ca = root(step, authority, value("ssl_cert_file").unwrap_or("server.crt"))?;
    let pair = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", &ca[..])];
    let mut documents = vec![kubernetes::secret(&server, pair.into_iter())];
    if value("ssl_ca_file").is_some_and(|name| !name.is_empty()) {
        let ca = file("ssl_ca_file", "")?;
        let (clients, replicas) = (format!("{NAME}-clients"), format!("{NAME}-replicas"));
        let (certificate, key) = replica(step, authority, value("ssl_ca_file").unwrap_or_default())?;
        documents.push(kubernetes::secret(&clients, [("ca.crt", ca)].into_iter()));
        let pair = [("tls.crt", &certificate[..]), ("tls.key", &key[..])];
        documents.push(kubernetes::secret(&replicas, pair.into_iter()));
        certificates.insert("clientCASecret".into(), clients.into());
        certificates.insert("replicationTLSSecret".into(), replicas.into());
    }
    let is_free = |(key, _): &&(String, String)| !FIXED.contains(&key.as_str());
    let parameters: Map<_, _> =
        conf.iter().filter(is_free).map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let mut cluster = json!({
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": { "name": NAME },
        "spec": {
            "instances": 1,
            "imageName": format!("ghcr.io/cloudnative-pg/postgresql:{}", deployment.cell.major),
            "storage": { "size": "1Gi" },
            "bootstrap": { "initdb": { "database": "kong", "owner": "kong" } },
            "certificates": certificates,
            "postgresql": { "parameters": parameters, "pg_hba": deployment.server.hba },
        },
    });
    if !deployment.server.ident.is_empty() {
        cluster["spec"]["postgresql"]["pg_ident"] = json!(deployment.server.ident);
    }
    documents.push(cluster);
    let about =
        "# The operator adds lines of its own before and behind those of pg_hba; the last one asks for a password.\n";
    Ok(about.to_owned() + &kubernetes::documents(&documents))
}

/// A certificate for the operator's replicas, of the CA that the server trusts.
fn replica(step: &Step, authority: &Authority, ca_file: &str) -> Result<(Vec<u8>, Vec<u8>), ExportError> {
    let tree = &step.situation.tree;
    let planned = step.situation.server.files.get(ca_file);
    let issuer = planned.and_then(|planned| first_certificate(tree, planned));
    let issuer = issuer.ok_or_else(|| not_possible(format!("{ca_file} begins with no certificate of a CA")))?;
    let spec = CertificateSpec {
        subject: Some(format!("/CN={REPLICA}")),
        usage: Some(vec![ExtendedKeyUsage::ClientAuth]),
        ..CertificateSpec::default()
    };
    let replica = authority.issue_by(&authority.certificate(tree, &issuer)?, REPLICA, &spec)?;
    let key = replica.key.private_key_to_pem_pkcs8().map_err(PkiError::from)?;
    Ok((replica.x509.to_pem().map_err(PkiError::from)?, key))
}

/// The certificate at the end of the chain of a file.
fn root(step: &Step, authority: &Authority, file: &str) -> Result<Vec<u8>, ExportError> {
    let tree = &step.situation.tree;
    let first = step.situation.server.files.get(file).and_then(|planned| first_certificate(tree, planned));
    let mut name = first.ok_or_else(|| not_possible(format!("{file} begins with no certificate")))?;
    while let Some(issuer) = tree.certificates.get(&name).and_then(|spec| spec.issuer.clone()) {
        name = issuer;
    }
    Ok(authority.file(tree, &format!("{name}.crt"))?)
}

/// The name of the first certificate in a file.
fn first_certificate(tree: &Tree, planned: &PlannedFile) -> Option<String> {
    let Content::Artifacts(parts, _) = &planned.content else { return None };
    let mut next = parts.first()?.clone();
    loop {
        match tree.artifact(&next)? {
            Artifact::Certificate(name) => return Some(name.to_owned()),
            Artifact::Bundle(parts) => next = parts.first()?.clone(),
            Artifact::Key(_) | Artifact::Crl(_) => return None,
        }
    }
}
