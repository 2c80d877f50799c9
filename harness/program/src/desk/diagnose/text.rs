//! Messages in one wording, whatever release printed them, in whatever language and log.

use std::collections::HashSet;
use std::ops::Range;

/// A line of a log or a terminal, ready to be compared with symptoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// As it was given, trimmed.
    pub(super) given: String,
    /// In one wording and in lower case, with whatever comes before the message.
    pub(super) whole: String,
    /// Where the message alone is in it.
    pub(super) message: Range<usize>,
}

/// Spellings of the same words in different releases: the left one becomes the right one.
const WORDINGS: [(&str, &str); 24] = [
    ("\u{201c}", "\""),
    ("\u{201d}", "\""),
    ("\u{201e}", "\""),
    ("\u{ab}", "\""),
    ("\u{bb}", "\""),
    ("\u{300c}", "\""),
    ("\u{300d}", "\""),
    ("\u{2018}", "'"),
    ("\u{2019}", "'"),
    ("\\\"", "\""),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("sslv3 alert ", "ssl/tls alert "),
    ("self signed certificate", "self-signed certificate"),
    ("self_signed_cert_in_chain", "self-signed certificate in certificate chain"),
    ("depth_zero_self_signed_cert", "18: self-signed certificate"),
    ("unable_to_get_issuer_cert_locally", "unable to get local issuer certificate"),
    ("unable_to_verify_leaf_signature", "unable to verify the first certificate"),
    ("econnrefused", "connection refused"),
    ("unsupported certificate purpose", "unsuitable certificate purpose"),
    (", ssl off", ", no encryption"),
    (", ssl on", ", ssl encryption"),
    (" ssl=off", ", no encryption"),
    (" ssl=on", ", ssl encryption"),
];

/// What may come before a message; a message may have several of them.
const PREFIXES: [&str; 12] = [
    "failed to retrieve postgresql server_version_num: ",
    "could not retrieve current migrations: ",
    "[postgresql error] ",
    "init_by_lua error: ",
    "[postgres] ",
    "postgres: ",
    "error: ",
    "fatal: ",
    "panic: ",
    "err: ",
    "failed to connect: ",
    LUA_FILE,
];

/// What comes before a line number of Lua: `/usr/local/share/lua/5.1/kong/init.lua:661: `.
const LUA_FILE: &str = ".lua:";

/// What nginx and JSON put behind a message.
const SUFFIXES: [&str; 6] = [", context: ", ", client: ", "\",\"", "\"}", "\", \"", " stack traceback:"];

/// A message in another language and its English words, both in lower case.
pub(super) type Translation = (String, String);

/// The lines of a text, each once.
pub(super) fn lines(text: &str, translations: &[Translation]) -> Vec<Line> {
    // A log of JSON has its line breaks escaped.
    let text = without_colours(text).replace("\\r", "").replace("\\n", "\n").replace("\\t", " ");
    let mut known = HashSet::new();
    let lines = text.lines().map(|line| Line::new(line, translations)).filter(|line| !line.whole.is_empty());
    lines.filter(|line| known.insert(line.whole[line.message.clone()].to_owned())).collect()
}

/// A text without the escape sequences of a terminal.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    plain
}

impl Line {
    pub(super) fn new(given: &str, translations: &[Translation]) -> Self {
        let given = given.trim().to_owned();
        let words: Vec<_> = given.split_whitespace().collect();
        let mut whole = words.join(" ").to_lowercase();
        for (from, to) in WORDINGS {
            if whole.contains(from) {
                whole = whole.replace(from, to);
            }
        }
        for (from, to) in translations {
            if let Some(english) = translate(&whole, from, to) {
                whole = english;
            }
        }
        let message = message(&whole);
        Self { given, whole, message }
    }

    /// Two lines that were one before somebody's terminal or mailer broke it: between words, or within one.
    pub(super) fn joined(&self, next: &Self, translations: &[Translation]) -> [Self; 2] {
        ["", " "].map(|between| Self::new(&format!("{}{between}{}", self.given, next.given), translations))
    }

    /// Whether it may be the rest of the line before, rather than a message of its own.
    pub(super) fn may_be_a_rest(&self) -> bool {
        let beginnings =
            ["log:", "fatal:", "error:", "detail:", "hint:", "context:", "warning:", "nginx:", "{", "[error", "[warn"];
        let is_date = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains(['-', '/']);
        !self.whole.split(' ').next().is_some_and(is_date)
            && !beginnings.iter().any(|begin| self.whole.starts_with(begin))
    }

    /// Whether PostgreSQL's log says it of a handshake: what follows is then about the client, not about the server.
    pub(super) fn is_of_the_server(&self) -> bool {
        self.whole.contains("could not accept ssl connection")
    }

    /// Whether it says itself that it is about PostgreSQL.
    pub(super) fn names_postgresql(&self) -> bool {
        ["postgres", "pgmoon", "pg_", "server_version_num", "psql", "pgbouncer"]
            .iter()
            .any(|name| self.whole.contains(name))
    }

    /// Where a pattern in lower case is in the line; `None` if it is not there.
    pub(super) fn find(&self, pattern: &str, must_be_all: bool) -> Option<Range<usize>> {
        if must_be_all {
            let message = self.whole[self.message.clone()].trim_end_matches(['.', '"']);
            return (message == pattern).then(|| self.message.clone());
        }
        let places = places(&self.whole, pattern)?;
        Some(places.first()?.start..places.last()?.end)
    }
}

/// Where the parts of a pattern between its `*` are, one behind the other.
fn places(line: &str, pattern: &str) -> Option<Vec<Range<usize>>> {
    let mut end = 0;
    let place = |part: &str| {
        let start = end + line[end..].find(part)?;
        end = start + part.len();
        Some(start..end)
    };
    pattern.split('*').map(place).collect()
}

/// A line with a message in English in place of one in another language.
fn translate(line: &str, from: &str, to: &str) -> Option<String> {
    let places = places(line, from)?;
    let (first, last) = (places.first()?, places.last()?);
    let mut values = places.windows(2).map(|pair| &line[pair[0].end..pair[1].start]);
    let mut english = line[..first.start].to_owned();
    for (number, part) in to.split('*').enumerate() {
        if number > 0 {
            english.push_str(values.next().unwrap_or_default());
        }
        english.push_str(part);
    }
    Some(english + &line[last.end..])
}

/// The message without what nginx, Lua, Kong and `psql` put before and behind it.
fn message(line: &str) -> Range<usize> {
    let mut message = line;
    while let Some((prefix, rest)) = PREFIXES.iter().find_map(|prefix| Some((*prefix, message.split_once(prefix)?.1))) {
        message = rest.trim_start();
        if prefix == LUA_FILE {
            message = message.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(": ");
        }
    }
    let start = line.len() - message.len();
    let length = SUFFIXES.iter().filter_map(|suffix| message.find(suffix)).min().unwrap_or(message.len());
    start..start + length
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Error: [PostgreSQL error] failed to retrieve PostgreSQL server_version_num: closed", "closed")]
    #[case(
        "nginx: [error] init_by_lua error: /usr/local/share/lua/5.1/kong/init.lua:661: [PostgreSQL error] failed to retrieve PostgreSQL server_version_num: certificate verify failed",
        "certificate verify failed"
    )]
    #[case(
        "could not obtain list of upstreams: [postgres] 20: unable to get local issuer certificate",
        "20: unable to get local issuer certificate"
    )]
    #[case("timeout", "timeout")]
    #[case("[postgres] closed, context: ngx.timer", "closed")]
    fn the_message_is_found_between_what_logs_add(#[case] line: &str, #[case] message: &str) {
        let line = Line::new(line, &[]);
        assert_eq!(line.whole[line.message.clone()], *message);
    }

    #[rstest]
    #[case("closed", true, true)]
    #[case("the connection was closed", true, false)]
    #[case("the connection was closed", false, true)]
    fn a_text_may_have_to_be_the_whole_message(#[case] line: &str, #[case] must_be_all: bool, #[case] found: bool) {
        assert_eq!(Line::new(line, &[]).find("closed", must_be_all).is_some(), found);
    }

    #[rstest]
    #[case("sslv3 alert certificate expired", "ssl/tls alert certificate expired")]
    #[case("18: self signed certificate", "18: self-signed certificate")]
    #[case(
        "FATAL:  no pg_hba.conf entry for host \"10.0.0.1\", user \"kong\", database \"kong\", SSL off",
        "no pg_hba.conf entry for host*no encryption"
    )]
    fn wordings_of_older_releases_are_the_same_symptom(#[case] line: &str, #[case] pattern: &str) {
        assert!(Line::new(line, &[]).find(pattern, false).is_some());
    }

    #[test]
    fn a_translation_keeps_the_values_between_its_words() {
        let known = [("rolle \"*\" existiert nicht".to_owned(), "role \"*\" does not exist".to_owned())];
        assert_eq!(
            Line::new("FATAL:  Rolle »kong« existiert nicht", &known).whole,
            "fatal: role \"kong\" does not exist"
        );
    }

    #[test]
    fn colours_and_escaped_line_breaks_are_not_part_of_a_message() {
        let found = lines("\u{1b}[31mError:\u{1b}[0m timeout\\n  Run with --v", &[]);
        assert_eq!(
            found.iter().map(|line| line.given.as_str()).collect::<Vec<_>>(),
            ["Error: timeout", "Run with --v"]
        );
    }
}
