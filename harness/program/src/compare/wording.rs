//! Texts without what is different in every run: folders, ports, processes, serial numbers, fingerprints.

use std::sync::LazyLock;

use regex::Regex;

static VARIABLE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r#"/[^ "']*kong-pg-tls[^ "'/]*(?:/[^ "'/]+)*/(data/)?"#, "…/"),
        (r"\bport[= ]\d+", "port …"),
        (r"\b(?:PID|pid[= ]) ?\d+", "PID …"),
        (r"serial number \d+", "serial number …"),
        (r"SHA-256 [0-9a-f]{16}", "SHA-256 …"),
        (r"\b\d{4}[-/]\d{2}[-/]\d{2}[ T]\d{2}:\d{2}:\d{2}\S*", "…"),
    ];
    // The patterns are fixed; a test compiles them all.
    rules.into_iter().filter_map(|(pattern, instead)| Some((Regex::new(pattern).ok()?, instead))).collect()
});

/// The text with a mark where it differs in every run.
pub(super) fn normalize(text: &str) -> String {
    VARIABLE.iter().fold(text.to_owned(), |text, (pattern, instead)| pattern.replace_all(&text, *instead).into_owned())
}

/// The lines of either text that the other does not have, by their places; what differs in every run does not count.
#[must_use]
pub fn different_lines(was: &[&str], is: &[&str]) -> (Vec<usize>, Vec<usize>) {
    let normalized = |lines: &[&str]| lines.iter().map(|line| normalize(line)).collect::<Vec<_>>();
    let (was, is) = (normalized(was), normalized(is));
    let own = |lines: &[String], others: &[String]| {
        let lines = lines.iter().enumerate();
        lines.filter(|(_, line)| !others.contains(line)).map(|(place, _)| place).collect()
    };
    (own(&was, &is), own(&is, &was))
}

static PARTICULAR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#""[^"]*"|'[^']*'|\d+"#).ok());

/// What texts that differ only in what they are about have in common: they change for one reason.
pub(super) fn pattern(text: &str) -> String {
    match &*PARTICULAR {
        Some(particular) => particular.replace_all(text, "…").into_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!((VARIABLE.len(), PARTICULAR.is_some()), (6, true));
    }

    #[test]
    fn lines_are_different_if_more_than_a_port_is() {
        let was = ["connection received: host=::1 port=1", "FATAL: a"];
        let is = ["connection received: host=::1 port=2", "FATAL: b", "FATAL: c"];
        assert_eq!(different_lines(&was, &is), (vec![1], vec![1, 2]));
    }

    #[test]
    fn texts_about_other_things_have_one_pattern() {
        let line = |number, line| format!("Connection matched pg_hba.conf line {number}: \"{line}\"");
        assert_eq!(pattern(&line(1, "host all all all md5")), pattern(&line(12, "hostssl all all all cert")));
        assert_ne!(pattern("certificate has expired"), pattern("certificate is not yet valid"));
    }

    #[rstest]
    #[case("could not load /tmp/kong-pg-tls-a1B2c3/pg15-0/data/pg_hba.conf", "could not load …/pg_hba.conf")]
    #[case("connection received: host=127.0.0.1 port=40122", "connection received: host=127.0.0.1 port …")]
    #[case("serial number 1234567, issuer \"/CN=root\"", "serial number …, issuer \"/CN=root\"")]
    #[case("FATAL:  no such thing", "FATAL:  no such thing")]
    fn only_what_varies_is_taken_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normalize(text), expected);
    }
}
