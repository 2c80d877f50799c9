//! Which image a major is run from.

use std::collections::BTreeMap;

use bollard::query_parameters::ListImagesOptions;

use super::DockerOptions;
use super::engine::have_image;
use crate::error::RuntimeError;
use crate::words::Major;

/// The images given, the local ones, and for other majors that are needed those of the first repository, pulled.
pub(super) async fn find(
    engine: &bollard::Docker,
    options: &DockerOptions,
) -> Result<BTreeMap<Major, String>, RuntimeError> {
    let listed = engine.list_images(None::<ListImagesOptions>).await.map_err(RuntimeError::failing("list images"))?;
    let tags: Vec<_> = listed.into_iter().flat_map(|image| image.repo_tags).collect();
    let mut images = tagged(&options.repositories, &tags);
    for (major, image) in &options.images {
        have_image(engine, image, options.on_pull).await?;
        images.insert(*major, image.clone());
    }
    if let Some(repository) = options.repositories.first() {
        for major in &options.majors {
            if !images.contains_key(major) {
                let image = format!("{repository}:{major}");
                have_image(engine, &image, options.on_pull).await?;
                images.insert(*major, image);
            }
        }
    }
    if images.is_empty() { Err(RuntimeError::NoImages) } else { Ok(images) }
}

/// The tags that name a major of a repository. Earlier repositories take precedence.
fn tagged(repositories: &[String], tags: &[String]) -> BTreeMap<Major, String> {
    let mut images = BTreeMap::new();
    for repository in repositories {
        for tag in tags {
            let version = tag.strip_prefix(repository.as_str()).and_then(|rest| rest.strip_prefix(':'));
            if let Some(Ok(major)) = version.map(str::parse::<Major>) {
                images.entry(major).or_insert_with(|| tag.clone());
            }
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_repository_that_has_a_major_is_taken() {
        let repositories = ["postgres", "tests/postgres"].map(str::to_owned);
        let tags = ["tests/postgres:17", "postgres:17", "tests/postgres:13", "postgres:17-alpine", "postgres-x:15"];
        let images = tagged(&repositories, &tags.map(str::to_owned));
        let expected = [(Major(13), "tests/postgres:13".to_owned()), (Major(17), "postgres:17".to_owned())];
        assert_eq!(images, BTreeMap::from(expected));
    }
}
