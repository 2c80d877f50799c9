//! Templates: texts with placeholders, `{host}` or `{matched line (line = host all all all trust)}`. Placeholders may
//! be nested: `{subject of {certificate}}`.

use thiserror::Error;

/// A template that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A brace without its counterpart.
    #[error("`{0}` has a {{ that is not closed")]
    Brace(String),
    /// A parenthesis without its counterpart.
    #[error("`{0}` has a ( that is not closed")]
    Parenthesis(String),
    /// An argument without a name.
    #[error("the argument `{argument}` of `{of}` has no name; expected `NAME = {argument}`")]
    Unnamed {
        /// What it is an argument of.
        of: String,
        /// The argument.
        argument: String,
    },
}

/// Part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Stands for itself.
    Verbatim(&'t str),
    /// Stands for something else: what is between the braces.
    Placeholder(&'t str),
}

/// A name with arguments by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call<'t> {
    pub(super) name: &'t str,
    pub(super) arguments: Vec<(&'t str, &'t str)>,
}

/// The parts of a template.
pub(super) fn pieces(template: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let end = closing(after).ok_or_else(|| TemplateError::Brace(template.to_owned()))?;
        pieces.push(Piece::Verbatim(before));
        pieces.push(Piece::Placeholder(&after[..end]));
        rest = &after[end + 1..];
    }
    pieces.push(Piece::Verbatim(rest));
    Ok(pieces)
}

/// Where the brace is that closes one opened just before.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(index, c)| match c {
        '{' => {
            depth += 1;
            None
        }
        '}' if depth == 0 => Some(index),
        '}' => {
            depth -= 1;
            None
        }
        _ => None,
    })
}

/// What a placeholder names: a name, with arguments in parentheses if it has any.
pub(super) fn call(placeholder: &str) -> Result<Call<'_>, TemplateError> {
    let Some((name, arguments)) = placeholder.split_once(" (") else {
        return Ok(Call { name: placeholder, arguments: Vec::new() });
    };
    let arguments = arguments.strip_suffix(')').ok_or_else(|| TemplateError::Parenthesis(placeholder.to_owned()))?;
    let starts: Vec<_> = argument_starts(arguments).collect();
    if starts.first() != Some(&0) {
        return Err(TemplateError::Unnamed { of: name.to_owned(), argument: arguments.to_owned() });
    }
    let ends = starts.iter().skip(1).map(|start| start - ", ".len()).chain([arguments.len()]);
    let arguments = starts.iter().zip(ends).filter_map(|(start, end)| arguments[*start..end].split_once(" = "));
    Ok(Call { name, arguments: arguments.collect() })
}

/// Where `NAME = ` begins in a list of arguments, outside of nested placeholders. Values may hold commas.
fn argument_starts(arguments: &str) -> impl Iterator<Item = usize> {
    let is_argument = |text: &str| {
        let name = text.split_once(" = ").map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let is_outside = |end: usize| arguments[..end].matches('{').count() == arguments[..end].matches('}').count();
    let candidates = [0].into_iter().chain(arguments.match_indices(", ").map(|(index, comma)| index + comma.len()));
    candidates.filter(move |start| is_argument(&arguments[*start..]) && is_outside(*start))
}

/// The same template with the values of arguments in the place of the placeholders that name them.
pub(super) fn substitute(template: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
    let mut text = String::new();
    for piece in pieces(template)? {
        match piece {
            Piece::Verbatim(verbatim) => text.push_str(verbatim),
            Piece::Placeholder(inside) => match value(inside) {
                Some(value) => text.push_str(&value),
                None => text.extend(["{", &substitute(inside, value)?, "}"]),
            },
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("nothing in it", "nothing in it")]
    #[case("{alert}", "unknown ca")]
    #[case("{host}: {alert}!", "{host}: unknown ca!")]
    #[case("{refused (certificate = {certificate}, depth = 0)}", "{refused (certificate = client, depth = 0)}")]
    #[case("{refused (certificate = certificate)}", "{refused (certificate = certificate)}")]
    #[case("{subject of {certificate}}", "{subject of client}")]
    #[case("{alert {alert}}", "{alert unknown ca}")]
    fn an_argument_is_substituted_wherever_braces_name_it(#[case] template: &str, #[case] expected: &str) {
        let value = |name: &str| match name {
            "alert" => Some("unknown ca".to_owned()),
            "certificate" => Some("client".to_owned()),
            _ => None,
        };
        assert_eq!(substitute(template, &value).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case("no arguments", &[])]
    #[case("not reloaded (why = cut, here)", &[("why", "cut, here")])]
    #[case("text (one = a, b, two = {x (one = c, two = d)})", &[("one", "a, b"), ("two", "{x (one = c, two = d)}")])]
    #[case("text (name = CN=kong,OU=gateways)", &[("name", "CN=kong,OU=gateways")])]
    fn arguments_have_names_and_may_hold_commas(#[case] text: &str, #[case] expected: &[(&str, &str)]) {
        assert_eq!(call(text).expect("a call").arguments, expected);
    }

    #[rstest]
    #[case("{no encryption", "a { that is not closed")]
    #[case("{subject of {certificate}", "a { that is not closed")]
    fn an_unclosed_placeholder_is_refused(#[case] template: &str, #[case] why: &str) {
        assert!(pieces(template).expect_err("an error").to_string().contains(why));
    }

    #[rstest]
    #[case("refused (who = client", "a ( that is not closed")]
    #[case("refused (client, depth = 0)", "has no name")]
    fn a_malformed_call_is_refused(#[case] text: &str, #[case] why: &str) {
        assert!(call(text).expect_err("an error").to_string().contains(why));
    }
}
