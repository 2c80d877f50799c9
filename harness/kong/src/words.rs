//! The error of words that belong to a closed list.

use strum::VariantNames;

/// A word that is not in the list of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not {kind}; expected one of {expected}")]
pub struct UnknownWord {
    word: String,
    kind: &'static str,
    expected: String,
}

impl UnknownWord {
    /// The error for a word that names none of `T`'s variants. `kind` has its article: "a stack".
    pub(crate) fn of<T: VariantNames>(word: &str, kind: &'static str) -> Self {
        Self { word: word.to_owned(), kind, expected: T::VARIANTS.join(", ") }
    }
}
