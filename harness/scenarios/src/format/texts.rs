//! `texts.yaml`: texts that differ between PostgreSQL majors or OpenSSL lines.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// What `texts.yaml` holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextsFile {
    /// The texts by name. An expected text uses one as `{name}` or `{name (argument = value, argument = value)}`.
    pub texts: BTreeMap<String, Text>,
}

/// A text that is not the same everywhere: a closed list of versions, each with its wording.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// What it is, and why it differs.
    pub about: String,
    /// The names of its arguments; the wording refers to them in braces.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// By PostgreSQL major.
    pub postgres: Option<IndexMap<String, Wording>>,
    /// By OpenSSL release line: the server's in the server's log, the Kong release's in Kong's text.
    pub openssl: Option<IndexMap<String, Wording>>,
}

/// A text: a part of a line, or whole lines; none at all, if the list is empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Wording {
    /// A part of a line, or a whole one.
    Line(String),
    /// Whole lines, or none.
    Lines(Vec<String>),
}

impl Wording {
    /// Its lines; a part of a line is one.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        match self {
            Self::Line(line) => std::slice::from_ref(line),
            Self::Lines(lines) => lines,
        }
    }
}

impl Text {
    /// Its wordings, those of the oldest versions first.
    pub fn wordings(&self) -> impl DoubleEndedIterator<Item = &Wording> {
        self.postgres.iter().chain(&self.openssl).flat_map(IndexMap::values)
    }
}
