//! Which image a major is run from.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptions};
use futures_util::StreamExt;

use crate::Major;
use crate::runtime::RuntimeError;

/// Where local images are looked for, the first that is here first.
const REPOSITORIES: [&str; 2] = ["postgres", "kong-pg-tls/postgres"];

/// How long a pull may take.
const PULL_LIMIT: Duration = Duration::from_secs(600);

/// The images named, the local ones, and for other majors that are wanted the official ones, pulled.
pub(super) async fn find(
    engine: &bollard::Docker,
    named: &[(Major, String)],
    wanted: &[Major],
) -> Result<BTreeMap<Major, String>, RuntimeError> {
    let mut images = local(engine).await?;
    for (major, image) in named {
        if engine.inspect_image(image).await.is_err() {
            pull_postgres(engine, image).await?;
        }
        images.insert(*major, image.clone());
    }
    for major in wanted.iter().filter(|major| !images.contains_key(*major)).collect::<Vec<_>>() {
        let image = format!("postgres:{major}");
        pull_postgres(engine, &image).await?;
        images.insert(*major, image);
    }
    if images.is_empty() {
        let how =
            "build one with ci/postgres-image, name one with --image 17=REF, or ask for a major that can be pulled";
        return Err(RuntimeError::Unavailable(format!("the Docker engine has no image of PostgreSQL; {how}")));
    }
    Ok(images)
}

async fn local(engine: &bollard::Docker) -> Result<BTreeMap<Major, String>, RuntimeError> {
    let listed = engine.list_images(None::<ListImagesOptions>).await;
    let listed = listed.map_err(|error| RuntimeError::failed("list images", error))?;
    let tags: Vec<_> = listed.into_iter().flat_map(|image| image.repo_tags).collect();
    let mut images = BTreeMap::new();
    for repository in REPOSITORIES {
        for tag in &tags {
            let version = tag.strip_prefix(repository).and_then(|rest| rest.strip_prefix(':'));
            if let Some(Ok(major)) = version.map(str::parse::<Major>) {
                images.entry(major).or_insert_with(|| tag.clone());
            }
        }
    }
    Ok(images)
}

async fn pull_postgres(engine: &bollard::Docker, image: &str) -> Result<(), RuntimeError> {
    pull(engine, image).await.map_err(|error| {
        let how = "build one with ci/postgres-image, or name another with --image";
        let why = format!("the image {image} is not on this machine and cannot be pulled ({error}); {how}");
        RuntimeError::Unavailable(why)
    })
}

pub(super) async fn pull(engine: &bollard::Docker, image: &str) -> Result<(), String> {
    eprintln!("pulling {image}");
    let options = CreateImageOptionsBuilder::new().from_image(image).build();
    let mut progress = engine.create_image(Some(options), None, None);
    let pulling = async {
        while let Some(step) = progress.next().await {
            step?;
        }
        Ok::<_, bollard::errors::Error>(())
    };
    let pulled = tokio::time::timeout(PULL_LIMIT, pulling).await;
    pulled.map_err(|_| format!("no end of it after {} s", PULL_LIMIT.as_secs()))?.map_err(|error| error.to_string())
}
