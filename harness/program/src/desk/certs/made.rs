//! Certificates of this program: X.509 version 3, with subject alternative names and a purpose.

use std::path::{Path, PathBuf};

use certificate_trees::{Authority, CertificateSpec, KeyUsage, Tree, Validity};

use super::error::CertsError;
use super::names::{Host, User};
use super::request::{Certs, Request};
use super::settings::Installed;
use crate::desk::export::{FolderError, NewFolder};

/// For how many days a certificate is valid by default.
const DAYS: i16 = 365;

/// For how many days a CA is, at least.
const DAYS_OF_A_CA: i16 = 3650;

pub(super) fn make(
    name: &str,
    tree: &Tree,
    authority: &Authority,
    request: &Request,
    path: &Path,
) -> Result<Certs, CertsError> {
    let default_user = || CertsError::Incomplete { tree: name.to_owned(), name: "client" };
    let user = request.user.clone().or_else(|| "kong".parse::<User>().ok()).ok_or_else(default_user)?;
    let names = Names::of(request);
    let (server, client) = (chain(name, tree, "server")?, chain(name, tree, "client")?);
    let tree = described(tree, &server, &client, &names, &user, request.days.unwrap_or(DAYS));
    let folder = NewFolder::create(path)?;
    // The server's folder has to be found by the server's user.
    folder.open_to_pass()?;
    let [postgres, kong, ca] = ["postgres", "kong", "ca"].map(|name| folder.folder(name, 0o700));
    let (postgres, kong, ca) = (postgres?, kong?, ca?);
    let write = |into: &NewFolder, file: &str, parts: &[String], mode| -> Result<PathBuf, CertsError> {
        let content = authority.files(&tree, parts, certificate_trees::Format::Pem)?;
        Ok(into.file(file, &content, mode)?)
    };
    let with_intermediates = |chain: &[String]| -> Vec<_> {
        let sent = if chain.len() == 1 { chain } else { &chain[..chain.len() - 1] };
        sent.iter().map(|name| format!("{name}.crt")).collect()
    };
    let trusted = |chain: &[String]| chain.last().map(|name| format!("{name}.crt")).unwrap_or_default();
    let key = |name: &str| [format!("{name}.key")];
    let (server_root, client_root) = (trusted(&server), trusted(&client));
    let installed = Installed {
        server_certificate: write(&postgres, "server.crt", &with_intermediates(&server), 0o644)?,
        server_key: write(&postgres, "server.key", &key("server"), 0o600)?,
        server_trusts: write(&postgres, &client_root, std::slice::from_ref(&client_root), 0o644)?,
        client_certificate: write(&kong, "client.crt", &with_intermediates(&client), 0o644)?,
        client_key: write(&kong, "client.key", &key("client"), 0o600)?,
        client_trusts: write(&kong, &server_root, std::slice::from_ref(&server_root), 0o644)?,
        intermediates: server.len().saturating_sub(2),
        host: names.first,
        user,
    };
    for name in server.iter().skip(1).chain(client.iter().skip(1).filter(|name| !server.contains(name))) {
        for (kind, mode) in [("crt", 0o644), ("key", 0o600)] {
            let file = format!("{name}.{kind}");
            write(&ca, &file, std::slice::from_ref(&file), mode)?;
        }
    }
    settings(&installed, &postgres, &kong)?;
    Ok(Certs {
        folder: path.to_owned(),
        installed,
        authorities: ca.path().to_owned(),
        commands: None,
        flaws: Vec::new(),
        secrets: None,
    })
}

/// Both sides' settings as files.
fn settings(installed: &Installed, postgres: &NewFolder, kong: &NewFolder) -> Result<(), FolderError> {
    postgres.file("postgresql.conf", installed.postgresql_conf().as_bytes(), 0o644)?;
    postgres.file("pg_hba.conf", installed.pg_hba_conf().as_bytes(), 0o644)?;
    kong.file("kong.conf", installed.kong_conf().as_bytes(), 0o644)?;
    Ok(())
}

/// The names of the server.
struct Names {
    first: String,
    alternative: Vec<String>,
}

impl Names {
    fn of(request: &Request) -> Self {
        let Some(first) = request.hosts.first() else {
            let alternative = ["DNS:localhost", "IP:127.0.0.1"].map(str::to_owned).to_vec();
            return Self { first: "localhost".into(), alternative };
        };
        let alternative = request.hosts.iter().map(Host::alternative_name).collect();
        Self { first: first.as_str().to_owned(), alternative }
    }
}

/// A certificate and its issuers, up to the one that is signed by itself.
fn chain(tree_name: &str, tree: &Tree, name: &'static str) -> Result<Vec<String>, CertsError> {
    let mut chain = vec![name.to_owned()];
    let missing = || CertsError::Incomplete { tree: tree_name.to_owned(), name };
    let mut spec = tree.certificates.get(name).ok_or_else(missing)?;
    while let Some(issuer) = spec.issuer.as_ref().filter(|issuer| !chain.contains(issuer)) {
        chain.push(issuer.clone());
        spec = tree.certificates.get(issuer).ok_or_else(missing)?;
    }
    Ok(chain)
}

/// The certificates of the two chains, for these names.
fn described(tree: &Tree, server: &[String], client: &[String], names: &Names, user: &User, days: i16) -> Tree {
    let mut described = Tree::default();
    for name in server.iter().chain(client) {
        let Some(spec) = tree.certificates.get(name) else { continue };
        let days = if ["server", "client"].contains(&&**name) { days } else { days.max(DAYS_OF_A_CA) };
        let spec = CertificateSpec { valid: Some(Validity::for_days(days)), version: None, ..spec.clone() };
        let leaf = |subject: String, san: Option<Vec<String>>| {
            let key_usage = spec.key_usage.clone();
            let signs = spec.ca == Some(true);
            // One that signs itself is a CA as well, and needs the right to.
            let key_usage = if signs { key_usage } else { Some(vec![KeyUsage::DigitalSignature]) };
            CertificateSpec { subject: Some(subject), san, key_usage, ..spec.clone() }
        };
        let spec = match name.as_str() {
            "server" => leaf(format!("/CN={}", names.first), Some(names.alternative.clone())),
            "client" => leaf(format!("/CN={}", user.as_str()), None),
            _ => spec,
        };
        described.certificates.insert(name.clone(), spec);
    }
    described
}
