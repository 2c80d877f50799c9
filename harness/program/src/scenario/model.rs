//! What a scenario file may hold. The types are the schema: `harness/schema/scenario.json` is made from them.

use indexmap::IndexMap;
use postgres_tls_server::ApplyMode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::documents::Documented;
use super::files::Files;
use super::outcome::{Expect, ServerLog};
use super::proxy::Proxy;
use super::setting::{KongSettings, PostgresSettings};
use crate::vocabulary::{OpenConnection, OpensslReleases, PostgresRange};
use certificate_trees::{CertificateSpec, CrlSpec, Recipe};

/// A documented mode: the server's configuration, the certificates, Kong's configuration, and the situations in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the scenario is about, in one line.
    pub title: String,
    /// What a reader should know before reading the cases.
    pub about: Option<String>,
    /// The claims of the documents that every case here bears on.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The users' threads this scenario comes from.
    #[serde(default)]
    pub threads: Vec<String>,
    /// Why the scenario is here, if no claim and no thread is the reason.
    pub beyond: Option<String>,
    /// The Kong releases that it is about; the one that the run is about, if not given.
    #[serde(default)]
    pub releases: Vec<String>,
    /// The certificates; a case may have others.
    pub pki: Option<Pki>,
    /// What the files hold, where that is not what their names say.
    #[serde(default)]
    pub files: Files,
    /// The server.
    #[serde(default)]
    pub postgres: Postgres,
    /// kong.conf.
    #[serde(default)]
    pub kong: KongSettings,
    /// What kong.conf said when Kong's prefix was made, where that was something else: what the command line takes
    /// `lua_ssl_*` from. Nothing else is taken from there.
    #[serde(default)]
    pub kong_prefix: KongSettings,
    /// The security level of Kong's OpenSSL, where an operator has changed it; `DEFAULT@SECLEVEL=0` is level 0.
    #[schemars(range(max = 5))]
    pub kong_security_level: Option<u32>,
    /// What stands between Kong and the server; nothing, if not given.
    pub proxy: Option<Proxy>,
    /// The points of the axes, and the Kong releases, that no case here has a meaning at.
    #[serde(default)]
    pub except: Vec<Except>,
    /// Dimensions in which every case is repeated: axis, then point, then what is different there.
    #[serde(default)]
    pub axes: IndexMap<String, IndexMap<String, Override>>,
    /// The situations, each with what must happen.
    #[schemars(length(min = 1))]
    pub cases: Vec<Case>,
}

/// One situation of a scenario, with what must happen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence that names the situation; its slug is part of the cell's id.
    pub name: String,
    /// Why it is so, or where it comes from.
    pub about: Option<String>,
    /// Claims of the documents this case bears on, besides the scenario's.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The users' threads this case comes from.
    #[serde(default)]
    pub threads: Vec<String>,
    /// Why the case is here, if no claim and no thread is the reason.
    pub beyond: Option<String>,
    /// The Kong releases that it is about; the scenario's, if not given.
    #[serde(default)]
    pub releases: Vec<String>,
    /// Where the case has a meaning at all.
    pub only: Option<Only>,
    /// The points of the axes at which the case is run; all of an axis that is not named.
    #[serde(default)]
    pub at: IndexMap<String, Points>,
    /// Other certificates than the scenario's.
    pub pki: Option<Pki>,
    /// Files that differ from the scenario's.
    #[serde(default)]
    pub files: Files,
    /// What differs in the server's configuration.
    #[serde(default)]
    pub postgres: Postgres,
    /// What differs in kong.conf; `null` takes a setting away.
    #[serde(default)]
    pub kong: KongSettings,
    /// What kong.conf said when Kong's prefix was made, where that was something else: what the command line takes
    /// `lua_ssl_*` from. Nothing else is taken from there.
    #[serde(default)]
    pub kong_prefix: KongSettings,
    /// The security level of Kong's OpenSSL, where an operator has changed it; `DEFAULT@SECLEVEL=0` is level 0.
    #[schemars(range(max = 5))]
    pub kong_security_level: Option<u32>,
    /// What stands between Kong and the server; nothing, if not given.
    pub proxy: Option<Proxy>,
    /// What must happen when Kong connects.
    pub expect: Option<Expect>,
    /// What must happen at which points of the axes, where that is not the same at all of them: the first that fits.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// The points of the axes, and the Kong releases, that the case has no meaning at; their cells are `unsupported`.
    #[serde(default)]
    pub except: Vec<Except>,
    /// Where the documents are wrong about it, or silent.
    #[serde(default)]
    pub documented: Vec<Documented>,
    /// What the server answers to questions of the superuser, in SQL.
    #[serde(default)]
    pub asks: IndexMap<String, String>,
    /// What is changed under the running server afterwards, and what must happen then.
    #[serde(default)]
    pub then: Vec<Step>,
}

/// What is different at one point of an axis.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Other certificates.
    pub pki: Option<Pki>,
    /// Other files.
    #[serde(default)]
    pub files: Files,
    /// Another server configuration.
    #[serde(default)]
    pub postgres: Postgres,
    /// Another kong.conf.
    #[serde(default)]
    pub kong: KongSettings,
    /// What kong.conf said when Kong's prefix was made, where that was something else: what the command line takes
    /// `lua_ssl_*` from. Nothing else is taken from there.
    #[serde(default)]
    pub kong_prefix: KongSettings,
    /// The security level of Kong's OpenSSL, where an operator has changed it; `DEFAULT@SECLEVEL=0` is level 0.
    #[schemars(range(max = 5))]
    pub kong_security_level: Option<u32>,
    /// Something else between Kong and the server.
    pub proxy: Option<Proxy>,
}

/// What must happen at some points of the axes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The points, by axis; any of an axis that is not named.
    #[serde(default)]
    pub when: IndexMap<String, Points>,
    /// What must happen there.
    pub expect: Expect,
}

/// Points of the axes, or Kong releases, that a case has no meaning at.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Except {
    /// The points, by axis; any of an axis that is not named.
    #[serde(default)]
    pub when: IndexMap<String, Points>,
    /// The Kong releases, by name or by a pattern like `*-oss`; all of them, if none is named.
    #[serde(default)]
    pub releases: Vec<String>,
    /// Why not there.
    pub because: String,
}

/// One point of an axis, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Points {
    /// Only this one.
    One(String),
    /// Any of these.
    Several(Vec<String>),
}

impl Points {
    /// The points.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(point) => std::slice::from_ref(point),
            Self::Several(points) => points,
        }
    }
}

/// Something that changes after a first connection, and what must happen then.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is written under the running server, and then put in force with a reload.
    pub reload: Option<Override>,
    /// What is written, and then put in force with a restart of the server.
    pub restart: Option<Override>,
    /// What is different on a second server, the one that Kong's read-only connection goes to.
    pub read_only: Option<Override>,
    /// What the server logs about the change, besides that it makes it; nothing, if not given.
    #[serde(default)]
    pub postgres: ServerLog,
    /// What becomes of the first connection, if Kong has kept it open.
    pub open_connection: Option<OpenConnection>,
    /// What must happen when Kong connects then.
    pub expect: Option<Expect>,
}

/// The versions a case has a meaning on. Elsewhere its cells are `unsupported`, with the reason given here.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// PostgreSQL majors: `15`, `14+` or `13-15`.
    pub postgres: Option<PostgresRange>,
    /// Releases of the OpenSSL the server is linked with: `3.0`, `3.5.9+` or `1.1.1-3.5.7`.
    pub openssl: Option<OpensslReleases>,
    /// Why not elsewhere.
    pub because: String,
}

/// The certificates of a scenario: the name of a tree of `pki.yaml`, or one spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Pki {
    /// A tree of `pki.yaml`, or `guide/intermediate`, `guide/root-only`, `guide/self-signed`: the documents' own commands.
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
    /// The recipe of the documents whose commands make `root`, `intermediate`, `server` and `client`.
    pub guide: Option<Recipe>,
    /// Certificates, each with a key of its own.
    #[serde(default)]
    pub certificates: std::collections::BTreeMap<String, CertificateSpec>,
    /// Certificate revocation lists.
    #[serde(default)]
    pub crls: std::collections::BTreeMap<String, CrlSpec>,
    /// Files that put several certificates together, in the order given; `chain.crt` is one.
    #[serde(default)]
    pub bundles: std::collections::BTreeMap<String, Vec<String>>,
}

/// The server's configuration. The keys of `conf` are those of postgresql.conf.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// postgresql.conf; `null` takes a setting away.
    #[serde(default)]
    pub conf: PostgresSettings,
    /// pg_hba.conf, line by line; a case's lines take the place of the scenario's.
    pub hba: Option<Vec<String>>,
    /// pg_ident.conf, line by line.
    pub ident: Option<Vec<String>>,
    /// How the configuration is put in force; `reload` if not given.
    pub by: Option<ApplyMode>,
}
