//! The Docker engine, and the containers of a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};

use super::images;
use crate::runtime::RuntimeError;

/// The label that says which run a container belongs to, by the run's folder.
pub const LABEL: &str = "kong-pg-tls.run";

/// How long the engine may take to answer.
const ENGINE_LIMIT: Duration = Duration::from_secs(5);

/// A connection to the engine that the environment names, or to the local one.
pub async fn connect() -> Result<bollard::Docker, RuntimeError> {
    let no_engine = |error: bollard::errors::Error| {
        RuntimeError::Unavailable(format!("no Docker engine answers ({error}); start one, or use --runtime local"))
    };
    let engine = bollard::Docker::connect_with_defaults().map_err(no_engine)?;
    let asked = tokio::time::timeout(ENGINE_LIMIT, engine.negotiate_version()).await;
    asked.map_err(|_| RuntimeError::timeout("ask the Docker engine for its version", ENGINE_LIMIT))?.map_err(no_engine)
}

/// The containers of all runs, with the folders of their runs.
pub(super) async fn containers(engine: &bollard::Docker) -> Result<Vec<(String, PathBuf)>, RuntimeError> {
    let filters = HashMap::from([("label", vec![LABEL])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let listed = engine.list_containers(Some(options)).await;
    let listed = listed.map_err(|error| RuntimeError::failed("list containers", error))?;
    let of_a_run = |container: bollard::models::ContainerSummary| {
        let run = container.labels?.remove(LABEL)?;
        Some((container.id?, PathBuf::from(run)))
    };
    Ok(listed.into_iter().filter_map(of_a_run).collect())
}

/// Removes a container, whatever runs in it.
pub async fn remove(engine: &bollard::Docker, id: &str) -> Result<(), RuntimeError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    engine.remove_container(id, Some(options)).await.map_err(|error| RuntimeError::failed("remove a container", error))
}

/// Removes the containers of a run.
pub async fn remove_containers(engine: &bollard::Docker, run: &Path) {
    for (id, of) in containers(engine).await.unwrap_or_default() {
        if of == run {
            // Whoever removed it before us did what we want.
            let _ = remove(engine, &id).await;
        }
    }
}

/// Sees to it that an image is there.
pub async fn have_image(engine: &bollard::Docker, image: &str) -> Result<(), RuntimeError> {
    if engine.inspect_image(image).await.is_ok() {
        return Ok(());
    }
    images::pull(engine, image).await.map_err(|error| {
        RuntimeError::Unavailable(format!("the image {image} is not on this machine and cannot be pulled ({error})"))
    })
}

/// An image's name, and its tag.
pub fn name_and_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// Whether the engine is on this machine, so that its loopback is ours.
pub fn is_here() -> bool {
    std::env::var("DOCKER_HOST").is_ok_and(|host| host.starts_with("unix://")) || std::env::var("DOCKER_HOST").is_err()
}
