//! `clean`

use std::io::ErrorKind;
use std::path::Path;

use super::{Exit, Failure, print};
use crate::runfolder::{self, CONTAINER_LABEL};
use postgres_tls_server::{remove_abandoned, stop_abandoned};

pub(super) async fn clean() -> Result<Exit, Failure> {
    let mut servers = 0;
    let folders = runfolder::abandoned();
    for folder in &folders {
        servers += stop_abandoned(folder);
        if let Err(error) = std::fs::remove_dir_all(folder) {
            // Another `clean` may have been faster.
            if error.kind() != ErrorKind::NotFound {
                return Err(Failure::environment(format!("cannot remove {}: {error}", folder.display())));
            }
        }
    }
    let containers = remove_abandoned(CONTAINER_LABEL, |run| runfolder::is_alive(Path::new(run))).await?;
    let folders = folders.len();
    print(|out| writeln!(out, "removed {folders} folders and {containers} containers, stopped {servers} servers"))?;
    Ok(Exit::Success)
}
