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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(VARIABLE.len(), 6);
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
