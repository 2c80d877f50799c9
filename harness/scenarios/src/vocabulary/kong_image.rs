//! An image with a Kong in it, as it is written on the command line: `3.9-oss=kong:3.9`, or `kong:3.9`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An image with a Kong in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KongImage {
    /// The release; that which the image says, if it is not named.
    pub release: Option<String>,
    /// The reference of the image.
    pub image: String,
}

impl FromStr for KongImage {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (release, image) = text.split_once('=').map_or((None, text), |(release, image)| (Some(release), image));
        Ok(Self { release: release.map(str::to_owned), image: image.to_owned() })
    }
}

impl fmt::Display for KongImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(release) => write!(f, "{release}={}", self.image),
            None => f.write_str(&self.image),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("kong:3.9", None, "kong:3.9")]
    #[case("3.9-oss=localhost:5000/kong@sha256:0a", Some("3.9-oss"), "localhost:5000/kong@sha256:0a")]
    fn an_image_may_name_its_release(#[case] text: &str, #[case] release: Option<&str>, #[case] image: &str) {
        let Ok(parsed) = text.parse::<KongImage>();
        assert_eq!((parsed.release.as_deref(), parsed.image.as_str()), (release, image));
        assert_eq!(parsed.to_string(), text);
    }
}
