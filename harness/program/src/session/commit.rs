//! The commit of the scenarios of a run.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The commit that a folder of scenarios is at, with `-dirty` if it was changed since; the one that was named when the
/// program was built, if the scenarios are built in.
pub(super) async fn commit(scenarios: Option<&Path>) -> Option<String> {
    let Some(folder) = scenarios else { return option_env!("KONG_PG_TLS_COMMIT").map(str::to_owned) };
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]);
    git.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(5), git.output()).await.ok()?.ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !commit.is_empty()).then_some(commit)
}
