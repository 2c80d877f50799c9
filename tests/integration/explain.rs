//! `kong-pg-tls explain CELL`: everything about one cell. `INSTA_UPDATE=always cargo test --test integration explain::` writes the
//! snapshots again; look at the differences before committing them.

use crate::place::Place;
use insta::{assert_snapshot, with_settings};
use rstest::rstest;

/// Refused, with a neighbour in the same case; refused, where the documents say something else; two steps.
#[rstest]
#[case("refused", "mtls/cert::a-certificate.none.default@pg17+kong-latest+kong-luasec")]
#[case("documented", "mtls/open-source::the-users-certificate@pg17+kong-3.9-oss+kong-cosocket")]
#[case("steps", "rotation/client-certificate::signed-by-another-ca-both-sides-changed-at-once@pg17")]
fn a_cell_is_explained(#[case] name: &str, #[case] cell: &str) {
    let output = Place::new().run(&["explain", cell]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let filters = [(r"Kong 3\.\d+-enterprise", "Kong [release]"), (r"serial number \d+", "serial number [serial]")];
    with_settings!({ filters => filters, omit_expression => true }, {
        assert_snapshot!(name, output.stdout);
    });
}

#[test]
fn the_neighbours_of_a_refused_cell_are_one_change_away_from_it() {
    let cell = "tls/on-and-off::kong-connects.ssl-off.pg_ssl-on.required.verifying@pg17+kong-latest+kong-luasec";
    let output = Place::new().run(&["explain", cell]);
    let nearest = output.stdout.split("The nearest that connects\n").nth(1).expect("a neighbour that connects");
    let changes: Vec<_> = nearest.lines().skip(1).take_while(|line| line.starts_with("    ")).collect();
    let [gone, come] = changes[..] else { panic!("{}", output.stdout) };
    let setting = |line: &str, sign: &str| {
        line.trim().strip_prefix(sign).and_then(|line| Some(line.split_once(" = ")?.0.to_owned()))
    };
    assert!(setting(gone, "- ").is_some() && setting(gone, "- ") == setting(come, "+ "), "{}", output.stdout);
}

#[rstest]
#[case("mtls/cert::nothing@pg17", 4, "`kong-pg-tls list` lists all")]
#[case("mtls/cert::a-certificate.none@pg17", 4, "did you mean `mtls/cert::a-certificate.none.default`?")]
#[case("mtls/cert::a-certificate.none.default@17", 2, "expected one like @pg17+kong-latest+kong-luasec")]
#[case("mtls/cert::a-certificate.none.default@pg17+kong-9.9-oss", 2, "9.9-oss")]
fn what_is_no_cell_has_a_clear_end(#[case] cell: &str, #[case] status: i32, #[case] why: &str) {
    let output = Place::new().run(&["explain", cell]);
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert!(output.stderr.contains(why), "{output:#?}");
}
