//! Servers in containers, through testcontainers. The engine only creates, attaches to and removes containers; what
//! happens in one goes through a shell in it, which is twenty times faster and works the same on a remote engine.

mod container;
pub mod engine;
mod files;
mod images;
mod options;
mod shell;
mod template;
mod tunnel;

use std::collections::BTreeMap;

use async_trait::async_trait;

pub use self::options::DockerOptions;

use self::engine::Label;
use self::template::Templates;
use crate::error::RuntimeError;
use crate::runtime::{Host, Runtime};
use crate::words::{Major, Offer, RuntimeKind};

/// A Docker engine, and its images of PostgreSQL.
pub struct Docker {
    engine: bollard::Docker,
    images: BTreeMap<Major, String>,
    label: Label,
    port: Option<u16>,
    templates: Templates,
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` names, or to the local one, and looks for images.
    ///
    /// # Errors
    /// No engine answers, or an image is neither there nor can it be pulled.
    pub async fn find(options: DockerOptions) -> Result<Self, RuntimeError> {
        let engine = engine::connect().await?;
        let images = images::find(&engine, &options).await?;
        Ok(Self {
            engine,
            images,
            label: options.label,
            port: options.port,
            templates: Templates::kept_in(options.templates),
        })
    }
}

#[async_trait]
impl Runtime for Docker {
    fn offers(&self) -> Vec<Offer> {
        let runtime = RuntimeKind::Docker;
        self.images.iter().map(|(major, image)| Offer { major: *major, runtime, source: image.clone() }).collect()
    }

    async fn host(&self, major: Major) -> Result<Box<dyn Host>, RuntimeError> {
        let unavailable = || RuntimeError::MajorUnavailable { major, offered: self.offers() };
        let image = self.images.get(&major).ok_or_else(unavailable)?;
        Ok(Box::new(container::Container::create(&self.engine, image, &self.label, self.port, &self.templates).await?))
    }

    async fn sweep(&self) {
        engine::remove_labelled(&self.engine, &self.label).await;
    }
}

/// Removes the containers that have a label of this key and are no longer in use, by the value of the label. Returns how
/// many there were; none, if no engine answers.
///
/// # Errors
/// The engine cannot list or remove them.
pub async fn remove_abandoned(label_key: &str, is_in_use: impl Fn(&str) -> bool) -> Result<usize, RuntimeError> {
    let Ok(engine) = engine::connect().await else { return Ok(0) };
    let mut removed = 0;
    for (id, value) in engine::labelled(&engine, label_key).await? {
        if !is_in_use(&value) {
            engine::remove(&engine, &id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
