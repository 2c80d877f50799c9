//! Certificates of the guide's own commands.

use std::path::Path;

use certificate_trees::Recipe;

use super::error::CertsError;
use super::flaw::Flaw;
use super::request::{Certs, Request};
use super::settings::Installed;
use crate::desk::export::NewFolder;

pub(super) fn make(
    name: &str,
    recipe: Recipe,
    flaws: Vec<Flaw>,
    request: &Request,
    path: &Path,
) -> Result<Certs, CertsError> {
    if !request.hosts.is_empty() || request.user.is_some() || request.days.is_some() {
        return Err(CertsError::OfTheGuide(name.trim_start_matches("guide/").to_owned()));
    }
    let folder = NewFolder::create(path)?;
    folder.open_to_pass()?;
    let commands = folder.file("commands.sh", recipe.script().as_bytes(), 0o644)?;
    recipe.run(path)?;
    let file = |name: &str| path.join(name);
    // What the guide's section configures.
    let (server_trusts, client_trusts, intermediates) = match recipe {
        Recipe::Intermediate => ("chain.crt", "chain.crt", 1),
        Recipe::RootOnly => ("root.crt", "root.crt", 0),
        Recipe::SelfSigned => ("client.crt", "server.crt", 0),
    };
    let installed = Installed {
        server_certificate: file("server.crt"),
        server_key: file("server.key"),
        server_trusts: file(server_trusts),
        client_certificate: file("client.crt"),
        client_key: file("client.key"),
        client_trusts: file(client_trusts),
        intermediates,
        host: "dbhost.yourdomain.com".into(),
        user: "kong".parse().map_err(|_| CertsError::Incomplete { tree: name.to_owned(), name: "client" })?,
    };
    let (folder, authorities) = (path.to_owned(), path.to_owned());
    Ok(Certs { folder, installed, authorities, commands: Some(commands), flaws, secrets: None })
}
