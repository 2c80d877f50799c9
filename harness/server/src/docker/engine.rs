//! The Docker engine, and the containers that carry a label.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error::DockerResponseServerError;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::StreamExt;

use crate::error::{PullError, RuntimeError, within};

/// How long the engine may take to answer the first request.
const ENGINE_LIMIT: Duration = Duration::from_secs(5);

/// How long a pull may take.
const PULL_LIMIT: Duration = Duration::from_secs(600);

/// A label of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its key: `org.example.tests`.
    pub key: String,
    /// Its value, which names the process or the run that the container belongs to.
    pub value: String,
}

/// Connects to the engine that `DOCKER_HOST` names, or to the local one.
///
/// # Errors
/// No engine answers.
pub async fn connect() -> Result<bollard::Docker, RuntimeError> {
    let engine = bollard::Docker::connect_with_defaults().map_err(RuntimeError::NoEngine)?;
    let negotiated = within(ENGINE_LIMIT, "negotiate the engine's API version", engine.negotiate_version()).await?;
    negotiated.map_err(RuntimeError::NoEngine)
}

/// The ids of the containers that have a label of this key, with its values.
pub(super) async fn labelled(engine: &bollard::Docker, key: &str) -> Result<Vec<(String, String)>, RuntimeError> {
    let filters = HashMap::from([("label", vec![key])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let listed = engine.list_containers(Some(options)).await.map_err(RuntimeError::failing("list containers"))?;
    let label = |container: bollard::models::ContainerSummary| Some((container.id?, container.labels?.remove(key)?));
    Ok(listed.into_iter().filter_map(label).collect())
}

/// The ids of the containers that have a label, running or not.
///
/// # Errors
/// The engine does not list them.
pub async fn containers_with(engine: &bollard::Docker, label: &Label) -> Result<Vec<String>, RuntimeError> {
    let all = labelled(engine, &label.key).await?;
    Ok(all.into_iter().filter(|(_, value)| *value == label.value).map(|(id, _)| id).collect())
}

/// Removes a container, running or not, with its volumes. One that is gone, or that another program is just removing, is
/// no error.
///
/// # Errors
/// The engine does not do so.
pub async fn remove(engine: &bollard::Docker, id: &str) -> Result<(), RuntimeError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.remove_container(id, Some(options)).await {
        Err(DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        removed => removed.map_err(RuntimeError::failing("remove a container")),
    }
}

/// Removes the containers that have a label.
pub async fn remove_labelled(engine: &bollard::Docker, label: &Label) {
    for id in containers_with(engine, label).await.unwrap_or_default() {
        // Nobody is left to report an error to.
        let _ = remove(engine, &id).await;
    }
}

/// Pulls an image if the engine does not have it.
///
/// # Errors
/// It cannot be pulled.
pub async fn have_image(engine: &bollard::Docker, image: &str, on_pull: fn(&str)) -> Result<(), RuntimeError> {
    if engine.inspect_image(image).await.is_ok() {
        return Ok(());
    }
    on_pull(image);
    let unavailable = |source| RuntimeError::ImageUnavailable { image: image.to_owned(), source };
    pull(engine, image).await.map_err(unavailable)
}

async fn pull(engine: &bollard::Docker, image: &str) -> Result<(), PullError> {
    let options = CreateImageOptionsBuilder::new().from_image(image).build();
    let mut progress = engine.create_image(Some(options), None, None);
    let pulling = async {
        while let Some(step) = progress.next().await {
            step?;
        }
        Ok(())
    };
    tokio::time::timeout(PULL_LIMIT, pulling).await.map_err(|_| PullError::Timeout(PULL_LIMIT))?
}

/// Splits the reference of an image into its name and its tag, which is `latest` where none is given.
#[must_use]
pub fn name_and_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// Whether the engine is on this machine, which then reaches the ports that it publishes on 127.0.0.1.
#[must_use]
pub fn is_local() -> bool {
    std::env::var("DOCKER_HOST").map_or(true, |host| host.starts_with("unix://"))
}

/// Whether containers can share this machine's loopback interface and its files as they are: a rootless engine, too, has
/// a network of its own and other users.
pub async fn shares_this_machine(engine: &bollard::Docker) -> bool {
    let is_rootless = async || {
        let info = engine.info().await.ok()?;
        Some(info.security_options?.iter().any(|option| option == "name=rootless"))
    };
    is_local() && is_rootless().await != Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_a_registry_is_not_a_tag() {
        assert_eq!(name_and_tag("postgres:17"), ("postgres", "17"));
        assert_eq!(name_and_tag("postgres"), ("postgres", "latest"));
        assert_eq!(name_and_tag("localhost:5000/postgres"), ("localhost:5000/postgres", "latest"));
        assert_eq!(name_and_tag("localhost:5000/postgres:17-alpine"), ("localhost:5000/postgres", "17-alpine"));
    }
}
