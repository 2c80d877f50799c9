//! Trees of certificates, with what they are based on and what they are like resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate_trees::{CertificateSpec, Tree};

use crate::format::{Pki, PkiFile, TreeSpec};
use crate::load::{Fault, Problem, Source, key, read, some_of};

/// The trees that have names.
#[derive(Debug, Default)]
pub(super) struct Trees(BTreeMap<String, Named>);

#[derive(Debug)]
struct Named {
    /// With its likenesses still open: in a tree that is based on this one, what is like `server` is like its own
    /// `server`.
    open: Tree,
    /// As scenarios use it.
    resolved: Arc<Tree>,
}

impl Trees {
    /// Reads `pki.yaml`. A tree may be based on those written before it.
    pub(super) fn read(source: &Source) -> Result<Self, Vec<Fault>> {
        let file: PkiFile = read(source)?;
        let mut trees = Self::default();
        let mut pending: Vec<_> = file.trees.iter().collect();
        let mut faults = Vec::new();
        while !pending.is_empty() {
            let is_ready = |spec: &TreeSpec| spec.tree.as_ref().is_none_or(|base| trees.0.contains_key(base));
            let (ready, waiting): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(_, spec)| is_ready(spec));
            let stuck = ready.is_empty();
            for (name, spec) in if stuck { &waiting } else { &ready } {
                match trees.spelled(spec) {
                    Ok(open) => {
                        let resolved = Arc::new(flattened(&open));
                        trees.0.insert((*name).clone(), Named { open, resolved });
                    }
                    Err(problems) => {
                        let path = [key("trees"), key(name)];
                        faults.extend(problems.into_iter().map(|problem| source.fault(problem.below(&path))));
                    }
                }
            }
            pending = if stuck { Vec::new() } else { waiting };
        }
        if faults.is_empty() { Ok(trees) } else { Err(faults) }
    }

    /// The names of the trees.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The tree that a scenario means.
    pub(super) fn resolve(&self, pki: &Pki) -> Result<Arc<Tree>, Vec<Problem>> {
        match pki {
            Pki::Named(name) => self.named(name).map(|tree| tree.resolved.clone()).map_err(|problem| vec![problem]),
            Pki::Spelled(spec) => self.spelled(spec).map(|tree| Arc::new(flattened(&tree))),
        }
    }

    fn named(&self, name: &str) -> Result<&Named, Problem> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<_> = self.0.keys().cloned().collect();
            let help = some_of(name, &known, "pki.yaml has all");
            Problem::value(Vec::new(), format!("no tree is called `{name}`"), help)
        })
    }

    fn spelled(&self, spec: &TreeSpec) -> Result<Tree, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut tree = match spec.tree.as_ref().map(|base| self.named(base)).transpose() {
            Ok(base) => base.map(|base| base.open.clone()).unwrap_or_default(),
            Err(problem) => return Err(vec![problem.below(&[key("tree")])]),
        };
        tree.recipe = spec.guide.or(tree.recipe);
        tree.crls.extend(spec.crls.clone());
        tree.bundles.extend(spec.bundles.clone());
        // All names first: a certificate may be signed by one that is written below it.
        tree.certificates.extend(spec.certificates.clone());
        let mut complain = |group: &str, name: &str, field: &str, missing: &str, tree: &Tree| {
            let path = [group, name, field].into_iter().filter(|part| !part.is_empty()).map(key).collect();
            let message = format!("no certificate of this tree is called `{missing}`");
            let files = tree.files().into_iter();
            let names: Vec<_> = files.filter_map(|file| Some(file.strip_suffix(".key")?.to_owned())).collect();
            let help = some_of(missing, &names, "they are those of the tree");
            problems.push(Problem::value(path, message, help));
        };
        let mut incomplete = Vec::new();
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
                let message = format!("no certificate of this tree makes the file `{part}`");
                incomplete.push(Problem::value(vec![key("bundles"), key(name)], message, files_help(part, &tree)));
            }
        }
        problems.append(&mut incomplete);
        if problems.is_empty() { Ok(tree) } else { Err(problems) }
    }
}

/// What to write in the place of a file that a tree does not make.
pub(super) fn files_help(missing: &str, tree: &Tree) -> String {
    let files = tree.files();
    if files.is_empty() {
        return "the case has no certificates: add `pki`, a tree of pki.yaml such as root-only".into();
    }
    some_of(missing, &files, "they are those of the tree in `pki`")
}

/// The tree without likenesses.
fn flattened(tree: &Tree) -> Tree {
    let flat = tree.certificates.iter().map(|(name, spec)| (name.clone(), flatten(spec, &tree.certificates)));
    Tree { certificates: flat.collect(), ..tree.clone() }
}

/// A certificate with the fields of those it is like filled in.
fn flatten(spec: &CertificateSpec, all: &BTreeMap<String, CertificateSpec>) -> CertificateSpec {
    let mut flat = spec.clone();
    // A circle of likenesses ends after as many steps as there are certificates.
    for _ in 0..all.len() {
        let Some(like) = flat.like.as_ref().and_then(|like| all.get(like)) else { break };
        flat = flat.or(like);
    }
    CertificateSpec { like: None, ..flat }
}
