//! The releases of a run that has images of Kong.

use std::collections::BTreeMap;

use kong_pg_client::{Releases, is_patch_of};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::vocabulary::{ClientKind, KongImage};

use super::error::SessionError;
use crate::client::{ClientUnavailable, Unavailable};

/// The Kong of an image: its exact version, and the release that it is run as.
type Inside = (String, String);

/// The releases that the Kongs of images are run as.
pub(super) fn releases(exact: &[String], known: &Releases) -> Result<Vec<Inside>, SessionError> {
    let release = |exact: &String| Ok((exact.clone(), known.of_patch(exact)?.to_string()));
    exact.iter().map(release).collect::<Result<_, _>>().map_err(SessionError::ImageRelease)
}

/// The images, each with the release that its cells are of. Every release that is to be run in an image has one.
pub(super) fn named(
    images: Vec<KongImage>,
    inside: &[Inside],
    cells: &[Cell],
    about: &BTreeMap<ClientKind, String>,
) -> Result<Vec<KongImage>, SessionError> {
    let kind = ClientKind::KongImage;
    let wanted = cells.iter().filter(|cell| cell.client == kind).map(|cell| &cell.profile);
    let mut of_images = vec![None; images.len()];
    for profile in wanted {
        let Some(place) = inside.iter().position(|(exact, _)| is_patch_of(exact, &profile.to_string())) else {
            let has = about.get(&kind).map(String::as_str).unwrap_or_default();
            let why = format!(
                "{has}, and none Kong {profile}; name one with --kong-image {profile}=IMAGE, or leave --kong out"
            );
            return Err(ClientUnavailable { kind, why: Box::new(Unavailable::Missing(why)) }.into());
        };
        of_images[place].get_or_insert_with(|| profile.to_string());
    }
    let release = |(image, (of_cells, (_, of_image))): (KongImage, (Option<String>, &Inside))| KongImage {
        release: of_cells.or(Some(of_image.clone())),
        ..image
    };
    Ok(images.into_iter().zip(of_images.into_iter().zip(inside)).map(release).collect())
}
