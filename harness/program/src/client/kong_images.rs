//! Real Kongs: one image for each release.

use std::time::Duration;

use async_trait::async_trait;

use super::kong_image::Image;
use super::{Attempt, Client, ClientError, ClientOptions, Task, Unavailable};
use postgres_tls_server::engine;

/// Images with a Kong in each.
pub(super) struct Images(Vec<Image>);

impl Images {
    /// Finds the images, and asks the Kong in each for its version.
    pub(super) async fn find(needs: &ClientOptions) -> Result<Self, Unavailable> {
        let engine = engine::connect().await?;
        if needs.kong_images.is_empty() {
            let missing = "an engine answers; name an image with --kong-image REF (kong:3.9, kong/kong-gateway:3.10)";
            return Err(Unavailable::missing(missing));
        }
        let run = needs.run.path().to_string_lossy().into_owned();
        let mut images = Vec::<Image>::new();
        for request in &needs.kong_images {
            let image = Image::find(request, &engine, &run).await?;
            if let Some(other) = images.iter().find(|other| other.release() == image.release()) {
                return Err(Unavailable::missing(format!("{} and {}: name one of them", other.about(), image.about())));
            }
            images.push(image);
        }
        Ok(Self(images))
    }
}

#[async_trait]
impl Client for Images {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let release = task.profile.to_string();
        match self.0.iter().find(|image| image.is_of(&release)) {
            Some(image) => image.connect(task).await,
            None => Err(ClientError::Blocked(format!("no image contains Kong {release}: {}", self.about()))),
        }
    }

    fn about(&self) -> String {
        self.0.iter().map(Image::about).collect::<Vec<_>>().join(", ")
    }

    fn releases(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|image| image.release().to_owned()).collect())
    }

    fn patience(&self) -> Duration {
        Image::PATIENCE
    }

    async fn close(&self) {
        for image in &self.0 {
            image.close().await;
        }
    }
}
