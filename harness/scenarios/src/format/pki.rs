//! Certificates, as `pki.yaml` and the scenarios describe them.

use std::collections::BTreeMap;

use certificate_trees::{CertificateSpec, CrlSpec, Recipe};
use schemars::JsonSchema;
use serde::Deserialize;

/// What `pki.yaml` holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PkiFile {
    /// The trees by name.
    pub trees: BTreeMap<String, TreeSpec>,
}

/// The certificates of a scenario: the name of a tree of `pki.yaml`, or one spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Pki {
    /// A tree of `pki.yaml`; `guide/intermediate`, `guide/root-only` and `guide/self-signed` are made by the
    /// documentation's own commands.
    Named(String),
    /// A tree of its own, or one of `pki.yaml` with more in it.
    Spelled(TreeSpec),
}

/// Certificates and revocation lists by name. `NAME.crt`, `NAME.key` and `NAME.crl` are their files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeSpec {
    /// The tree that the others are added to.
    pub tree: Option<String>,
    /// The recipe of the documentation whose commands make `root`, `intermediate`, `server` and `client`.
    pub guide: Option<Recipe>,
    /// Certificates, each with a key of its own.
    #[serde(default)]
    pub certificates: BTreeMap<String, CertificateSpec>,
    /// Certificate revocation lists.
    #[serde(default)]
    pub crls: BTreeMap<String, CrlSpec>,
    /// Files that concatenate several certificates, in the order given; `chain.crt` is one.
    #[serde(default)]
    pub bundles: BTreeMap<String, Vec<String>>,
}
