//! The choice of where servers run.

use std::sync::Arc;

use postgres_tls_server::{Docker, Local, Major, Runtime, RuntimeError};

use crate::runfolder::RunFolder;

/// Where servers are to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RuntimeChoice {
    /// In containers if an engine answers and has an image, otherwise as local processes.
    #[default]
    Auto,
    /// In containers.
    Docker,
    /// As processes of the installed binaries.
    Local,
}

/// Where servers are to run, and of which images.
#[derive(Debug, Clone, Default)]
pub struct RuntimeRequest {
    /// Where.
    pub choice: RuntimeChoice,
    /// The images of majors, where they are not the default ones.
    pub images: Vec<(Major, String)>,
}

/// A runtime that can be used, and why it was chosen.
pub struct Chosen {
    /// The runtime.
    pub runtime: Arc<dyn Runtime>,
    /// Why this one.
    pub why: String,
}

impl Chosen {
    fn new(runtime: impl Runtime + 'static, why: impl Into<String>) -> Self {
        Self { runtime: Arc::new(runtime), why: why.into() }
    }
}

impl RuntimeRequest {
    /// Finds the runtime, with servers of these majors; of all there are, if none is named.
    ///
    /// # Errors
    /// If there is nothing to run servers with.
    pub async fn find(&self, majors: &[Major], folder: &RunFolder) -> Result<Chosen, RuntimeError> {
        let docker = Docker::find(folder.path(), &self.images, majors);
        let local = || Local::find(folder.path());
        Ok(match self.choice {
            RuntimeChoice::Docker => Chosen::new(docker.await?, "as requested"),
            RuntimeChoice::Local => Chosen::new(local()?, "as requested"),
            RuntimeChoice::Auto => match (docker.await, local()) {
                (Ok(docker), _) => Chosen::new(docker, "an engine answers and has an image"),
                (Err(docker), Ok(local)) => Chosen::new(local, format!("since {docker}")),
                (Err(docker), Err(local)) => {
                    return Err(RuntimeError::Unavailable(format!("{local}; and {docker}")));
                }
            },
        })
    }
}
