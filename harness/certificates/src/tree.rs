//! A tree of certificates with everything resolved that a suite may leave open.

use std::collections::BTreeMap;

use super::guide::Guide;
use super::spec::{CertificateSpec, CrlSpec};

/// Certificates, revocation lists and bundles by name, each complete in itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tree {
    /// The recipe of the documents that makes a part of the certificates, if one does.
    pub guide: Option<Guide>,
    /// The other certificates.
    pub certificates: BTreeMap<String, CertificateSpec>,
    /// Revocation lists.
    pub crls: BTreeMap<String, CrlSpec>,
    /// Files that are several others, one after the other.
    pub bundles: BTreeMap<String, Vec<String>>,
}

/// What a file name of a tree stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Artifact<'t> {
    /// `NAME.crt`
    Certificate(&'t str),
    /// `NAME.key`
    Key(&'t str),
    /// `NAME.crl`
    Crl(&'t str),
    /// A bundle.
    Bundle(&'t [String]),
}

impl Tree {
    /// Whether it has a certificate of that name.
    #[must_use]
    pub fn has_certificate(&self, name: &str) -> bool {
        self.certificates.contains_key(name) || self.guide.is_some_and(|guide| guide.certificates().contains(&name))
    }

    /// What a file name stands for; `None` if nothing in the tree makes it.
    #[must_use]
    pub fn artifact<'t>(&'t self, file: &'t str) -> Option<Artifact<'t>> {
        if let Some(parts) = self.bundles.get(file) {
            return Some(Artifact::Bundle(parts));
        }
        let (name, kind) = file.rsplit_once('.')?;
        match kind {
            "crt" if self.has_certificate(name) => Some(Artifact::Certificate(name)),
            "key" if self.has_certificate(name) => Some(Artifact::Key(name)),
            "crl" if self.crls.contains_key(name) => Some(Artifact::Crl(name)),
            _ => None,
        }
    }

    /// The names of all files it makes, for messages.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let guide = self.guide.map(Guide::certificates).unwrap_or_default();
        let names = guide.iter().copied().chain(self.certificates.keys().map(String::as_str));
        let mut files: Vec<_> = names.flat_map(|name| [format!("{name}.crt"), format!("{name}.key")]).collect();
        files.extend(self.crls.keys().map(|name| format!("{name}.crl")));
        files.extend(self.bundles.keys().cloned());
        files.sort();
        files.dedup();
        files
    }
}
