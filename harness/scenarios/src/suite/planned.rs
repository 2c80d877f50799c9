//! Files of a case before they are made.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use certificate_trees::{Format, IssuedTree, PkiError};
use postgres_tls_server::Owner;

/// No certificate or key is larger, and few bundles are.
const LIMIT: u64 = 4 * 1024 * 1024;

/// A file that is going to be made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlannedFile {
    /// What it holds.
    pub content: Content,
    /// Its mode.
    pub mode: FileMode,
    /// Its owner.
    pub owner: Owner,
    /// Its group.
    pub group: Owner,
}

/// The mode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// As a number: `0o600`.
    Octal(u32),
    /// As the commands of the documentation leave it.
    OfRecipe,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Content {
    /// Files of the tree, one after the other, in a form.
    Artifacts(Vec<String>, Format),
    /// Files of the tree in PEM between two texts.
    Between(String, Vec<String>, String),
    /// A file beside the scenario: its path from there, and what was in it.
    Own(String, Arc<[u8]>),
}

impl PlannedFile {
    /// The bytes of the file.
    ///
    /// # Errors
    /// If one of the certificates cannot be made.
    pub fn content(&self, tree: &IssuedTree<'_>) -> Result<Vec<u8>, PkiError> {
        match &self.content {
            Content::Between(before, parts, behind) => {
                let parts = tree.files(parts, Format::default())?;
                Ok([before.as_bytes(), &parts, behind.as_bytes()].concat())
            }
            Content::Artifacts(parts, format) => tree.files(parts, *format),
            Content::Own(_, bytes) => Ok(bytes.to_vec()),
        }
    }

    /// The mode of the file: `0o600`.
    ///
    /// # Errors
    /// If the recipe that sets it cannot be run.
    pub fn octal_mode(&self, tree: &IssuedTree<'_>) -> Result<u32, PkiError> {
        match (self.mode, &self.content) {
            (FileMode::Octal(mode), _) => Ok(mode),
            (FileMode::OfRecipe, Content::Artifacts(parts, _) | Content::Between(_, parts, _)) => {
                parts.iter().try_fold(0, |mode, part| Ok(mode | tree.recipe_mode(part)?))
            }
            // Only keys of a recipe's have its mode.
            (FileMode::OfRecipe, Content::Own(..)) => Ok(0o600),
        }
    }
}

impl Content {
    /// The text, if nothing of the tree is in it.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Between(before, parts, behind) if parts.is_empty() => Some(format!("{before}{behind}")),
            Self::Own(_, bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Between(..) | Self::Artifacts(..) => None,
        }
    }

    /// A file beside a scenario.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub(super) fn own(folder: &Path, path: &str) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(folder.join(path))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        file.take(LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LIMIT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MB"));
        }
        Ok(Self::Own(path.to_owned(), bytes.into()))
    }
}
