//! Words for a shell.

/// A word as a POSIX shell reads it back.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=+,@%".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mtls/cert::a-case@pg17+kong-latest+kong-luasec", "mtls/cert::a-case@pg17+kong-latest+kong-luasec")]
    #[case("a folder", "'a folder'")]
    #[case("it's", r"'it'\''s'")]
    #[case("a*", "'a*'")]
    #[case("", "''")]
    fn a_shell_reads_a_quoted_word_back(#[case] word: &str, #[case] expected: &str) {
        assert_eq!(quoted(word), expected);
        let echoed = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output();
        assert_eq!(String::from_utf8_lossy(&echoed.expect("a shell").stdout), word);
    }
}
