//! A wording that is not known yet: the place that it leaves in a text, and what was observed there.

use std::collections::BTreeMap;

use kong_pg_scenarios::format::{Text, Wording};

/// What marks a gap in an expanded text. No message has control characters like these.
const BEGIN: char = '\u{1}';
const SEPARATOR: char = '\u{2}';
const END: char = '\u{3}';

/// What was observed in the place of a wording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct New {
    /// The lines.
    pub(super) lines: Vec<String>,
    /// The values of the arguments, in the order in which the text declares them.
    pub(super) arguments: Vec<String>,
}

/// How an observed text fits an expected one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the same.
    Same,
    /// It has something else in the gap.
    Gap(New),
}

/// A placeholder for an unknown wording; it carries the values of the arguments.
pub(super) fn wording(arguments: &[String]) -> Wording {
    let values: Vec<_> = arguments.iter().map(|name| format!("{{{name}}}")).collect();
    Wording::Line(format!("{BEGIN}{}{END}", values.join(&SEPARATOR.to_string())))
}

/// Whether a text consists of whole lines.
pub(super) fn is_of_lines(text: &Text) -> bool {
    text.wordings().any(|wording| matches!(wording, Wording::Lines(_)))
}

/// How an observed text fits an expected one with one gap at most.
pub(super) fn fit(expected: &str, observed: &str) -> Option<Place> {
    let Some((before, rest)) = expected.split_once(BEGIN) else { return (expected == observed).then_some(Place::Same) };
    let (arguments, after) = rest.split_once(END)?;
    let inside = observed.strip_prefix(before)?.strip_suffix(after)?;
    let lines = inside.split('\n').map(str::to_owned).collect();
    let arguments = arguments.split(SEPARATOR).map(str::to_owned).collect();
    Some(Place::Gap(New { lines, arguments }))
}

impl New {
    /// The wordings that this may be of, the most general first: with placeholders for the values of arguments and of
    /// the run, short values such as `0` only in the first.
    pub(super) fn wordings(&self, text: &Text, values: &BTreeMap<String, String>) -> Vec<Wording> {
        let arguments: Vec<_> = text.arguments.iter().zip(&self.arguments).collect();
        let mut places: Vec<(String, String)> =
            arguments.iter().map(|(name, value)| ((*value).clone(), format!("{{{name}}}"))).collect();
        for (name, value) in values {
            // `subject of client` is `subject of {certificate}` where the certificate is an argument.
            let of_argument = arguments.iter().find_map(|(argument, is)| {
                Some(format!("{}of {{{argument}}}", name.strip_suffix(&format!("of {is}"))?))
            });
            places.push((value.clone(), format!("{{{}}}", of_argument.as_ref().unwrap_or(name))));
        }
        places.retain(|(value, _)| !value.is_empty());
        places.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        let made = |shortest: usize| {
            let places: Vec<_> = places.iter().filter(|(value, _)| value.len() >= shortest).collect();
            let lines = self.lines.iter().map(|line| with_placeholders(line, &places)).collect::<Vec<_>>();
            match &lines[..] {
                [line] if !is_of_lines(text) => Wording::Line(line.clone()),
                _ => Wording::Lines(lines),
            }
        };
        vec![made(1), made(3), made(usize::MAX)]
    }
}

/// A line with placeholders for values where they stand as words of their own.
fn with_placeholders(line: &str, places: &[&(String, String)]) -> String {
    let mut made = String::new();
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        let before = made.chars().last();
        let found = places.iter().find(|(value, _)| {
            let Some(after) = rest.strip_prefix(value.as_str()) else { return false };
            let begins = !(is_word(before) && is_word(value.chars().next()));
            begins && !(is_word(value.chars().last()) && is_word(after.chars().next()))
        });
        let taken = if let Some((value, placeholder)) = found {
            made.push_str(placeholder);
            value.len()
        } else {
            made.push(next);
            next.len_utf8()
        };
        rest = &rest[taken..];
    }
    made
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("LOG:  \u{1}\u{3}", "LOG:  new words", "new words")]
    #[case("a\n\u{1}0\u{2}x\u{3}\nb", "a\nDETAIL:  at 0.\nHINT:  x.\nb", "DETAIL:  at 0.|HINT:  x.")]
    fn what_is_in_the_gap_is_found(#[case] expected: &str, #[case] observed: &str, #[case] lines: &str) {
        let Some(Place::Gap(new)) = fit(expected, observed) else { unreachable!("there is a gap") };
        assert_eq!(new.lines.join("|"), lines);
    }

    #[rstest]
    #[case("LOG:  \u{1}\u{3}", "FATAL:  new words")]
    #[case("\u{1}\u{3} and \u{1}\u{3}", "a and b")]
    #[case("LOG:  old words", "LOG:  new words")]
    fn what_differs_outside_of_the_gap_does_not_fit(#[case] expected: &str, #[case] observed: &str) {
        assert_eq!(fit(expected, observed), None);
    }

    #[test]
    fn values_become_placeholders_where_they_are_words() {
        let text = serde_json::json!({ "about": "-", "arguments": ["certificate", "depth"], "postgres": { "13": [] } });
        let text: Text = serde_json::from_value(text).expect("a text");
        let lines = vec!["DETAIL:  depth 0 of /CN=kong, 10 in /data/server.key".to_owned()];
        let new = New { lines, arguments: vec!["client".into(), "0".into()] };
        let values = [("subject of client", "/CN=kong"), ("datadir", "/data")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let Wording::Lines(lines) = &new.wordings(&text, &values)[0] else { unreachable!("whole lines") };
        assert_eq!(lines, &["DETAIL:  depth {depth} of {subject of {certificate}}, 10 in {datadir}/server.key"]);
    }
}
