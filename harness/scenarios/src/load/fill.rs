//! Writing a value into a file that people have written, in the place of one that is missing.

use serde_json::Value;

use super::path::Position;
use super::yaml;

/// The text with a value behind the key at a place, which has none. Every other line stays as it is; so does a comment
/// behind the key.
#[must_use]
pub fn fill(text: &str, key: Position, value: &Value) -> String {
    let mut filled = String::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if number == key.line {
            filled.push_str(&in_line(line, key.column, value));
        } else {
            filled.push_str(line);
        }
    }
    filled
}

fn in_line(line: &str, column: usize, value: &Value) -> String {
    let start = line.char_indices().nth(column - 1).map_or(line.len(), |(offset, _)| offset);
    let Some(colon) = line[start..].find(':').map(|offset| start + offset + 1) else { return line.to_owned() };
    let (before, rest) = line.split_at(colon);
    let words = rest.trim_start();
    let rest = ["null", "~"].iter().find_map(|null| words.strip_prefix(null)).unwrap_or(rest);
    let is_block = line[..start].chars().all(|c| matches!(c, ' ' | '-'));
    if !is_block {
        return format!("{before} {value}{rest}");
    }
    let indent = " ".repeat(column + 1);
    let block: String = yaml::block(value).lines().map(|line| format!("{indent}{line}\n")).collect();
    format!("{before}{}\n{block}", rest.trim_end())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::block("a:\n  - name: x\n    expect:\n  - name: y\n", (3, 5), "a:\n  - name: x\n    expect:\n      refused:\n        kong: 'a: b'\n  - name: y\n")]
    #[case::comment("expect:   # later\nb: 1\n", (1, 1), "expect:   # later\n  refused:\n    kong: 'a: b'\nb: 1\n")]
    #[case::null("expect: null\n", (1, 1), "expect:\n  refused:\n    kong: 'a: b'\n")]
    #[case::first_key("- expect: ~", (1, 3), "- expect:\n    refused:\n      kong: 'a: b'\n")]
    #[case::flow("- { expect: , name: x }\n", (1, 5), "- { expect: {\"refused\":{\"kong\":\"a: b\"}} , name: x }\n")]
    fn only_the_place_of_the_value_changes(#[case] text: &str, #[case] key: (usize, usize), #[case] expected: &str) {
        let key = Position { line: key.0, column: key.1 };
        let filled = fill(text, key, &json!({ "refused": { "kong": "a: b" } }));
        assert_eq!(filled, expected);
        assert!(serde_yaml::from_str::<Value>(&filled).is_ok());
    }
}
