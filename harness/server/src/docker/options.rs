use std::path::PathBuf;

use super::engine::Label;
use crate::words::Major;

/// What to look for on an engine.
#[derive(Debug, Clone)]
pub struct DockerOptions {
    /// Given to every container, so that those of a process that has died can be found by it.
    pub label: Label,
    /// Repositories whose tags are majors: `postgres` for `postgres:17`. The first that has a local image is used.
    /// A major of [`DockerOptions::majors`] without any is pulled from the first repository.
    pub repositories: Vec<String>,
    /// Images of majors, which take precedence and are pulled if they are missing.
    pub images: Vec<(Major, String)>,
    /// Majors that are needed, besides those of which there are images.
    pub majors: Vec<Major>,
    /// The port of this machine that a server is reached at, instead of any that is free. Only one server can run then.
    pub port: Option<u16>,
    /// Where the data directories that initdb makes are kept for later runs. Nothing in the folder is ever removed. Servers
    /// start from what is in it, so nobody else should be able to write there.
    pub templates: Option<PathBuf>,
    /// Called with the reference of an image before it is pulled, which can take minutes.
    pub on_pull: fn(&str),
}

impl DockerOptions {
    /// The local images of the official repository, and nothing pulled.
    #[must_use]
    pub fn new(label: Label) -> Self {
        let repositories = vec!["postgres".to_owned()];
        Self {
            label,
            repositories,
            images: Vec::new(),
            majors: Vec::new(),
            port: None,
            templates: None,
            on_pull: |_| (),
        }
    }
}
