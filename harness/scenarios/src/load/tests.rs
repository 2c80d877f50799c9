//! Files with everything that can be wrong in them, and where that is.

use std::path::{Path, PathBuf};

use rstest::rstest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::library::Library;
use super::path::Target;
use super::*;
use crate::vocabulary::{OpensslRange, OpensslReleases, PostgresRange};

/// A file with a field of every kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read is looked at")]
struct Sample {
    title: String,
    postgres: Option<PostgresRange>,
    openssl: Option<OpensslRange>,
    releases: Option<OpensslReleases>,
    #[schemars(regex(pattern = "^0[0-7]{3}$"), extend("examples" = ["0640"]))]
    mode: Option<String>,
    #[schemars(regex(pattern = "^[a-z]$"))]
    letter: Option<String>,
    #[schemars(length(min = 2))]
    pair: Option<Vec<u32>>,
    #[schemars(range(max = 9))]
    digit: Option<u32>,
    color: Option<Color>,
    shape: Option<Shape>,
    kong: Option<Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Color {
    Red,
    Green,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only whether it can be read is looked at")]
enum Shape {
    Sides(u32),
    Described(Description),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read is looked at")]
struct Description {
    name: String,
    corners: Option<Vec<u32>>,
}

fn source(text: &str) -> Source {
    Source::new("sample.yaml".into(), text.to_owned())
}

fn faults(text: &str) -> Vec<String> {
    let faults = read::<Sample>(&source(text)).err().unwrap_or_default();
    faults.iter().map(|fault| fault.to_string().trim_start_matches("sample.yaml:").to_owned()).collect()
}

#[rstest]
#[case("", &["1:1: the file is empty: expected a mapping with the keys title"])]
#[case("titel: x", &["1:1: unknown key `titel`: did you mean `title`?", "1:1: `title` is missing: expected the key `title` here"])]
#[case("title: x\ntitle: y", &["2:1: the key `title` is here twice: keep one of the two"])]
#[case("title: x\nzzzzz: 1", &["2:1: unknown key `zzzzz`: expected a name such as title, postgres, openssl, releases; the schema named at the top of the file has all"])]
#[case("title: 5", &["1:8: `5` where a text belongs: expected a text"])]
#[case("title: [x]", &["1:8: a list where a text belongs: expected a text"])]
#[case("title: { x: y }", &["1:8: a mapping where a text belongs: expected a text"])]
#[case("title:", &["1:6: nothing where a text belongs: expected a text"])]
#[case("- title", &["1:1: a list where a mapping belongs: expected a mapping"])]
#[case("title: x\npair: [1]", &["2:7: the list is too short: expected 2 or more items"])]
#[case("title: x\npair: 5\ndigit: x", &["2:7: `5` where a list belongs: expected a list", "3:8: `x` where a number belongs: expected a number"])]
#[case("title: x\npair: [1, x]", &["2:11: `x` where a number belongs: expected a number"])]
#[case("title: x\ndigit: 10", &["2:8: 10 is greater than the maximum of 9: see the schema named at the top of the file"])]
#[case("title: x\ncolor: blue", &["2:8: `blue` is not a possible value here: expected one of red, green"])]
#[case("title: x\nshape: square", &["2:8: `square` does not belong here: expected a number or a mapping"])]
#[case("title: x\nshape: { name: square, corners: [1, x] }", &["2:37: `x` where a number belongs: expected a number"])]
#[case("title: x\nshape: { name: square, corner: 1 }", &["2:24: unknown key `corner`: did you mean `corners`?"])]
#[case("title: x\nshape: { corners: [] }", &["2:8: `name` is missing: expected the key `name` here"])]
#[case("title: x\npostgres: 15-13", &["2:11: `15-13` ends before it begins: expected a range like 15, 14+ or 13-15"])]
#[case("title: x\nopenssl: new", &["2:10: `new` is not an OpenSSL release; one looks like 3.0 or 1.1.1: expected a range like 3.0, 3.2+ or 1.1.1-3.5"])]
#[case("title: x\nreleases: new", &["2:11: `new` is not an OpenSSL release; one looks like 3.0 or 1.1.1: expected a range like 3.0, 3.2+ or 1.1.1-3.5"])]
#[case("title: x\nmode: '888'", &["2:7: `888` does not have the right form: expected something like 0640"])]
#[case("title: x\nletter: ab", &["2:9: `ab` does not have the right form: expected something that matches ^[a-z]$"])]
fn what_does_not_fit_the_format_is_reported_with_its_place(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(faults(text), expected);
}

#[rstest]
#[case("title: x\n \tdigit: 1", &["2:2: the line is indented with a tab: YAML takes spaces only"])]
#[case("title: 'x", &["1:8: this quotation mark is not closed: expected another one that closes it"])]
#[case("title: \"x\ndigit: 1", &["1:8: this quotation mark is not closed: expected another one that closes it"])]
#[case("title: x\npair: [1, 2", &["2:7: this `[` is not closed: expected a `]` before line 4"])]
#[case("title: x\nshape: { name: y", &["2:8: this `{` is not closed: expected a `}` before line 4"])]
#[case("title: it's [x\npair: [1, '[', \"]\", 2 # [", &["2:7: this `[` is not closed: expected a `]` before line 4"])]
#[case("title: x\n---\ntitle: y", &["2:1: a second document begins here: a scenario is one document"])]
#[case("title: x: y", &["1:9: a `: ` where no key can be: put a text that has a `: ` in quotes, or correct the indentation of the line"])]
#[case("title: *x", &["1:8: nothing has this name: define it above, with `&` for `*`"])]
#[case("pair:\n  - 1\n 2", &["3:2: the line does not belong to the mapping that begins at line 1: correct its indentation"])]
#[case("title: x\npair:\n  - 1\n  digit: 2", &["4:3: the line does not belong to the list that begins at line 3: correct its indentation"])]
#[case("title: @x", &["1:8: not YAML: found character that cannot start any token: correct the syntax here"])]
fn what_is_no_yaml_is_reported_in_plain_words(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(faults(text), expected);
}

#[test]
fn what_fits_is_read() {
    let all = "title: x\npostgres: 13-15\nopenssl: 3.2+\nreleases: 3.2-3.5\nmode: '0640'\nletter: a\npair: [1, 2]\n\
               digit: 9\ncolor: red\nshape: { name: y }\nkong: {}\n";
    assert_eq!(faults(all), Vec::<String>::new());
    assert_eq!(faults("\u{feff}title: x\nshape: 4"), Vec::<String>::new());
}

/// A product reads `True` and `0x1F` otherwise than YAML.
#[test]
fn settings_stay_as_they_are_written() {
    let text = "title: x\nkong:\n  a: True\n  b: 0x1F\n  c: \"1.0\"\n  d: null\n  e: 'null'\n  f: [{ g: 1.50 }]\n  h: { i: ~ }\n";
    let sample = read::<Sample>(&source(text)).expect("a sample");
    let expected = json!({
        "a": "True", "b": "0x1F", "c": "1.0", "d": null, "e": "null", "f": [{ "g": 1.5 }], "h": { "i": "~" }
    });
    assert_eq!(sample.kong, Some(expected));
}

#[test]
fn a_fault_is_shown_with_its_line() {
    let source = source("title: x\nshape: { cörner: y, name: z }\n");
    let fault = &read::<Sample>(&source).expect_err("faults")[0];
    let shown = "\
error: unknown key `cörner`
 --> sample.yaml:2:10
  |
2 | shape: { cörner: y, name: z }
  |          ^^^^^^ did you mean `corners`?";
    assert_eq!(fault.render(false), shown);
    assert!(fault.render(true).contains("\u{1b}["));
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_without_a_place() {
    let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let fault = Fault::unreadable(Path::new("a.yaml"), &error);
    let help = "name a file or folder that exists and that you may read";
    assert_eq!(fault.to_string(), format!("a.yaml: cannot be read: permission denied: {help}"));
    assert_eq!(fault.render(false), format!("error: a.yaml: cannot be read: permission denied\n  = help: {help}"));
}

const PLACES: &str = "\
ä: &a [1, { b: two }]
c:
  - d
  - e:
f: *a
'g': ~
";

fn path(dotted: &str) -> Vec<Segment> {
    let segment = |part: &str| part.parse().map_or_else(|_| key(part), Segment::Index);
    dotted.split('.').map(segment).collect()
}

#[rstest]
#[case("ä", "ä", "&a [1, { b: two }]")]
#[case("ä.1", "", "{ b: two }")]
#[case("ä.1.b", "b", "two")]
#[case("c", "c", "- d\n  - e")]
#[case("c.0", "", "d")]
#[case("f", "f", "*a")]
#[case("f.1.b", "b", "two")]
#[case("g", "'g'", "~")]
fn a_value_and_its_key_have_their_extent(#[case] dotted: &str, #[case] key: &str, #[case] value: &str) {
    let source = source(PLACES);
    let text = |extent: Option<std::ops::Range<usize>>| extent.map(|extent| &source.text[extent]);
    assert_eq!(text(source.extent(&path(dotted))), Some(value));
    assert_eq!(
        text(source.extent_of_key(&path(dotted))).unwrap_or_default().to_owned(),
        if key.is_empty() { value } else { key }
    );
}

#[test]
fn what_is_not_there_has_no_extent() {
    for dotted in ["h", "c.2", "ä.b", "c.d", "c.0.d"] {
        assert_eq!(source(PLACES).extent(&path(dotted)), None, "{dotted}");
    }
    assert_eq!(source("").extent(&[]), None);
}

#[test]
fn a_place_is_a_line_and_a_column() {
    let source = source(PLACES);
    let place = |line, column| Position { line, column };
    assert_eq!(source.locate(&path("ä.1.b")), place(1, 16));
    assert_eq!(source.locate(&path("c.1.e.f")), place(1, 1));
    assert_eq!(source.blank(&path("c.1.e")), Some(place(4, 5)));
    assert_eq!(source.blank(&path("g")), Some(place(6, 1)));
    assert_eq!((source.blank(&path("f")), source.blank(&path("c.0")), source.blank(&path("h"))), (None, None, None));
    // What is missing is shown where it would be.
    let missing = Problem::value(path("ä.1.c.d"), "is missing", "").below(&[]);
    assert_eq!(source.fault(missing).position, Some(place(1, 11)));
    let above = Problem::key(path("b"), "is wrong", "").below(&path("ä.1"));
    assert_eq!((above.target, source.fault(above).position), (Target::Key { occurrence: 0 }, Some(place(1, 13))));
}

#[rstest]
#[case("pg_sll", &["pg_ssl", "pg_host"], "did you mean `pg_ssl`?")]
#[case("PG_SSL", &["pg_ssl", "pg_host"], "did you mean `pg_ssl`?")]
#[case("other", &["pg_ssl", "pg_host"], "expected one of pg_ssl, pg_host")]
#[case("x", &["a", "b", "c", "d", "e", "f", "g", "h"], "expected one of a, b, c, d, e, f, g, h")]
#[case("cdx", &["a", "b", "c", "d", "e", "f", "g", "h", "i"], "expected a name such as c, a, b, d; all")]
fn a_name_that_is_not_known_has_a_suggestion(#[case] wrong: &str, #[case] known: &[&str], #[case] expected: &str) {
    let known: Vec<_> = known.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(some_of(wrong, &known, "all"), expected);
}

#[test]
fn a_folder_is_a_suite_with_the_built_in_files_that_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, format!("# {name}\n")).expect("a file");
    };
    for name in
        ["b.yaml", "in/a.yml", "notes.txt", "pki.yaml", "texts.yaml", "claims.yaml", "differences.yaml", "causes.yaml"]
    {
        write(name);
    }
    let library = Library::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
    let ids: Vec<_> = library.scenarios.iter().map(|file| (file.id.as_str(), file.source.text.as_str())).collect();
    assert_eq!(ids, [("b", "# b.yaml\n"), ("in/a", "# in/a.yml\n")]);
    for (source, name) in [
        (&library.pki, "pki.yaml"),
        (&library.texts, "texts.yaml"),
        (&library.claims, "claims.yaml"),
        (&library.differences, "differences.yaml"),
        (&library.causes, "causes.yaml"),
    ] {
        assert_eq!(source.text, format!("# {name}\n"));
    }
    assert!(library.is_of_folder && !library.has_outcomes && library.outcomes.text.len() > 1000);
    write("outcomes.yaml");
    let library = Library::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert!(library.has_outcomes && library.outcomes.text == "# outcomes.yaml\n");
    // The built-in differences are about the built-in cases.
    std::fs::remove_file(folder.path().join("differences.yaml")).expect("a file");
    let library = Library::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(library.differences.text, "{}");
    std::fs::write(folder.path().join("b.yaml"), [0xff]).expect("a file");
    let faults = Library::of_folder(folder.path()).err().unwrap_or_default();
    let files: Vec<_> = faults.iter().map(|fault| fault.path.clone()).collect();
    assert_eq!(files, [folder.path().join("b.yaml")]);
}

#[test]
fn the_suite_is_built_in() {
    let library = Library::built_in();
    let ids: Vec<_> = library.scenarios.iter().map(|file| file.id.as_str()).collect();
    assert!(ids.contains(&"mtls/cert") && !ids.contains(&"pki") && !library.is_of_folder);
    assert_eq!(library.pki.path, PathBuf::from("scenarios/pki.yaml"));
    assert_eq!(Library::built_in_causes().text, library.causes.text);
}
