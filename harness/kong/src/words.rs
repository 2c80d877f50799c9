//! The error of words that belong to a closed list.

use strum::VariantNames;

/// A word that is not in the list of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not {kind}; expected {expected}")]
pub struct UnknownWord {
    word: String,
    kind: &'static str,
    expected: String,
}

impl UnknownWord {
    /// The error for a word that names none of `T`'s variants. `kind` has its article: "a stack".
    pub(crate) fn of<T: VariantNames>(word: &str, kind: &'static str) -> Self {
        let expected = match T::VARIANTS {
            [] => String::new(),
            [only] => (*only).to_owned(),
            [others @ .., last] => format!("{} or {last}", others.join(", ")),
        };
        Self { word: word.to_owned(), kind, expected }
    }
}
