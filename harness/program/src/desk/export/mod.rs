//! A cell as files of other programs: what `kong-pg-tls export` prints. A format is one serializer, in a file of its own.

mod cnpg;
mod compose;
mod deployment;
mod error;
mod folder;
mod format;
mod helm;
mod kong;
pub mod kubernetes;
mod scenario;
mod yaml;

use std::path::Path;

use certificate_trees::Authority;

pub use deployment::{Address, Deployment, image_of};
pub use error::ExportError;
pub use folder::{FolderError, NewFolder};
pub use format::Format;
pub use kong::{conf as conf_of, env as env_of};

/// The document alone, which finds its files where Kong's usually are.
///
/// # Errors
/// If the format cannot say it, or a certificate cannot be made.
pub fn document(
    format: Format,
    deployment: &Deployment,
    authority: &Authority,
    address: &Address,
) -> Result<String, ExportError> {
    let document = of_folder(format, deployment, authority, address, Path::new("/etc/kong/tls"))?;
    let how = "# `--out DIR` writes it with the certificates that it names.\n";
    Ok(if format.has_files() { document + how } else { document })
}

/// The document and all files that it refers to, in a new folder.
///
/// # Errors
/// If the format cannot say it, a certificate cannot be made, or the folder is not empty.
pub fn write(
    format: Format,
    deployment: &Deployment,
    authority: &Authority,
    address: &Address,
    folder: &Path,
) -> Result<(), ExportError> {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    // Nothing is left of what cannot be said.
    let document = of_folder(format, deployment, authority, address, &path.join("kong"))?;
    let folder = NewFolder::create(&path)?;
    folder.file(format.file(), document.as_bytes(), 0o600)?;
    if format.has_files() {
        deployment.write(&folder)?;
    }
    if format == Format::Compose {
        folder.file("postgres/roles.sql", compose::roles().as_bytes(), 0o600)?;
    }
    Ok(())
}

/// The document for files of Kong's that are in a folder.
fn of_folder(
    format: Format,
    deployment: &Deployment,
    authority: &Authority,
    address: &Address,
    folder: &Path,
) -> Result<String, ExportError> {
    let text = match format {
        Format::KongConf => kong::conf(&deployment.kong(folder, Some(address))),
        Format::Env => kong::env(&deployment.kong(folder, Some(address))),
        Format::Compose => compose::write(deployment, address)?,
        Format::Helm => helm::write(deployment, address)?,
        Format::Cnpg => cnpg::write(deployment, authority)?,
        Format::Scenario => scenario::write(&deployment.cell)?,
    };
    Ok(deployment.header(format) + &text)
}

#[cfg(test)]
mod tests;
