//! How far an attempt to connect comes.

use crate::words::UnknownWord;

/// The step of Kong's attempt at which it ended, as Kong sees it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Deserialize,
    serde::Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
    strum::VariantArray,
)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = unknown)]
pub enum Stage {
    /// Before anything is sent: a setting or a file of Kong's own.
    Configure,
    /// The TCP connection.
    Connect,
    /// The question whether the server speaks TLS.
    SslRequest,
    /// The TLS handshake.
    Handshake,
    /// The check of the server's certificate after the handshake.
    Verify,
    /// From the startup message to the end of the authentication.
    Auth,
    /// The queries after the login.
    Query,
}

fn unknown(word: &str) -> UnknownWord {
    UnknownWord::of::<Stage>(word, "a stage")
}

impl Stage {
    /// The name that is used in scenarios and results: `ssl-request`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn a_stage_has_one_name_for_printing_parsing_and_serializing() {
        for stage in Stage::VARIANTS {
            assert_eq!(stage.as_str().parse(), Ok(*stage));
            let of_serde = toml::Value::try_from(stage).expect("a word");
            assert_eq!(of_serde.as_str(), Some(stage.as_str()));
        }
        assert!("login".parse::<Stage>().is_err());
    }
}
