//! One word changed in a text.

use strum::VariantArray;

use kong_pg_client::Stage;
use kong_pg_scenarios::vocabulary::TlsVersion;

/// What takes the place of a word.
const OTHER: &str = "otherwise";

/// The text with its last word changed that is not in a placeholder; with a word more, if it has none.
pub(super) fn with_other_word(text: &str) -> String {
    match last_word(text) {
        Some((start, end)) => format!("{}{OTHER}{}", &text[..start], &text[end..]),
        None => format!("{text} {OTHER}").trim_start().to_owned(),
    }
}

/// A value that has a closed list of others; any other text with another word.
pub(super) fn other_value(key: &str, text: &str) -> String {
    let tls = [TlsVersion::V1_2, TlsVersion::V1_3].map(TlsVersion::as_str);
    let stages: Vec<_> = Stage::VARIANTS.iter().map(|stage| stage.as_str()).collect();
    let others: &[&str] = match key {
        "tls" if !text.contains('{') => &tls,
        "stage" => &stages,
        _ => return with_other_word(text),
    };
    others.iter().find(|other| **other != text).map_or_else(String::new, |other| (*other).to_owned())
}

/// The start and end of the last word outside placeholders: at least two letters or digits.
fn last_word(text: &str) -> Option<(usize, usize)> {
    let (mut depth, mut start, mut last) = (0_usize, None, None);
    for (index, character) in text.char_indices().chain([(text.len(), ' ')]) {
        if depth == 0 && character.is_alphanumeric() {
            start.get_or_insert(index);
        } else if let Some(start) = start.take().filter(|start| index - start > 1) {
            last = Some((start, index));
        }
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("closed", "otherwise")]
    #[case("FATAL:  for \"{host}\", {{encryption}}", "FATAL:  otherwise \"{host}\", {{encryption}}")]
    #[case("LOG:  refused: {alert {alert}}", "LOG:  otherwise: {alert {alert}}")]
    #[case("{error}", "{error} otherwise")]
    #[case("21: a b c.", "otherwise: a b c.")]
    fn one_word_is_changed(#[case] text: &str, #[case] changed: &str) {
        assert_eq!(with_other_word(text), changed);
    }

    #[rstest]
    #[case("tls", "TLSv1.2", "TLSv1.3")]
    #[case("tls", "off", "TLSv1.2")]
    #[case("tls", "TLSv{to}", "otherwise{to}")]
    #[case("stage", "auth", "configure")]
    #[case("kong", "broken pipe", "broken otherwise")]
    fn a_word_of_a_list_becomes_another_of_it(#[case] key: &str, #[case] text: &str, #[case] changed: &str) {
        assert_eq!(other_value(key, text), changed);
    }
}
