//! The output in docs/troubleshooting.md is what the commands print. `UPDATE_DOCS=1 cargo test --test integration
//! troubleshooting::` rewrites it.

use crate::documents;

#[test]
fn each_symptom_is_one_command_with_the_output_that_the_document_shows() {
    let place = tempfile::tempdir().expect("a folder");
    let commands =
        documents::check("troubleshooting.md", &|command| documents::output(documents::shell(command, place.path())));
    assert!(commands >= 6, "{commands} commands");
}
