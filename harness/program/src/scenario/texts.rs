//! Texts that differ between PostgreSQL majors or OpenSSL lines, each told once, and the placeholders that name them.
//!
//! An expected text is verbatim, but for `{...}`: a value that only the run knows (`{host}`), or a text of
//! `texts.yaml`, with arguments where it has parameters (`{refused at depth (client, 0, certificate has expired)}`).

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::template::{Call, Piece, pieces, substitute};
use kong_pg_client::OpensslLine;
use postgres_tls_server::Major;

use crate::vocabulary::{OpensslRange, PostgresRange};

/// What `texts.yaml` holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextsFile {
    /// The texts by name.
    pub texts: BTreeMap<String, Text>,
}

/// A text that is not the same everywhere: a closed list of versions, each with what it says.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// What it is, and why it differs.
    pub about: String,
    /// Its parameters; the text names them in braces.
    #[serde(default)]
    pub with: Vec<String>,
    /// By PostgreSQL major.
    pub postgres: Option<IndexMap<String, Wording>>,
    /// By the line of the OpenSSL that says it: the server's in the server's log, the Kong release's in Kong's text.
    pub openssl: Option<IndexMap<String, Wording>>,
}

/// A text: a part of a line, or whole lines; none at all, if the list is empty.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Wording {
    /// A part of a line, or a whole one.
    Line(String),
    /// Whole lines, or none.
    Lines(Vec<String>),
}

/// Who says a text, and the values that only the run knows.
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
    /// Checks that every placeholder of a template means something.
    pub fn check(&self, template: &str, is_value: &dyn Fn(&str) -> bool) -> Result<(), String> {
        for piece in pieces(template)? {
            let Piece::Placeholder(call) = piece else { continue };
            let name = call.name;
            if is_value(name) {
                continue;
            }
            let text = self.0.get(name).ok_or_else(|| format!("nothing is called `{{{name}}}`"))?;
            call.arguments(text.with.len())?;
        }
        Ok(())
    }

    /// The lines a template stands for in somebody's words.
    pub fn expand(&self, template: &str, speaker: &TextContext<'_>) -> Result<Vec<String>, String> {
        let mut lines = vec![String::new()];
        let mut vanished = false;
        for piece in pieces(template)? {
            let words = match piece {
                Piece::Verbatim(text) => vec![text.to_owned()],
                Piece::Placeholder(call) => match (speaker.value)(call.name) {
                    Some(value) => vec![value],
                    None => self.wording(&call, speaker)?,
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

    fn wording(&self, call: &Call<'_>, speaker: &TextContext<'_>) -> Result<Vec<String>, String> {
        let name = call.name;
        let text = self.0.get(name).ok_or_else(|| format!("nothing is called `{{{name}}}`"))?;
        let arguments = call.arguments(text.with.len())?;
        let value = |parameter: &str| {
            let position = text.with.iter().position(|known| known == parameter)?;
            let argument = arguments.get(position)?;
            // An argument may be the name of another text.
            Some(if self.0.contains_key(*argument) { format!("{{{argument}}}") } else { (*argument).to_owned() })
        };
        let lines: &[String] = match text.for_speaker(name, speaker)? {
            Wording::Line(line) => std::slice::from_ref(line),
            Wording::Lines(lines) => lines,
        };
        lines.iter().try_fold(Vec::new(), |mut all, line| {
            all.extend(self.expand(&substitute(line, &value)?, speaker)?);
            Ok(all)
        })
    }
}

impl Text {
    fn for_speaker(&self, name: &str, speaker: &TextContext<'_>) -> Result<&Wording, String> {
        if let Some(by_major) = &self.postgres {
            let mut ranges = by_major.iter();
            return ranges
                .find(|(range, _)| range.parse::<PostgresRange>().is_ok_and(|range| range.contains(speaker.major)))
                .map(|(_, wording)| wording)
                .ok_or_else(|| format!("texts.yaml does not say what `{name}` is on PostgreSQL {}", speaker.major));
        }
        let line = speaker.openssl.ok_or_else(|| format!("`{name}` depends on an OpenSSL that is not known"))?;
        let mut ranges = self.openssl.iter().flatten();
        ranges
            .find(|(range, _)| range.parse::<OpensslRange>().is_ok_and(|range| range.contains(line)))
            .map(|(_, wording)| wording)
            .ok_or_else(|| format!("texts.yaml does not say what `{name}` is with OpenSSL {line}"))
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

    fn texts() -> Texts {
        let file: TextsFile = serde_json::from_value(serde_json::json!({ "texts": {
            "no encryption": { "about": "-", "postgres": { "13": "SSL off", "14+": "no encryption" } },
            "expired": { "about": "-", "openssl": { "1.1.1-3.1": "sslv3 alert", "3.2+": "ssl/tls alert" } },
            "refused": { "about": "-", "with": ["who", "depth"], "postgres": {
                "13-15": [], "16+": ["DETAIL:  at depth {depth}.", "\tsubject {subject of who}"] } },
        }}))
        .expect("texts");
        Texts(file.texts)
    }

    #[rstest]
    #[case("FATAL:  for host \"{host}\", {no encryption}", 13, &["FATAL:  for host \"127.0.0.1\", SSL off"])]
    #[case("FATAL:  for host \"{host}\", {no encryption}", 17, &["FATAL:  for host \"127.0.0.1\", no encryption"])]
    #[case("{expired}", 17, &["sslv3 alert"])]
    #[case("{refused (client, 0)}", 15, &[])]
    #[case("{refused (client, 0)}", 18, &["DETAIL:  at depth 0.", "\tsubject /CN=client"])]
    #[case("", 18, &[""])]
    fn a_template_is_told_in_the_words_of_a_version(
        #[case] template: &str,
        #[case] major: u16,
        #[case] expected: &[&str],
    ) {
        let value = |name: &str| match name {
            "host" => Some("127.0.0.1".to_owned()),
            _ => name.strip_prefix("subject of ").map(|who| format!("/CN={who}")),
        };
        let speaker = TextContext { major: Major(major), openssl: Some(OpensslLine(3, 0)), value: &value };
        assert_eq!(texts().expand(template, &speaker).expect("words"), expected);
    }

    #[rstest]
    #[case("{nobody}", "nothing is called")]
    #[case("{refused (client)}", "takes 2 arguments, and 1 are given")]
    #[case("{no encryption (now)}", "takes 0 arguments")]
    #[case("{no encryption", "without its }")]
    fn a_placeholder_that_means_nothing_is_refused(#[case] template: &str, #[case] why: &str) {
        let error = texts().check(template, &|name| name == "host").expect_err("a fault");
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_version_nobody_has_written_down_is_an_error_and_not_a_guess() {
        let speaker = TextContext { major: Major(12), openssl: None, value: &|_| None };
        let error = texts().expand("{no encryption}", &speaker).expect_err("an error");
        assert!(error.contains("PostgreSQL 12"), "{error}");
    }
}
