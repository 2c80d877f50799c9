//! Expected texts: verbatim, but for `{...}`: a value that only the run knows (`{host}`), or a text of `texts.yaml`,
//! with its arguments (`{matched line (line = host all all all trust)}`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use super::arguments::{ArgumentError, bind};
use super::template::{Piece, TemplateError, call, pieces, substitute};
use crate::format::{Text, Wording};
use crate::load::closest;
use crate::vocabulary::{OpensslRange, PostgresRange};
use kong_pg_client::OpensslLine;
use postgres_tls_server::Major;

/// A text that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// It cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Its arguments are wrong.
    #[error("{source}")]
    Arguments {
        /// What is wrong.
        #[from]
        source: ArgumentError,
    },
    /// There is no such placeholder.
    #[error("no text is called `{{{0}}}`")]
    Unknown(String),
    /// `texts.yaml` does not have the version.
    #[error("texts.yaml does not say what `{text}` is on {version}")]
    NoWording {
        /// The text.
        text: String,
        /// The version.
        version: TextVersion,
    },
    /// The OpenSSL that it depends on is not known.
    #[error("`{0}` depends on an OpenSSL that is not known")]
    NoOpenssl(String),
}

impl TextError {
    /// What was expected, where `texts` are known.
    pub(super) fn help(&self, texts: &Texts) -> String {
        match self {
            Self::Template(TemplateError::Brace(_)) => "close it with a `}`".into(),
            Self::Template(TemplateError::Parenthesis(_)) => "close it with a `)`".into(),
            Self::Template(TemplateError::Unnamed { .. }) => "an argument is written `NAME = VALUE`".into(),
            Self::Arguments { source } => source.help(),
            Self::Unknown(name) => {
                let known: Vec<_> = texts.0.keys().cloned().collect();
                closest(name, &known).map_or_else(
                    || "expected a text of texts.yaml, or {host}, {datadir}, {kong}, {subject of CERTIFICATE}".into(),
                    |close| format!("did you mean `{{{close}}}`?"),
                )
            }
            Self::NoWording { .. } | Self::NoOpenssl(_) => "add the version to texts.yaml".into(),
        }
    }
}

/// A version that the wording of a text depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextVersion {
    /// A PostgreSQL major.
    Postgres(Major),
    /// An OpenSSL line.
    Openssl(OpensslLine),
}

impl fmt::Display for TextVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(major) => write!(f, "PostgreSQL {major}"),
            Self::Openssl(line) => write!(f, "OpenSSL {line}"),
        }
    }
}

/// The versions that texts depend on, and the values that only the run knows.
pub struct TextContext<'a> {
    /// The PostgreSQL major of the cell.
    pub major: Major,
    /// The OpenSSL line of who says it; unknown only where a server never started.
    pub openssl: Option<OpensslLine>,
    /// The value of a placeholder, if it is one of the run's.
    pub value: &'a dyn Fn(&str) -> Option<String>,
}

/// The texts of a suite.
#[derive(Debug, Clone, Default)]
pub struct Texts(pub BTreeMap<String, Text>);

impl Texts {
    /// Checks that every placeholder of a template names a text, with the right arguments, or a value of the run.
    ///
    /// # Errors
    /// The first placeholder that does not.
    pub fn check(&self, template: &str, is_value: &dyn Fn(&str) -> bool) -> Result<(), TextError> {
        for piece in pieces(template)? {
            let Piece::Placeholder(inside) = piece else { continue };
            if is_value(inside) {
                continue;
            }
            let call = call(inside)?;
            let text = self.0.get(call.name).ok_or_else(|| TextError::Unknown(call.name.to_owned()))?;
            let given = call.arguments.iter().map(|(name, value)| (*name, (*value).to_owned()));
            bind(call.name, &text.arguments, |_| None, given)?;
            call.arguments.iter().try_for_each(|(_, value)| self.check(value, is_value))?;
        }
        Ok(())
    }

    /// The lines a template stands for in a context.
    ///
    /// # Errors
    /// A placeholder that means nothing, or a version that `texts.yaml` does not have.
    pub fn expand(&self, template: &str, context: &TextContext<'_>) -> Result<Vec<String>, TextError> {
        let mut lines = vec![String::new()];
        let mut vanished = false;
        for piece in pieces(template)? {
            let words = match piece {
                Piece::Verbatim(text) => vec![text.to_owned()],
                Piece::Placeholder(inside) => match (context.value)(inside) {
                    Some(value) => vec![value],
                    None => self.wording(inside, context)?,
                },
            };
            vanished |= words.is_empty();
            append(&mut lines, &words);
        }
        if vanished && lines == [""] {
            lines.clear();
        }
        Ok(lines)
    }

    /// The placeholders in a template that are values of the run, whatever the version.
    ///
    /// # Errors
    /// A placeholder that means nothing.
    pub fn values(&self, template: &str) -> Result<BTreeSet<String>, TextError> {
        let mut values = BTreeSet::new();
        for piece in pieces(template)? {
            let Piece::Placeholder(inside) = piece else { continue };
            let call = call(inside)?;
            let Some(text) = self.0.get(call.name) else {
                values.insert(inside.to_owned());
                continue;
            };
            let given = call.arguments.iter().map(|(name, value)| (*name, (*value).to_owned()));
            let arguments = bind(call.name, &text.arguments, |_| None, given)?;
            for line in text.wordings().flat_map(Wording::lines) {
                values.extend(self.values(&substitute(line, &|name| arguments.get(name).cloned())?)?);
            }
        }
        Ok(values)
    }

    /// The wording of a text on a version, if it has one.
    #[must_use]
    pub fn get(&self, name: &str, version: TextVersion) -> Option<&Wording> {
        let text = self.0.get(name)?;
        let is_in = |range: &str| match version {
            TextVersion::Postgres(major) => range.parse().is_ok_and(|range: PostgresRange| range.contains(major)),
            TextVersion::Openssl(line) => range.parse().is_ok_and(|range: OpensslRange| range.contains(line)),
        };
        let versions = match version {
            TextVersion::Postgres(_) => &text.postgres,
            TextVersion::Openssl(_) => &text.openssl,
        };
        versions.iter().flatten().find(|(range, _)| is_in(range)).map(|(_, wording)| wording)
    }

    /// The same with a wording of a text on a version.
    #[must_use]
    pub fn with(mut self, name: &str, version: TextVersion, wording: Wording) -> Self {
        if let Some(text) = self.0.get_mut(name) {
            let (versions, key) = match version {
                TextVersion::Postgres(major) => (&mut text.postgres, major.to_string()),
                TextVersion::Openssl(line) => (&mut text.openssl, line.to_string()),
            };
            versions.get_or_insert_default().insert(key, wording);
        }
        self
    }

    fn wording(&self, placeholder: &str, context: &TextContext<'_>) -> Result<Vec<String>, TextError> {
        let call = call(placeholder)?;
        let text = self.0.get(call.name).ok_or_else(|| TextError::Unknown(call.name.to_owned()))?;
        let given = call.arguments.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let values = bind(call.name, &text.arguments, |_| None, given)?;
        let version = match (&text.postgres, context.openssl) {
            (Some(_), _) => TextVersion::Postgres(context.major),
            (None, Some(line)) => TextVersion::Openssl(line),
            (None, None) => return Err(TextError::NoOpenssl(call.name.to_owned())),
        };
        let missing = || TextError::NoWording { text: call.name.to_owned(), version };
        self.get(call.name, version).ok_or_else(missing)?.lines().iter().try_fold(Vec::new(), |mut all, line| {
            all.extend(self.expand(&substitute(line, &|name| values.get(name).cloned())?, context)?);
            Ok(all)
        })
    }
}

/// Appends words to the last line; what is more than one line begins new ones.
fn append(lines: &mut Vec<String>, words: &[String]) {
    let Some((first, rest)) = words.split_first() else { return };
    if let Some(last) = lines.last_mut() {
        last.push_str(first);
    }
    lines.extend(rest.iter().cloned());
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::format::TextsFile;

    fn texts() -> Texts {
        let file: TextsFile = serde_json::from_value(serde_json::json!({ "texts": {
            "no encryption": { "about": "-", "postgres": { "13": "SSL off", "14+": "no encryption" } },
            "expired": { "about": "-", "openssl": { "1.1.1-3.1": "sslv3 alert", "3.2+": "ssl/tls alert" } },
            "refused": { "about": "-", "arguments": ["who", "depth"], "postgres": {
                "13-15": [], "16+": ["DETAIL:  at depth {depth}.", "\tsubject {subject of {who}}"] } },
        }}))
        .expect("texts");
        Texts(file.texts)
    }

    #[rstest]
    #[case("FATAL:  for host \"{host}\", {no encryption}", 13, &["FATAL:  for host \"127.0.0.1\", SSL off"])]
    #[case("FATAL:  for host \"{host}\", {no encryption}", 17, &["FATAL:  for host \"127.0.0.1\", no encryption"])]
    #[case("{expired}", 17, &["sslv3 alert"])]
    #[case("{refused (who = client, depth = 0)}", 15, &[])]
    #[case("{refused (who = client, depth = 0)}", 18, &["DETAIL:  at depth 0.", "\tsubject /CN=client"])]
    #[case("", 18, &[""])]
    fn a_template_is_expanded_for_a_version(#[case] template: &str, #[case] major: u16, #[case] expected: &[&str]) {
        let value = |name: &str| match name {
            "host" => Some("127.0.0.1".to_owned()),
            _ => name.strip_prefix("subject of ").map(|who| format!("/CN={who}")),
        };
        let context = TextContext { major: Major(major), openssl: Some(OpensslLine(3, 0)), value: &value };
        assert_eq!(texts().expand(template, &context).expect("words"), expected);
    }

    #[rstest]
    #[case("{nobody}", "no text is called `{nobody}`: expected a text of texts.yaml")]
    #[case("{refusd (who = a, depth = 0)}", "no text is called `{refusd}`: did you mean `{refused}`?")]
    #[case("{refused (who = client)}", "`refused` needs the argument `depth`: its arguments are who, depth")]
    #[case("{refused (who = a, depth = 0, why = b)}", "`refused` has no argument `why`: its arguments are who, depth")]
    #[case("{refused (who = a, depth = 0, who = b)}", "the argument `who` of `refused` is given twice")]
    #[case("{refused (client, 0)}", "the argument `client, 0` of `refused` has no name; expected `NAME = client, 0`")]
    #[case("{no encryption (now = x)}", "`no encryption` has no argument `now`: it takes no arguments")]
    #[case("{refused (who = {nobody}, depth = 0)}", "no text is called `{nobody}`")]
    #[case("{no encryption", "a { that is not closed: close it with a `}`")]
    fn a_placeholder_that_means_nothing_is_refused(#[case] template: &str, #[case] why: &str) {
        let error = texts().check(template, &|name| name == "host").expect_err("an error");
        let text = format!("{error}: {}", error.help(&texts()));
        assert!(text.contains(why), "{text}");
    }

    #[test]
    fn a_version_that_is_not_listed_is_an_error_and_not_a_guess() {
        let context = TextContext { major: Major(12), openssl: None, value: &|_| None };
        let error = texts().expand("{no encryption}", &context).expect_err("an error").to_string();
        assert!(error.contains("PostgreSQL 12"), "{error}");
    }
}
