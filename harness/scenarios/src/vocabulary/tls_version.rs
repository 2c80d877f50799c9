//! Versions of TLS, as `pg_stat_ssl` names them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version column of `pg_stat_ssl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// No TLS at all.
    #[serde(rename = "off")]
    Off,
    /// TLS 1.0.
    #[serde(rename = "TLSv1")]
    V1_0,
    /// TLS 1.1.
    #[serde(rename = "TLSv1.1")]
    V1_1,
    /// TLS 1.2.
    #[serde(rename = "TLSv1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

impl TlsVersion {
    /// As `pg_stat_ssl` spells it; `off` where its column is empty.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::V1_0 => "TLSv1",
            Self::V1_1 => "TLSv1.1",
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        }
    }
}
