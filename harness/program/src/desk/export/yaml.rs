//! YAML in which every string is quoted that some reader might take for something else: to Kubernetes and Helm, `on` is
//! a truth value.

use serde_json::Value;

/// A document.
#[must_use]
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, indent: usize, text: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                text.extend([&*margin, &scalar(key), ":"]);
                if is_flat(value) {
                    text.extend([" ", &flow(value), "\n"]);
                } else {
                    text.push('\n');
                    block(value, indent + 2, text);
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                block(item, indent + 2, &mut inner);
                text.extend([&*margin, "- ", inner.trim_start()]);
            }
        }
        flat => text.extend([&*margin, &flow(flat), "\n"]),
    }
}

fn is_flat(value: &Value) -> bool {
    value.as_object().is_none_or(serde_json::Map::is_empty) && value.as_array().is_none_or(Vec::is_empty)
}

fn flow(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), scalar)
}

/// A string: plain if YAML reads it as a string, otherwise quoted as in JSON.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '=');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.chars().all(is_plain);
    let means_more = ["on", "off", "yes", "no", "y", "n", "true", "false", "null"];
    let is_bare = is_word && !means_more.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_bare { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_read_back_and_quotes_what_could_be_something_else() {
        let value = json!({
            "apiVersion": "v1",
            "env": { "pg_ssl": "on", "pg_port": "5432", "no": "No", "path": "/etc/kong", "text": "a: b # c\n\"d\"" },
            "list": ["hostssl all all all cert", { "name": "x", "data": { "a": 1 } }, ["y"], true],
            "empty": { "map": {}, "list": [] },
        });
        let text = write(&value);
        assert_eq!(serde_yaml::from_str::<Value>(&text).expect("YAML"), value, "{text}");
        for line in ["  pg_ssl: \"on\"\n", "  pg_port: \"5432\"\n", "  \"no\": \"No\"\n", "  path: /etc/kong\n"] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
