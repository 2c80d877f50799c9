use std::collections::BTreeMap;

use super::description::{CertificateSpec, CrlSpec};
use super::recipe::Recipe;

/// A set of certificates, revocation lists and bundles that refer to each other by name.
///
/// [`CertificateSpec::like`] is not followed here: resolve it with [`CertificateSpec::or`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tree {
    /// The recipe of Kong's guide that makes some of the certificates. It wins over `certificates` of the same name.
    pub recipe: Option<Recipe>,
    /// Certificates by name. Each makes the files `NAME.crt` and `NAME.key`.
    pub certificates: BTreeMap<String, CertificateSpec>,
    /// Certificate revocation lists by name. Each makes the file `NAME.crl`.
    pub crls: BTreeMap<String, CrlSpec>,
    /// Files by name that are the concatenation of other files.
    pub bundles: BTreeMap<String, Vec<String>>,
}

/// What a file of a tree contains.
#[derive(Debug, PartialEq, Eq)]
pub enum Artifact<'t> {
    /// `NAME.crt`
    Certificate(&'t str),
    /// `NAME.key`
    Key(&'t str),
    /// `NAME.crl`
    Crl(&'t str),
    /// A concatenation of files.
    Bundle(&'t [String]),
}

impl Tree {
    /// Whether it defines a certificate of that name.
    #[must_use]
    pub fn has_certificate(&self, name: &str) -> bool {
        self.certificates.contains_key(name) || self.is_from_recipe(name)
    }

    pub(super) fn is_from_recipe(&self, name: &str) -> bool {
        self.recipe.is_some_and(|recipe| recipe.certificates().contains(&name))
    }

    /// What a file contains; `None` if the tree does not define it.
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

    /// The names of all files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let recipe = self.recipe.map(Recipe::certificates).unwrap_or_default();
        let names = recipe.iter().copied().chain(self.certificates.keys().map(String::as_str));
        let mut files: Vec<_> = names.flat_map(|name| [format!("{name}.crt"), format!("{name}.key")]).collect();
        files.extend(self.crls.keys().map(|name| format!("{name}.crl")));
        files.extend(self.bundles.keys().cloned());
        files.sort();
        files.dedup();
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_lists_its_files_and_knows_what_they_contain() {
        let parts = vec!["server.crt".to_owned(), "extra.crt".to_owned()];
        let crl = CrlSpec { issuer: "extra".into(), ..CrlSpec::default() };
        let tree = Tree {
            recipe: Some(Recipe::SelfSigned),
            certificates: BTreeMap::from([("extra".to_owned(), CertificateSpec::default())]),
            crls: BTreeMap::from([("extra".to_owned(), crl)]),
            bundles: BTreeMap::from([("all.pem".to_owned(), parts.clone())]),
        };
        let files =
            ["all.pem", "client.crt", "client.key", "extra.crl", "extra.crt", "extra.key", "server.crt", "server.key"];
        assert_eq!(tree.files(), files);
        assert_eq!(tree.artifact("all.pem"), Some(Artifact::Bundle(&parts)));
        assert_eq!(tree.artifact("extra.crl"), Some(Artifact::Crl("extra")));
        assert_eq!(tree.artifact("client.key"), Some(Artifact::Key("client")));
        assert_eq!(tree.artifact("root.crt"), None);
    }
}
