//! Documents with commands and their output: what they show is what the commands print. `UPDATE_DOCS=1 cargo test` writes
//! it anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const BEGIN: &str = "```console\n$ ";
const END: &str = "```\n";

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A command of a shell with the program in its search path.
pub(crate) fn shell(command: &str, folder: &Path) -> Command {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_kong-pg-tls"));
    let path =
        format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("PATH", path).current_dir(folder);
    shell
}

/// What a command prints; nothing but the output is expected.
pub(crate) fn output(mut command: Command) -> String {
    let started = Instant::now();
    let output = command.output().expect("a shell");
    assert!(started.elapsed() < LIMIT, "{command:?} takes {:?}", started.elapsed());
    assert!(output.stderr.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// The text of a document.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(path_of(name)).expect("a document")
}

/// Checks that a document is what has been made of its sources; `UPDATE_DOCS=1` writes it.
pub(crate) fn check_whole(name: &str, made: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path_of(name), made).expect("the document can be written");
    }
    let document = read(name);
    let differs = document.lines().zip(made.lines()).find(|(shown, made)| shown != made);
    assert!(document == made, "docs/{name} is out of date: UPDATE_DOCS=1 cargo test; first {differs:?}");
}

/// Checks that a document has `content` below the line `<!-- source -->`.
pub(crate) fn check_section(name: &str, source: &str, content: &str) {
    let document = read(name);
    let begin = format!("<!-- {source} -->\n");
    let (before, rest) = document.split_once(&begin).expect("the beginning of the section");
    let (_, after) = rest.split_once("<!-- end -->\n").expect("the end of the section");
    check_whole(name, &format!("{before}{begin}{content}<!-- end -->\n{after}"));
}

/// Runs each command of a document with `run`, and compares what it prints. Returns how many there are.
pub(crate) fn check(name: &str, run: &dyn Fn(&str) -> String) -> usize {
    let document = read(name);
    let mut blocks = document.split(BEGIN);
    let mut made = blocks.next().expect("a beginning").to_owned();
    let mut commands = 0;
    for block in blocks {
        let (shown, rest) = block.split_once(END).expect("an end of the block");
        let command = shown.lines().next().expect("a command");
        let output = run(command);
        assert!(!output.trim().is_empty(), "{command} prints nothing");
        made += &[BEGIN, command, "\n", &output, END, rest].concat();
        commands += 1;
    }
    check_whole(name, &made);
    commands
}
