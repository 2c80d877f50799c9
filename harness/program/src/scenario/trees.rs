//! Trees of certificates as a suite writes them, resolved: what they are based on, and what they are like.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{Pki, TreeSpec};
use super::schema;
use super::source::{Fault, Source};
use super::yaml::{Segment, Target};
use certificate_trees::{CertificateSpec, Tree};

/// What `pki.yaml` holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PkiFile {
    /// The trees by name.
    pub trees: BTreeMap<String, TreeSpec>,
}

/// The trees that have names, with their likenesses still open: in a tree that is based on another, what is like
/// `server` is like its own `server`.
#[derive(Debug, Default)]
pub(super) struct Trees(BTreeMap<String, Tree>);

/// What is wrong with a tree: the way to the place inside it, what it is, and what was expected.
type Wrong = (Vec<Segment>, String, String);

impl Trees {
    /// Reads `pki.yaml`. A tree may be based on those written before it.
    pub(super) fn read(source: &Source) -> Result<Self, Vec<Fault>> {
        let file: PkiFile = schema::read(source)?;
        let mut trees = Self::default();
        let mut pending: Vec<_> = file.trees.iter().collect();
        let mut faults = Vec::new();
        while !pending.is_empty() {
            let is_ready = |spec: &TreeSpec| spec.tree.as_ref().is_none_or(|base| trees.0.contains_key(base));
            let (ready, waiting): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(_, spec)| is_ready(spec));
            let stuck = ready.is_empty();
            for (name, spec) in if stuck { &waiting } else { &ready } {
                match trees.spelled(spec) {
                    Ok(tree) => drop(trees.0.insert((*name).clone(), tree)),
                    Err(wrongs) => faults.extend(wrongs.into_iter().map(|(inside, message, help)| {
                        let path: Vec<_> = [Segment::Key("trees".into()), Segment::Key((*name).clone())]
                            .into_iter()
                            .chain(inside)
                            .collect();
                        source.fault(&path, Target::Value, message, help)
                    })),
                }
            }
            pending = if stuck { Vec::new() } else { waiting };
        }
        if faults.is_empty() { Ok(trees) } else { Err(faults) }
    }

    /// The tree that a scenario means.
    pub(super) fn resolve(&self, pki: &Pki) -> Result<Arc<Tree>, Vec<Wrong>> {
        let mut tree = match pki {
            Pki::Named(name) => self.named(name).map_err(|wrong| vec![wrong])?.clone(),
            Pki::Spelled(spec) => self.spelled(spec)?,
        };
        let flat = tree.certificates.iter().map(|(name, spec)| (name.clone(), flatten(spec, &tree.certificates)));
        tree.certificates = flat.collect();
        Ok(Arc::new(tree))
    }

    fn named(&self, name: &str) -> Result<&Tree, Wrong> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<_> = self.0.keys().map(String::as_str).collect();
            (Vec::new(), format!("no tree is called `{name}`"), format!("expected one of {}", known.join(", ")))
        })
    }

    fn spelled(&self, spec: &TreeSpec) -> Result<Tree, Vec<Wrong>> {
        let mut wrongs = Vec::new();
        let mut tree = match spec.tree.as_ref().map(|base| self.named(base)).transpose() {
            Ok(base) => base.cloned().unwrap_or_default(),
            Err((_, message, help)) => return Err(vec![(vec![Segment::Key("tree".into())], message, help)]),
        };
        tree.recipe = spec.guide.or(tree.recipe);
        tree.crls.extend(spec.crls.clone());
        tree.bundles.extend(spec.bundles.clone());
        // All names first: a certificate may be signed by one that is written below it.
        tree.certificates.extend(spec.certificates.clone());
        let mut complain = |group: &str, name: &str, key: &str, missing: &str, tree: &Tree| {
            let path = [group, name, key].into_iter().filter(|part| !part.is_empty());
            wrongs.push((
                path.map(|part| Segment::Key(part.to_owned())).collect(),
                format!("no certificate of this tree is called `{missing}`"),
                format!("the tree makes {}", tree.files().join(", ")),
            ));
        };
        for (name, certificate) in &spec.certificates {
            if let Some(like) = certificate.like.as_deref().filter(|like| !tree.certificates.contains_key(*like)) {
                complain("certificates", name, "like", like, &tree);
            }
            if let Some(issuer) = certificate.issuer.as_deref().filter(|issuer| !tree.has_certificate(issuer)) {
                complain("certificates", name, "issuer", issuer, &tree);
            }
        }
        for (name, crl) in &spec.crls {
            if !tree.has_certificate(&crl.issuer) {
                complain("crls", name, "issuer", &crl.issuer, &tree);
            }
            for revoked in crl.revoked.iter().filter(|revoked| !tree.has_certificate(revoked)) {
                complain("crls", name, "revoked", revoked, &tree);
            }
        }
        for (name, parts) in &spec.bundles {
            for part in parts.iter().filter(|part| tree.artifact(part).is_none()) {
                complain("bundles", name, "", part, &tree);
            }
        }
        if wrongs.is_empty() { Ok(tree) } else { Err(wrongs) }
    }
}

/// A certificate with everything said that the ones it is like say.
fn flatten(spec: &CertificateSpec, all: &BTreeMap<String, CertificateSpec>) -> CertificateSpec {
    let mut flat = spec.clone();
    // A circle of likenesses ends after as many steps as there are certificates.
    for _ in 0..all.len() {
        let Some(like) = flat.like.as_ref().and_then(|like| all.get(like)) else { break };
        flat = flat.or(like);
    }
    CertificateSpec { like: None, ..flat }
}
