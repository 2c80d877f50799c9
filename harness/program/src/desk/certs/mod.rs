//! Certificates for a server and a Kong of the user's, with the settings of both sides that go with them.

mod error;
mod flaw;
mod guide;
mod made;
mod names;
mod request;
mod settings;
mod text;

use std::path::{Path, PathBuf};

use certificate_trees::{Authority, Tree};

pub use error::CertsError;
pub use flaw::Flaw;
pub use names::{Host, InvalidHost, InvalidUser, User};
pub use request::{Certs, Request};
pub use settings::Installed;
pub use text::write_certs;

use super::export::{NewFolder, kubernetes};

/// Makes certificates in a new folder: those of the guide's commands for a tree of the guide, and good ones for others.
///
/// # Errors
/// If the tree is not one for a server and a client, or the folder is not empty.
pub fn make(
    name: &str,
    tree: &Tree,
    flaws: Vec<Flaw>,
    authority: &Authority,
    request: &Request,
    folder: &Path,
) -> Result<Certs, CertsError> {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut certs = match tree.recipe {
        Some(recipe) => guide::make(name, recipe, flaws, request, &path)?,
        None => made::make(name, tree, authority, request, &path)?,
    };
    if request.secrets {
        certs.secrets = Some(secrets(&certs)?);
    }
    Ok(certs)
}

/// Both sides' certificates as Secrets.
fn secrets(certs: &Certs) -> Result<PathBuf, CertsError> {
    let Installed { server_certificate, server_key, server_trusts, .. } = &certs.installed;
    let Installed { client_certificate, client_key, client_trusts, .. } = &certs.installed;
    let mut all = Vec::new();
    for (name, certificate, key, trusts) in [
        ("kong-postgres-server", server_certificate, server_key, server_trusts),
        ("kong-postgres-client", client_certificate, client_key, client_trusts),
    ] {
        let read = |path: &Path| {
            let path = path.to_owned();
            std::fs::read(&path).map_err(|source| super::export::FolderError::Io { path, source })
        };
        let (certificate, key, trusts) = (read(certificate)?, read(key)?, read(trusts)?);
        let files = [("tls.crt", &certificate[..]), ("tls.key", &key[..]), ("ca.crt", &trusts[..])];
        all.push(kubernetes::secret(name, files.into_iter()));
    }
    let text = kubernetes::documents(&all);
    Ok(NewFolder::of(&certs.folder).file("secrets.yaml", text.as_bytes(), 0o600)?)
}
