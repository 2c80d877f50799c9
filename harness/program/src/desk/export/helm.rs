//! Values for Kong's Helm chart. The certificates are in a Secret among its extra objects, so that one file is enough.

use std::path::Path;

use serde_json::json;

use super::deployment::{Address, Deployment};
use super::error::ExportError;
use super::format::Format;
use super::kubernetes::{self, NAME};
use super::yaml;

/// Where the Secret is in Kong's container.
const FOLDER: &str = "/etc/kong/tls";

pub(super) fn write(deployment: &Deployment, address: &Address) -> Result<String, ExportError> {
    let (repository, tag) = deployment.image(Format::Helm)?;
    // Keys of a Secret have no slashes, and what Kong cannot read is in none.
    if let Some(name) =
        deployment.files.iter().find_map(|(name, file)| (name.contains('/') || file.mode & 0o444 == 0).then_some(name))
    {
        let why = format!("a Secret has no folders and no files that cannot be read, such as {name}");
        return Err(ExportError::NotPossible { format: Format::Helm, why });
    }
    let mut env = deployment.kong(Path::new(FOLDER), Some(address));
    env.shift_insert(0, "database".into(), "postgres".into());
    let mut values = json!({
        "image": { "repository": repository, "tag": tag },
        "env": env,
        "ingressController": { "enabled": false },
    });
    if !deployment.files.is_empty() {
        let files = deployment.files.iter().map(|(name, file)| (name.as_str(), &file.content[..]));
        values["extraSecrets"] = json!([{ "name": NAME, "mountPath": FOLDER }]);
        values["extraObjects"] = json!([kubernetes::secret(NAME, files)]);
    }
    Ok(yaml::write(&values))
}
