//! What is left of a whole run.

use std::future::ready;
use std::path::Path;
use std::time::Duration;

use super::grace::{GRACE, until_gone};
use super::leak::Leak;
use super::processes::{alive, descends_from, end, leak_of, listening, own_ports};
use crate::runfolder::CONTAINER_LABEL;
use postgres_tls_server::engine;

/// How long an engine may take to finish removing containers.
const ENGINE_GRACE: Duration = Duration::from_secs(2);

/// What is left of a run, all of whose servers and clients have been stopped. Processes are ended, and its folder is
/// removed.
///
/// This process must have adopted its descendants ([`adopt_descendants`]), and do nothing else.
pub async fn left_of_run(folder: &Path, has_containers: bool) -> Vec<Leak> {
    let mut left = until_gone(GRACE, || ready(descendants())).await;
    end(&left);
    left.extend(until_gone(GRACE, || ready(own_ports())).await);
    if has_containers {
        left.extend(until_gone(ENGINE_GRACE, || containers(folder)).await);
    }
    // What a process wrote while the folder was being removed.
    if folder.exists() && std::fs::remove_dir_all(folder).is_err() {
        left.push(Leak::File { path: folder.display().to_string() });
    }
    left
}

/// Has this process become the parent of its descendants when their own parent ends, so that none is lost.
pub fn adopt_descendants() {
    // Without it, only children are found.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// The descendants of this process.
fn descendants() -> Vec<Leak> {
    let (all, listening) = (alive(), listening());
    let own = rustix::process::getpid().as_raw_nonzero().get();
    all.values().filter(|one| descends_from(one, own, &all)).map(|one| leak_of(one, &listening)).collect()
}

/// The containers that have the label of a run.
async fn containers(folder: &Path) -> Vec<Leak> {
    let label = engine::Label { key: CONTAINER_LABEL.to_owned(), value: folder.to_string_lossy().into_owned() };
    let Ok(engine) = engine::connect().await else { return Vec::new() };
    let ids = engine::containers_with(&engine, &label).await.unwrap_or_default();
    ids.into_iter().map(|id| Leak::Container { id }).collect()
}
