//! Servers in containers, through testcontainers. The engine only starts, stops and removes; once a server runs, its
//! files go through the harness' own session with it, twenty times faster and the same on a remote engine.

mod container;
mod images;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};

use super::runtime::{Host, Offer, Runtime, RuntimeError, RuntimeKind};
use crate::runfolder::RunFolder;
use crate::scenario::versions::Major;

/// The label that says which run a container belongs to, by the run's folder.
const LABEL: &str = "kong-pg-tls.run";

/// How long the engine may take to answer.
const ENGINE_LIMIT: Duration = Duration::from_secs(5);

/// A Docker engine, and the images it has of PostgreSQL.
pub struct Docker {
    engine: bollard::Docker,
    images: BTreeMap<Major, String>,
    run: Arc<RunFolder>,
}

impl Docker {
    /// Looks for an engine, and for images: those named, those that are here, and for majors that are asked for and
    /// not here one from a registry.
    pub async fn find(run: Arc<RunFolder>, named: &[(Major, String)], wanted: &[Major]) -> Result<Self, RuntimeError> {
        let engine = connect().await?;
        let images = images::find(&engine, named, wanted).await?;
        Ok(Self { engine, images, run })
    }
}

#[async_trait]
impl Runtime for Docker {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn offers(&self) -> Vec<Offer> {
        self.images.iter().map(|(major, image)| Offer { major: *major, source: image.clone() }).collect()
    }

    async fn host(&self, major: Major) -> Result<Box<dyn Host>, RuntimeError> {
        let missing = || RuntimeError::Unavailable(format!("there is no image of PostgreSQL {major} here"));
        let image = self.images.get(&major).ok_or_else(missing)?;
        Ok(Box::new(container::Container::create(self.engine.clone(), image, self.run.path()).await?))
    }

    async fn sweep(&self) {
        for (id, run) in containers(&self.engine).await.unwrap_or_default() {
            if run == self.run.path() {
                // Whoever removed it before us did what we want.
                let _ = remove(&self.engine, &id).await;
            }
        }
    }
}

/// A connection to the engine that the environment names, or to the local one.
async fn connect() -> Result<bollard::Docker, RuntimeError> {
    let no_engine = |error: bollard::errors::Error| {
        RuntimeError::Unavailable(format!("no Docker engine answers ({error}); start one, or use --runtime local"))
    };
    let engine = bollard::Docker::connect_with_defaults().map_err(no_engine)?;
    let asked = tokio::time::timeout(ENGINE_LIMIT, engine.negotiate_version()).await;
    asked.map_err(|_| RuntimeError::timeout("ask the Docker engine for its version", ENGINE_LIMIT))?.map_err(no_engine)
}

/// The containers of all runs, with the folders of their runs.
async fn containers(engine: &bollard::Docker) -> Result<Vec<(String, PathBuf)>, RuntimeError> {
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

async fn remove(engine: &bollard::Docker, id: &str) -> Result<(), RuntimeError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    engine.remove_container(id, Some(options)).await.map_err(|error| RuntimeError::failed("remove a container", error))
}

/// Removes the containers of runs that have ended. Returns how many there were; none, if there is no engine.
pub async fn remove_abandoned() -> Result<usize, RuntimeError> {
    let Ok(engine) = connect().await else { return Ok(0) };
    let mut removed = 0;
    for (id, run) in containers(&engine).await? {
        if !crate::runfolder::is_alive(&run) {
            remove(&engine, &id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
