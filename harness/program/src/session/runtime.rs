//! The choice of where servers run.

use std::sync::Arc;

use postgres_tls_server::{Combined, Docker, DockerOptions, Local, Major, Runtime, RuntimeError};

use crate::run::{RuntimeChoice, RuntimeRequest};
use crate::runfolder::{RunFolder, announce_pull, cache};

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

/// The repositories of images that are used without being named: the official one, and that of ci/postgres-image.
const IMAGES: [&str; 2] = ["postgres", "kong-pg-tls/postgres"];

/// An error of the runtime, with what can be done about it here.
#[must_use]
pub fn with_advice(error: &RuntimeError) -> String {
    let advice = match error {
        RuntimeError::NoRuntime { local, docker } => {
            return format!("{}; and {}", with_advice(local), with_advice(docker));
        }
        RuntimeError::NotInstalled => {
            "install Debian's package postgresql, or set PGBIN to the folder that has initdb and postgres"
        }
        RuntimeError::NoEngine(_) => "start one, or use --runtime local",
        RuntimeError::NoImages => {
            "build one with ci/postgres-image, name one with --image 17=REF, or ask for a major that can be pulled"
        }
        RuntimeError::MajorUnavailable { .. } => {
            "build an image with ci/postgres-image, or fetch programs with ci/postgres-wheel and name them in PGBIN"
        }
        RuntimeError::ImageUnavailable { .. } => "build one with ci/postgres-image, or name another with --image",
        _ => return error.to_string(),
    };
    format!("{error}; {advice}")
}

impl RuntimeRequest {
    /// What to look for on a Docker engine.
    #[must_use]
    pub fn docker(&self, majors: &[Major], run: &RunFolder) -> DockerOptions {
        DockerOptions {
            repositories: IMAGES.map(str::to_owned).into(),
            images: self.images.clone(),
            majors: majors.to_vec(),
            templates: cache(),
            on_pull: announce_pull,
            ..DockerOptions::new(run.label())
        }
    }

    /// Finds the runtime, with servers of these majors; of all there are, if none is named.
    ///
    /// # Errors
    /// If there is nothing to run servers with.
    pub async fn find(&self, majors: &[Major], folder: &RunFolder) -> Result<Chosen, RuntimeError> {
        self.find_on(None, majors, folder).await
    }

    /// The same for one server only, which is to be on this port.
    ///
    /// # Errors
    /// If there is nothing to run servers with.
    pub async fn find_on(
        &self,
        port: Option<u16>,
        majors: &[Major],
        folder: &RunFolder,
    ) -> Result<Chosen, RuntimeError> {
        let docker = |majors: &[Major]| Docker::find(DockerOptions { port, ..self.docker(majors, folder) });
        let local = || Local::find(folder.path()).map(|local| local.on_port(port).keeping_templates(cache()));
        Ok(match self.choice {
            RuntimeChoice::Docker => Chosen::new(docker(majors).await?, "as requested"),
            RuntimeChoice::Local => Chosen::new(local()?, "as requested"),
            RuntimeChoice::Auto => {
                let local = local();
                let installed = local.iter().flat_map(Runtime::offers).map(|offer| offer.major);
                let installed: Vec<_> = installed.collect();
                // What is installed need not be pulled.
                let lacking: Vec<_> = majors.iter().filter(|major| !installed.contains(major)).copied().collect();
                match (docker(&lacking).await, local) {
                    (Ok(docker), Ok(local)) => {
                        let both = Combined(vec![Box::new(docker), Box::new(local)]);
                        Chosen::new(both, "the first of image and installed programs")
                    }
                    (Ok(docker), Err(_)) => Chosen::new(docker, "an engine answers and has an image"),
                    (Err(docker @ RuntimeError::ImageUnavailable { .. }), Ok(_)) => return Err(docker),
                    (Err(docker), Ok(local)) => Chosen::new(local, format!("since {docker}")),
                    (Err(docker), Err(local)) => {
                        return Err(RuntimeError::NoRuntime { local: Box::new(local), docker: Box::new(docker) });
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_can_be_done_about_it() {
        let advice = with_advice(&RuntimeError::NoRuntime {
            local: Box::new(RuntimeError::NotInstalled),
            docker: Box::new(RuntimeError::NoImages),
        });
        let (local, docker) = advice.split_once("; and ").expect("both");
        assert!(local.contains("install Debian's package postgresql"), "{advice}");
        assert!(docker.contains("ci/postgres-image"), "{advice}");
    }

    #[test]
    fn an_image_that_is_named_takes_the_place_of_the_majors_own() {
        let folder = RunFolder::create().expect("a folder");
        let request = RuntimeRequest { images: vec![(Major(17), "mine".into())], ..RuntimeRequest::default() };
        let options = request.docker(&[Major(17)], &folder);
        assert_eq!((options.images, options.majors), (vec![(Major(17), "mine".to_owned())], vec![Major(17)]));
        assert_eq!(options.repositories, IMAGES);
    }
}
