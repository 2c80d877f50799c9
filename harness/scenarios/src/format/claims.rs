//! Kong's documentation: what it claims (`claims.yaml`), and where it is wrong.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::points::At;
use crate::vocabulary::PostgresRange;
use kong_pg_client::{Edition, Stack};

/// What `claims.yaml` holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimsFile {
    /// The documents, each by the name that the ids of its claims begin with.
    pub documents: IndexMap<String, Document>,
}

/// A document, and what it says that can be checked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// Where it is to be found, and which issue of it was read.
    pub source: String,
    /// The files that were read, each by a name of its own, so that a changed document is noticed.
    #[serde(default)]
    pub files: IndexMap<String, DocumentFile>,
    /// Its claims, each by the rest of its id.
    pub claims: IndexMap<String, Claim>,
}

/// A file of a document, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentFile {
    /// The repository on GitHub that it is in: `Kong/developer.konghq.com`.
    pub repository: String,
    /// The commit it was read at.
    #[schemars(regex(pattern = "^[0-9a-f]{40}$"))]
    pub commit: String,
    /// Its path there.
    pub path: String,
    /// The SHA-256 of its content.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
}

/// One checkable statement of a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The heading it stands under.
    pub under: String,
    /// What it says, in other words.
    pub says: String,
    /// The file of the document that says it, by its name there; all of them, if not given.
    pub file: Option<String>,
    /// What it takes to try it, where this suite does not have it. The claim then may have no case, or one that only
    /// such a thing can run.
    pub needs: Option<String>,
    /// What is known of it otherwise, with the source.
    pub note: Option<String>,
}

impl ClaimsFile {
    /// All claims with their ids, `configure/mtls/cert-method`.
    pub fn claims(&self) -> impl Iterator<Item = (String, &Document, &Claim)> {
        self.documents.iter().flat_map(|(name, document)| {
            document.claims.iter().map(move |(rest, claim)| (format!("{name}/{rest}"), document, claim))
        })
    }

    /// Whether there is a claim of that id.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        let claim = id.split_once('/').and_then(|(name, rest)| self.documents.get(name)?.claims.get(rest));
        claim.is_some()
    }
}

/// A place where the documents are wrong, or silent. The case itself expects what happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Documented {
    /// The claim that does not hold, or that does not say enough.
    pub claim: String,
    /// What the documents say, in other words; nothing, if not given.
    pub says: Option<String>,
    /// What happens.
    pub happens: String,
    /// Since which version, or in which.
    pub since: String,
    /// What to do instead.
    pub instead: String,
    /// The points of the axes at which it is so; all of an axis that is not named.
    #[serde(default, skip_serializing)]
    pub at: At,
    /// The stack, the edition and the PostgreSQL majors it applies to; all that are not named.
    #[serde(default)]
    pub applies_to: Scope,
    /// What would be seen if the documents were right. When it is, the entry is out of date, and that is a failure.
    pub would: Option<Would>,
}

/// What a deviation applies to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// This of Kong's stacks only.
    pub stack: Option<Stack>,
    /// This edition of Kong only; a driver by itself counts as Enterprise's.
    pub edition: Option<Edition>,
    /// These PostgreSQL majors only.
    pub postgres: Option<PostgresRange>,
}

/// What would be seen if the documents were right: everything that is given here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Would {
    /// Whether Kong would connect.
    pub connects: Option<bool>,
    /// The TLS version it would connect with; `any`, if only plaintext is not what they say.
    pub tls: Option<String>,
    /// What Kong would say.
    pub kong: Option<String>,
    /// A line that the server would log.
    pub postgres: Option<String>,
}
