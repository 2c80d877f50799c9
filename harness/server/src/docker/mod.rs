//! Servers in containers, through testcontainers. The engine only makes, attaches to and removes containers; what
//! happens in one is told to a shell in it, twenty times faster and the same on a remote engine.

mod container;
pub mod engine;
mod images;
mod shell;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::runtime::{Host, Offer, Runtime, RuntimeError, RuntimeKind};
use crate::Major;

/// A Docker engine, and the images it has of PostgreSQL.
pub struct Docker {
    engine: bollard::Docker,
    images: BTreeMap<Major, String>,
    /// Written into a label of every container, so that those of a dead run can be found.
    run: PathBuf,
}

impl Docker {
    /// Looks for an engine, and for images: those named, those that are here, and for majors that are asked for and
    /// not here one from a registry.
    pub async fn find(run: &Path, named: &[(Major, String)], wanted: &[Major]) -> Result<Self, RuntimeError> {
        let engine = engine::connect().await?;
        let images = images::find(&engine, named, wanted).await?;
        Ok(Self { engine, images, run: run.to_owned() })
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
        Ok(Box::new(container::Container::create(&self.engine, image, &self.run).await?))
    }

    async fn sweep(&self) {
        engine::remove_containers(&self.engine, &self.run).await;
    }
}

/// Removes the containers of runs that have ended. Returns how many there were; none, if there is no engine.
pub async fn remove_abandoned(is_alive: impl Fn(&Path) -> bool) -> Result<usize, RuntimeError> {
    let Ok(engine) = engine::connect().await else { return Ok(0) };
    let mut removed = 0;
    for (id, run) in engine::containers(&engine).await? {
        if !is_alive(&run) {
            engine::remove(&engine, &id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
