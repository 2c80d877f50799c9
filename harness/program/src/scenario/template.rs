//! Templates: texts with placeholders, `{host}` or `{refused at depth (client, 0, certificate has expired)}`.

/// Part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Stands for itself.
    Verbatim(&'t str),
    /// Stands for something else.
    Placeholder(Call<'t>),
}

/// A name with arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call<'t> {
    pub(super) name: &'t str,
    arguments: Option<&'t str>,
}

impl<'t> Call<'t> {
    /// The arguments for so many parameters; the last one takes what is left, commas and all.
    pub(super) fn arguments(&self, parameters: usize) -> Result<Vec<&'t str>, String> {
        // Without parameters, any argument is one too many.
        let given = self.arguments.map(|arguments| arguments.splitn(parameters.max(1), ", ").collect::<Vec<_>>());
        let given = given.unwrap_or_default();
        if given.len() == parameters {
            return Ok(given);
        }
        Err(format!("`{}` takes {parameters} arguments, and {} are given", self.name, given.len()))
    }
}

/// The parts of a template.
pub(super) fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').ok_or_else(|| format!("`{template}` has a {{ without its }}"))?;
        pieces.push(Piece::Verbatim(before));
        pieces.push(Piece::Placeholder(call(inside)?));
        rest = after;
    }
    pieces.push(Piece::Verbatim(rest));
    Ok(pieces)
}

/// A name, with arguments in parentheses if it has any.
pub(super) fn call(text: &str) -> Result<Call<'_>, String> {
    let Some((name, arguments)) = text.split_once(" (") else {
        return Ok(Call { name: text, arguments: None });
    };
    let arguments = arguments.strip_suffix(')').ok_or_else(|| format!("`{text}` has a ( without its )"))?;
    Ok(Call { name, arguments: Some(arguments) })
}

/// The same template with values in the place of parameters, wherever it names them: as a placeholder, as an argument,
/// or as whose something is (`{subject of certificate}`).
pub(super) fn substitute(template: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut text = String::new();
    for piece in pieces(template)? {
        let Call { name, arguments } = match piece {
            Piece::Verbatim(verbatim) => {
                text.push_str(verbatim);
                continue;
            }
            Piece::Placeholder(call) => call,
        };
        if let Some(value) = value(name) {
            text.push_str(&value);
            continue;
        }
        let whose = match (arguments, name.rsplit_once(' ')) {
            (None, Some((what, whose))) => value(whose).map(|whose| format!("{what} {whose}")),
            _ => None,
        };
        let name = whose.unwrap_or_else(|| name.to_owned());
        let arguments = arguments.map(|arguments| {
            let each = arguments.split(", ").map(|argument| value(argument).unwrap_or_else(|| argument.to_owned()));
            format!(" ({})", each.collect::<Vec<_>>().join(", "))
        });
        text.extend(["{", &name, &arguments.unwrap_or_default(), "}"]);
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
    #[case("{refused (certificate, 0)}", "{refused (client, 0)}")]
    #[case("{subject of certificate}", "{subject of client}")]
    fn a_parameter_is_substituted_wherever_it_is_named(#[case] template: &str, #[case] expected: &str) {
        let value = |name: &str| match name {
            "alert" => Some("unknown ca".to_owned()),
            "certificate" => Some("client".to_owned()),
            _ => None,
        };
        assert_eq!(substitute(template, &value).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case("{no encryption", "without its }")]
    #[case("{refused (client}", "without its )")]
    fn a_template_that_does_not_close_is_refused(#[case] template: &str, #[case] why: &str) {
        assert!(pieces(template).expect_err("a fault").contains(why));
    }
}
