//! Secrets of Kubernetes.

use serde_json::{Map, Value, json};

use super::yaml;

/// The name of everything that an export makes on a cluster.
pub(super) const NAME: &str = "kong-pg-tls";

/// A Secret with files in it. One that has `tls.crt` and `tls.key` is of the type for that.
#[must_use]
pub fn secret<'f>(name: &str, files: impl Iterator<Item = (&'f str, &'f [u8])>) -> Value {
    let data: Map<_, _> =
        files.map(|(name, content)| (name.to_owned(), openssl::base64::encode_block(content).into())).collect();
    let kind =
        if data.contains_key("tls.crt") && data.contains_key("tls.key") { "kubernetes.io/tls" } else { "Opaque" };
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "type": kind, "data": data })
}

/// Documents in one file.
#[must_use]
pub fn documents(all: &[Value]) -> String {
    all.iter().map(yaml::write).collect::<Vec<_>>().join("---\n")
}
