//! Arguments by name, checked against the names that an outcome or a text declares.

use indexmap::IndexMap;
use thiserror::Error;

/// What is wrong with arguments.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// One that has no default is not given.
    #[error("`{of}` needs the argument `{name}`")]
    Missing {
        /// The outcome or text.
        of: String,
        /// The argument.
        name: String,
        /// The arguments it has.
        known: String,
    },
    /// Nothing has that name.
    #[error("`{of}` has no argument `{name}`")]
    Unknown {
        /// The outcome or text.
        of: String,
        /// The argument.
        name: String,
        /// The arguments it has.
        known: String,
    },
    /// It is given twice.
    #[error("the argument `{name}` of `{of}` is given twice")]
    Twice {
        /// The outcome or text.
        of: String,
        /// The argument.
        name: String,
    },
}

impl ArgumentError {
    /// What was expected.
    pub(super) fn help(&self) -> String {
        match self {
            Self::Missing { known, .. } | Self::Unknown { known, .. } if known.is_empty() => {
                "it takes no arguments".into()
            }
            Self::Missing { known, .. } | Self::Unknown { known, .. } => format!("its arguments are {known}"),
            Self::Twice { .. } => "keep one of the two".into(),
        }
    }

    /// The argument that is there and should not be.
    pub(super) fn surplus(&self) -> Option<&str> {
        match self {
            Self::Missing { .. } => None,
            Self::Unknown { name, .. } | Self::Twice { name, .. } => Some(name),
        }
    }
}

/// The values of all arguments, those that are not given by their defaults.
pub(super) fn bind<'a>(
    of: &str,
    declared: &[String],
    default: impl Fn(&str) -> Option<String>,
    given: impl IntoIterator<Item = (&'a str, String)>,
) -> Result<IndexMap<String, String>, ArgumentError> {
    let known = || declared.join(", ");
    let mut values = IndexMap::new();
    for (name, value) in given {
        let (of, name) = (of.to_owned(), name.to_owned());
        if !declared.contains(&name) {
            return Err(ArgumentError::Unknown { of, name, known: known() });
        }
        if values.contains_key(&name) {
            return Err(ArgumentError::Twice { of, name });
        }
        values.insert(name, value);
    }
    for name in declared.iter().filter(|name| !values.contains_key(*name)).cloned().collect::<Vec<_>>() {
        let missing = || ArgumentError::Missing { of: of.to_owned(), name: name.clone(), known: known() };
        let value = default(&name).ok_or_else(missing)?;
        values.insert(name, value);
    }
    Ok(values)
}
