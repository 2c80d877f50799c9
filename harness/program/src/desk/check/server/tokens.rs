//! What pg_hba.conf and pg_ident.conf have in common: lines of words, with quotes, commas, comments and continuations.

use std::path::Path;

use super::super::fault::Place;
use super::super::input::{InputError, read_included, read_text};

/// A word, and whether a part of it stood in quotes, which takes their meaning away from names such as `all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) quoted: bool,
}

/// A line: its fields, each a list of words that commas separate.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) fields: Vec<Vec<Word>>,
}

/// Reads the lines of a file and of those that it includes.
///
/// # Errors
/// The file cannot be read, or one that it includes.
pub(super) fn read(path: &Path) -> Result<Vec<Line>, InputError> {
    let mut lines = Vec::new();
    add(path, 0, &mut lines)?;
    Ok(lines)
}

fn add(path: &Path, depth: usize, lines: &mut Vec<Line>) -> Result<(), InputError> {
    let file = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new(""));
    for (number, text) in logical_lines(&read_included(path, depth)?) {
        let mut fields = fields(&text);
        // Since PostgreSQL 16 lines may come from other files.
        let directive = fields.first().and_then(|field| field.first()).filter(|word| !word.quoted);
        let named = fields.get(1).and_then(|field| field.first());
        match (directive.map(|word| word.text.as_str()), named) {
            (Some("include"), Some(named)) => add(&folder.join(&named.text), depth + 1, lines)?,
            (Some("include_if_exists"), Some(named)) => {
                let included = folder.join(&named.text);
                if included.exists() {
                    add(&included, depth + 1, lines)?;
                }
            }
            (Some("include_dir"), Some(named)) => {
                let entries = std::fs::read_dir(folder.join(&named.text));
                let mut files: Vec<_> =
                    entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
                files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
                files.sort();
                for file in files {
                    add(&file, depth + 1, lines)?;
                }
            }
            (Some(_), _) => {
                expand(&mut fields, folder);
                lines.push(Line { place: Place::line(&file, number), fields });
            }
            (None, _) if !fields.is_empty() => lines.push(Line { place: Place::line(&file, number), fields }),
            _ => {}
        }
    }
    Ok(())
}

/// Puts the words of `@file` in its place.
fn expand(fields: &mut [Vec<Word>], folder: &Path) {
    for field in fields {
        let mut words = Vec::new();
        for word in field.drain(..) {
            let named = word.text.strip_prefix('@').filter(|name| !word.quoted && !name.is_empty());
            match named.and_then(|name| read_text(&folder.join(name)).ok()) {
                Some(text) => words.extend(text.lines().flat_map(|line| self::fields(line).concat())),
                None => words.push(word),
            }
        }
        *field = words;
    }
}

/// Lines, those that end with a backslash together with the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::<(usize, String)>::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut() {
            Some((_, last)) if goes_on => last.push_str(part),
            _ => lines.push((number, part.to_owned())),
        }
        goes_on = more;
    }
    lines
}

/// The fields of a line.
pub(super) fn fields(line: &str) -> Vec<Vec<Word>> {
    let mut fields = Vec::new();
    let mut field = Vec::new();
    let mut word = Word { text: String::new(), quoted: false };
    let mut in_quotes = false;
    let mut after_comma = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if in_quotes && characters.peek() == Some(&'"') => word.text.extend(characters.next()),
            '"' => {
                in_quotes = !in_quotes;
                word.quoted = true;
                after_comma = false;
            }
            '#' if !in_quotes => break,
            ',' if !in_quotes => {
                finish(&mut word, &mut field);
                after_comma = true;
            }
            blank if blank.is_whitespace() && !in_quotes => {
                let ended = finish(&mut word, &mut field);
                if (ended || !field.is_empty()) && !after_comma {
                    // In PostgreSQL, too, a comma after a blank continues the same field.
                    let mut rest = characters.clone().skip_while(|next| next.is_whitespace());
                    if rest.next() != Some(',') && !field.is_empty() {
                        fields.push(std::mem::take(&mut field));
                    }
                }
            }
            other => {
                word.text.push(other);
                after_comma = false;
            }
        }
    }
    finish(&mut word, &mut field);
    if !field.is_empty() {
        fields.push(field);
    }
    fields
}

fn finish(word: &mut Word, field: &mut Vec<Word>) -> bool {
    let there = !word.text.is_empty() || word.quoted;
    if there {
        field.push(std::mem::replace(word, Word { text: String::new(), quoted: false }));
    }
    there
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("hostssl all all 10.0.0.0/8 cert # comment", &["hostssl", "all", "all", "10.0.0.0/8", "cert"])]
    #[case("host\tkong,postgres, other  all all md5", &["host", "kong|postgres|other", "all", "all", "md5"])]
    #[case(r#"host "all" "a ""b""" samenet trust"#, &["host", "all", "a \"b\"", "samenet", "trust"])]
    #[case("   # nothing", &[])]
    fn a_line_has_fields_of_words(#[case] line: &str, #[case] expected: &[&str]) {
        let join = |field: &Vec<Word>| field.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join("|");
        assert_eq!(fields(line).iter().map(join).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_file_that_includes_itself_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pg_hba.conf");
        std::fs::write(&path, "include pg_hba.conf\n".repeat(100)).expect("a file");
        assert!(matches!(read(&path), Err(InputError::Nested(file)) if file == path));
    }

    #[test]
    fn lines_go_on_and_files_are_included() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("more.conf", "host all all all md5\n");
        write("users", "kong\nadmin, other\n");
        write("pg_hba.conf", "hostssl all @users \\\n  all cert\ninclude more.conf\n");
        let lines = read(&folder.path().join("pg_hba.conf")).expect("lines");
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].place.line, lines[0].fields[2].len(), lines[0].fields.len()), (Some(1), 3, 5));
        assert!(lines[1].place.file.ends_with("more.conf"));
    }
}
