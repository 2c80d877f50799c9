//! The files that settings name: described, or copied.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::pkey::PKey;
use openssl::x509::X509;
use serde_json::{Map, Value, json};

use super::described::{Described, slug};

/// The files of both sides, under names that are different for different files.
pub(super) struct Files {
    /// Whether files are copied byte by byte, keys included.
    pub(super) with_keys: bool,
    names: BTreeMap<PathBuf, String>,
    /// What a scenario says of each.
    pub(super) specs: Map<String, Value>,
    /// What is to be copied, by the name of the copy.
    pub(super) copies: BTreeMap<String, Vec<u8>>,
    pub(super) described: Described,
    pub(super) notes: Vec<String>,
}

impl Files {
    pub(super) fn new(with_keys: bool) -> Self {
        Self {
            with_keys,
            names: BTreeMap::new(),
            specs: Map::new(),
            copies: BTreeMap::new(),
            described: Described::default(),
            notes: Vec::new(),
        }
    }

    /// The name of a file in the scenario.
    pub(super) fn add(&mut self, path: &Path) -> String {
        if let Some(name) = self.names.get(path) {
            return name.clone();
        }
        let base = slug(&path.file_name().unwrap_or_default().to_string_lossy());
        let taken = |name: &String| self.specs.contains_key(name);
        let numbered = (2..).map(|number| format!("{number}-{base}"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base);
        self.names.insert(path.to_owned(), name.clone());
        let spec = self.spec(path, &name);
        self.specs.insert(name.clone(), spec);
        name
    }

    fn spec(&mut self, path: &Path, name: &str) -> Value {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(_) if path.is_dir() => return json!("directory"),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.notes.push(format!("{} cannot be read, and counts as absent: {error}", path.display()));
                }
                return json!("absent");
            }
        };
        let mode = std::fs::metadata(path).map_or(0o600, |metadata| metadata.permissions().mode() & 0o777);
        let mut spec = self.content(path, name, bytes);
        spec.insert("mode".into(), json!(format!("{mode:04o}")));
        Value::Object(spec)
    }

    fn content(&mut self, path: &Path, name: &str, bytes: Vec<u8>) -> Map<String, Value> {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let has = |words: &str| bytes.windows(words.len()).any(|part| part == words.as_bytes());
        if !self.with_keys {
            if let Ok(certificate) = X509::from_der(&bytes) {
                let part = format!("{}.crt", self.described.add(&certificate));
                return object(json!({ "of": [part], "format": "der" }));
            }
            let certificates = X509::stack_from_pem(&bytes).unwrap_or_default();
            let mut parts: Vec<_> =
                certificates.iter().map(|certificate| format!("{}.crt", self.described.add(certificate))).collect();
            // A key without a passphrase only: nobody is asked for one here.
            let key = PKey::private_key_from_pem_callback(&bytes, |_| Ok(0)).ok();
            let is_der = key.is_none() && parts.is_empty();
            let der = is_der.then(|| PKey::private_key_from_der(&bytes).ok()).flatten();
            let format = match (&key, &der) {
                (_, Some(_)) => Some("der"),
                (Some(_), None) if has("BEGIN RSA PRIVATE KEY") || has("BEGIN EC PRIVATE KEY") => Some("traditional"),
                _ => None,
            };
            parts.extend(key.or(der).map(|key| format!("{}.key", self.described.add_key(&key))));
            if !parts.is_empty() {
                let format = format.map(|format| ("format".to_owned(), json!(format)));
                return object(json!({ "of": parts })).into_iter().chain(format).collect();
            }
            if has("PRIVATE KEY") {
                self.notes.push(format!(
                    "{} is a key with a passphrase, or one that cannot be read; it is left out (--with-keys copies it)",
                    path.display()
                ));
                return object(json!({ "text": "a private key that was not copied\n" }));
            }
        }
        self.copies.insert(name.to_owned(), bytes);
        object(json!({ "path": format!("files/{name}") }))
    }
}
