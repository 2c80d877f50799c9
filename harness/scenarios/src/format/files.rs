//! The files of a case: what they hold, in which form, and whose they are.

use certificate_trees::Format;
use indexmap::IndexMap;
use postgres_tls_server::Owner;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// File names, and what the files hold.
pub type Files = IndexMap<String, Option<FileSpec>>;

/// What a file holds: the files of the tree it is put together from, or more about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FileSpec {
    /// `absent`, `directory`, the one file of the tree that it is a copy of, or a path from the scenario file that begins
    /// with `./` or `../`.
    One(String),
    /// Files of the tree, one after the other, as `cat` puts them.
    Several(Vec<String>),
    /// Content with a mode or an owner.
    Detailed(FileDetails),
}

/// A file with a mode or an owner of its own, or with a text that no tree makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDetails {
    /// Files of the tree, one after the other; the file of the same name, if neither this nor `text` is given.
    pub of: Option<Vec<String>>,
    /// A file of one's own, by its path from the scenario file; in the place of all others.
    pub path: Option<String>,
    /// A text, for what is no certificate at all; what `of` names comes after it.
    pub text: Option<String>,
    /// A text behind everything else.
    pub text_behind: Option<String>,
    /// The form of a key, a certificate or a revocation list; PEM, and PKCS#8 for keys, if not given.
    pub format: Option<Format>,
    /// The mode, in octal, or `recipe`: the one that the commands of the documentation leave; `0600` if not given.
    #[schemars(regex(pattern = "^(0[0-7]{3}|recipe)$"), extend("examples" = ["0640"]))]
    pub mode: Option<String>,
    /// Who owns it; the database user if not given.
    pub owner: Option<Owner>,
    /// Its group; the owner's if not given.
    pub group: Option<Owner>,
}
