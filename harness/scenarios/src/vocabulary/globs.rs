//! Globs for ids and names.

use globset::{Glob, GlobSet, GlobSetBuilder};
use thiserror::Error;

/// A glob that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("bad glob: {message}")]
pub struct BadGlob {
    /// Which of the globs, from 0.
    pub index: usize,
    message: String,
}

/// Globs of which one has to match.
#[derive(Debug, Clone)]
pub struct Globs(GlobSet);

impl Globs {
    /// Reads globs.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn new(globs: &[String]) -> Result<Self, BadGlob> {
        let bad = |index| move |error: globset::Error| BadGlob { index, message: error.to_string() };
        let mut set = GlobSetBuilder::new();
        for (index, glob) in globs.iter().enumerate() {
            set.add(Glob::new(glob).map_err(bad(index))?);
        }
        Ok(Self(set.build().map_err(bad(0))?))
    }

    /// Whether one of them matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Whether a glob can match a text that begins with this one: the two agree as far as the glob is literal.
pub(crate) fn can_match_below(glob: &str, beginning: &str) -> bool {
    let literal = glob.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default();
    beginning.starts_with(literal) || literal.starts_with(beginning)
}
