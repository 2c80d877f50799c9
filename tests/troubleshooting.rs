//! The output in docs/troubleshooting.md is what the commands print. `UPDATE_DOCS=1 cargo test --test troubleshooting`
//! writes it anew.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const BEGIN: &str = "```console\n$ ";
const END: &str = "```\n";

/// What a command prints, with the program in the search path.
fn output(command: &str, program: &Path) -> String {
    let folder = program.parent().expect("a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let place = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    let output =
        Command::new("sh").args(["-c", command]).env("PATH", path).current_dir(&place).output().expect("a shell");
    assert!(started.elapsed() < Duration::from_secs(10), "{command} takes {:?}", started.elapsed());
    assert!(output.stderr.is_empty(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn each_symptom_is_one_command_with_the_output_that_the_document_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let document = std::fs::read_to_string(&path).expect("a file");
    let mut blocks = document.split(BEGIN);
    let mut made = blocks.next().expect("a beginning").to_owned();
    let mut commands = 0;
    for block in blocks {
        let (shown, rest) = block.split_once(END).expect("an end of the block");
        let command = shown.lines().next().expect("a command");
        let output = output(command, Path::new(env!("CARGO_BIN_EXE_kong-pg-tls")));
        assert!(!output.trim().is_empty(), "{command} prints nothing");
        made += &[BEGIN, command, "\n", &output, END, rest].concat();
        commands += 1;
    }
    assert!(commands >= 6, "{commands} commands");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("the document can be written");
    }
    let document = std::fs::read_to_string(&path).expect("a file");
    let differs = document.lines().zip(made.lines()).find(|(shown, printed)| shown != printed);
    assert!(document == made, "UPDATE_DOCS=1 cargo test --test troubleshooting; first {differs:?}");
}
