//! Messages in one wording, whatever release printed them and whatever log they were taken from.

/// A line of a log or a terminal, ready to be compared with symptoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// As it was given, trimmed.
    pub(super) given: String,
    /// In one wording and in lower case, with whatever comes before the message.
    pub(super) whole: String,
    /// The message alone.
    pub(super) message: String,
}

/// Spellings of the same words in different releases: the left one becomes the right one.
const WORDINGS: [(&str, &str); 9] = [
    ("sslv3 alert ", "ssl/tls alert "),
    ("self signed certificate", "self-signed certificate"),
    ("unsupported certificate purpose", "unsuitable certificate purpose"),
    (", ssl off", ", no encryption"),
    (", ssl on", ", ssl encryption"),
    ("\u{201c}", "\""),
    ("\u{201d}", "\""),
    ("\u{2019}", "'"),
    ("\\\"", "\""),
];

/// What may come before a message; a message may have several of them.
const PREFIXES: [&str; 8] = [
    "failed to retrieve postgresql server_version_num: ",
    "[postgresql error] ",
    "init_by_lua error: ",
    "[postgres] ",
    "error: ",
    "fatal: ",
    "panic: ",
    LUA_FILE,
];

/// What comes before a line number of Lua: `/usr/local/share/lua/5.1/kong/init.lua:661: `.
const LUA_FILE: &str = ".lua:";

impl Line {
    pub(super) fn new(given: &str) -> Self {
        let given = given.trim().to_owned();
        let words: Vec<_> = given.split_whitespace().collect();
        let mut whole = words.join(" ").to_lowercase();
        for (from, to) in WORDINGS {
            whole = whole.replace(from, to);
        }
        let message = message(&whole).to_owned();
        Self { given, whole, message }
    }

    /// Whether PostgreSQL's log says it of a handshake: what follows is then about the client, not about the server.
    pub(super) fn is_of_the_server(&self) -> bool {
        self.whole.contains("could not accept ssl connection")
    }

    /// How much of a symptom's text there is in the line; `None` if the line does not have it.
    pub(super) fn find(&self, pattern: &str, must_be_all: bool) -> Option<std::ops::Range<usize>> {
        let pattern = pattern.to_lowercase();
        if must_be_all {
            let message = self.message.trim_end_matches('.');
            let start = self.whole.len() - self.message.len();
            return (message == pattern).then_some(start..self.whole.len());
        }
        let mut parts = pattern.split('*');
        let first = parts.next().unwrap_or_default();
        let start = self.whole.find(first)?;
        let mut end = start + first.len();
        for part in parts {
            end += self.whole[end..].find(part)? + part.len();
        }
        Some(start..end)
    }
}

/// The message without what nginx, Lua, Kong and `psql` put before it.
fn message(line: &str) -> &str {
    let mut message = line;
    while let Some((prefix, rest)) = PREFIXES.iter().find_map(|prefix| Some((*prefix, message.split_once(prefix)?.1))) {
        message = rest.trim_start();
        if prefix == LUA_FILE {
            message = message.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(": ");
        }
    }
    message
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
    fn the_message_is_found_behind_its_prefixes(#[case] line: &str, #[case] message: &str) {
        assert_eq!(Line::new(line).message, message);
    }

    #[rstest]
    #[case("closed", true, true)]
    #[case("the connection was closed", true, false)]
    #[case("the connection was closed", false, true)]
    fn a_text_may_have_to_be_the_whole_message(#[case] line: &str, #[case] must_be_all: bool, #[case] found: bool) {
        assert_eq!(Line::new(line).find("closed", must_be_all).is_some(), found);
    }

    #[rstest]
    #[case("sslv3 alert certificate expired", "ssl/tls alert certificate expired")]
    #[case("18: self signed certificate", "18: self-signed certificate")]
    #[case(
        "FATAL:  no pg_hba.conf entry for host \"10.0.0.1\", user \"kong\", database \"kong\", SSL off",
        "no pg_hba.conf entry for host*no encryption"
    )]
    fn wordings_of_older_releases_are_the_same_symptom(#[case] line: &str, #[case] pattern: &str) {
        assert!(Line::new(line).find(pattern, false).is_some());
    }
}
