//! `*.yaml` of a suite: a documented mode, and the situations in it.

use indexmap::IndexMap;
use postgres_tls_server::ApplyMode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::claims::Documented;
use super::files::Files;
use super::outcome::{Expect, ServerLog};
use super::pki::Pki;
use super::points::At;
use super::proxy::Proxy;
use super::relay::Relay;
use super::setting::{KongSettings, PostgresSettings};
use crate::vocabulary::{ClientKind, OpenConnection, OpensslReleases, PostgresRange, TlsVersion};

/// A documented mode: the server's configuration, the certificates, Kong's configuration, and the situations in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the scenario is about, in one line.
    pub title: String,
    /// What a reader should know before reading the cases.
    pub about: Option<String>,
    /// The claims of the documents that the cases prove.
    #[serde(default)]
    pub claims: Vec<ClaimUse>,
    /// Where the scenario comes from: URLs of issues, pull requests and support articles.
    #[serde(default)]
    pub source: Vec<Url>,
    /// Why the scenario is here, if no claim and no source is the reason.
    pub reason: Option<String>,
    /// The versions that its cases apply to; all of them, if not given.
    pub applies_to: Option<AppliesTo>,
    /// Roles that the suite's servers have besides its own, each with the password `kong`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Databases that they have besides `kong`.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Both sides' configuration, which axes and cases change.
    #[serde(flatten)]
    pub setup: Setup,
    /// The points of the axes, and the Kong releases, at which no case here has a meaning.
    #[serde(default)]
    pub except: Vec<Except>,
    /// Dimensions in which every case is repeated: axis, then point, then what is different there.
    #[serde(default)]
    pub axes: Axes,
    /// The situations, each with what must happen.
    #[schemars(length(min = 1))]
    pub cases: Vec<Case>,
}

/// The address of an issue, a pull request or a support article.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("examples" = ["https://github.com/Kong/kong/issues/5921"]))]
pub struct Url(
    #[schemars(regex(pattern = "^https?://[^ ]+$"))]
    pub String,
);

/// The axes of a scenario, each with its points by name.
pub type Axes = IndexMap<String, IndexMap<String, Point>>;

/// One situation of a scenario, with what must happen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence that names the situation; its slug is part of the cell's id.
    pub name: String,
    /// Why it is so, or where it comes from.
    pub about: Option<String>,
    /// The claims of the documents that this case proves, besides the scenario's.
    #[serde(default)]
    pub claims: Vec<ClaimUse>,
    /// Where the case comes from: URLs of issues, pull requests and support articles.
    #[serde(default)]
    pub source: Vec<Url>,
    /// Why the case is here, if no claim and no source is the reason.
    pub reason: Option<String>,
    /// The versions that the case applies to; those of the scenario, if not given.
    pub applies_to: Option<AppliesTo>,
    /// The points of the axes at which the case is run; all of an axis that is not named.
    #[serde(default)]
    pub at: At,
    /// What differs from the scenario's configuration.
    #[serde(flatten)]
    pub setup: Setup,
    /// What must happen when Kong connects, at every point.
    pub expect: Option<Expect>,
    /// What must happen at which points of the axes: the first rule that fits. Where none does, what `otherwise` says,
    /// or else what the point itself expects, the last axis first.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What must happen at all points for which no rule fits.
    pub otherwise: Option<Expect>,
    /// The points of the axes, and the Kong releases, at which the case has no meaning; those cells are `unsupported`.
    #[serde(default)]
    pub except: Vec<Except>,
    /// Where the documents are wrong about the case, or silent.
    #[serde(default)]
    pub documented: Vec<Documented>,
    /// What the server answers to SQL queries of the superuser.
    #[serde(default)]
    pub queries: IndexMap<String, String>,
    /// Steps after the first connection: what is changed, and what must happen then.
    #[serde(default)]
    pub then: Vec<Step>,
}

/// A point of an axis: what is configured differently there, and what follows from it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// What is configured differently.
    #[serde(flatten)]
    pub setup: Setup,
    /// The TLS version that both stacks speak there: the argument `tls` of the outcomes expected at this point.
    pub tls: Option<TlsVersion>,
    /// What must happen at this point in a case that says nothing else of it.
    pub expect: Option<Expect>,
    /// The claims that this point proves, where what it expects is what the case expects.
    #[serde(default)]
    pub claims: Vec<String>,
}

/// What is configured: certificates, files, the server, Kong, and what is between the two.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The certificates.
    pub pki: Option<Pki>,
    /// What the files hold, where that is not what their names say.
    #[serde(default)]
    pub files: Files,
    /// The server.
    #[serde(default)]
    pub postgres: Postgres,
    /// kong.conf; `null` takes a setting away.
    #[serde(default)]
    pub kong: KongSettings,
    /// What kong.conf said when Kong's prefix was made, where that was something else: what the command line takes
    /// `lua_ssl_*` from. Nothing else is taken from there.
    #[serde(default)]
    pub kong_prefix: KongSettings,
    /// The security level of Kong's OpenSSL, where an operator has changed it; `DEFAULT@SECLEVEL=0` is level 0.
    #[schemars(range(max = 5))]
    pub kong_security_level: Option<u32>,
    /// A proxy between Kong and the server; none, if not given.
    pub proxy: Option<Proxy>,
    /// A real program between Kong and the server; none, if not given. A case changes single settings of it.
    pub relay: Option<Relay>,
}

/// A claim that a case proves: at every point, or at some of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClaimUse {
    /// Every point of the case proves it.
    Everywhere(String),
    /// Some points prove it; without them, the claim is not covered.
    AtPoints(BoundClaim),
}

/// A claim, and the points that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundClaim {
    /// The claim's id.
    pub claim: String,
    /// The points that prove it.
    pub at: At,
}

impl ClaimUse {
    /// The claim's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Everywhere(id) => id,
            Self::AtPoints(bound) => &bound.claim,
        }
    }

    /// The points that prove it; `None` if all do.
    #[must_use]
    pub fn at(&self) -> Option<&At> {
        match self {
            Self::Everywhere(_) => None,
            Self::AtPoints(bound) => Some(&bound.at),
        }
    }
}

/// What must happen at some points of the axes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The points, by axis; any of an axis that is not named.
    pub at: At,
    /// The claims that these points prove.
    #[serde(default)]
    pub claims: Vec<String>,
    /// What must happen there.
    pub expect: Expect,
}

/// Points of the axes, or Kong releases, at which a case has no meaning.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Except {
    /// The points, by axis; any of an axis that is not named.
    #[serde(default)]
    pub at: At,
    /// The Kong releases, by name or by a pattern like `*-oss`; all of them, if none is named.
    #[serde(default)]
    pub releases: Vec<String>,
    /// Why not there.
    pub because: String,
}

/// Something that changes after a first connection, and what must happen then. A step has one of `reload`, `restart`,
/// `running_kong`, `read_only` and `from_pool`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is changed and then put in force with a reload of the running server.
    pub reload: Option<Setup>,
    /// What is changed and then put in force with a restart of the server.
    pub restart: Option<Setup>,
    /// What is different on a second server, the one that Kong's read-only connection goes to.
    pub read_only: Option<Setup>,
    /// What is changed beside a Kong that runs on, and on the server, with a reload of that. Kong keeps what it has read
    /// when it started.
    pub running_kong: Option<Setup>,
    /// What is different for Kong's read-only connection to the same server, while the main one is idle in Kong's pool.
    pub from_pool: Option<Setup>,
    /// What the server logs about the change, besides that it makes it; nothing, if not given.
    #[serde(default)]
    pub postgres: ServerLog,
    /// What becomes of the first connection, if Kong has kept it open.
    pub open_connection: Option<OpenConnection>,
    /// What must happen when Kong connects then.
    pub expect: Option<Expect>,
}

/// The versions that a case applies to. Elsewhere its cells are `unsupported`, with the reason given here.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppliesTo {
    /// PostgreSQL majors: `15`, `14+` or `13-15`.
    pub postgres: Option<PostgresRange>,
    /// Release lines of the OpenSSL that the server is linked with: `3.0`, `3.2+` or `1.1.1-3.5`.
    pub openssl: Option<OpensslReleases>,
    /// Only a PostgreSQL that was built without TLS.
    #[serde(default)]
    pub built_without_tls: bool,
    /// The Kong releases it is about; without `--kong` it is run with these, and not with the newest.
    #[serde(default)]
    pub releases: Vec<String>,
    /// The only clients that can show it.
    #[serde(default)]
    pub clients: Vec<ClientKind>,
    /// Why not elsewhere; needed with `postgres`, `openssl`, `built_without_tls` and `clients`.
    pub because: Option<String>,
}

impl AppliesTo {
    /// Whether there are servers that it does not apply to.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.postgres.is_some() || self.openssl.is_some() || self.built_without_tls || !self.clients.is_empty()
    }
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
    /// Whether a line of pg_hba.conf is meant to be one that PostgreSQL does not read.
    #[serde(default)]
    pub hba_invalid: bool,
    /// pg_ident.conf, line by line.
    pub ident: Option<Vec<String>>,
    /// How the configuration is put in force; `reload` if not given.
    pub by: Option<ApplyMode>,
}
