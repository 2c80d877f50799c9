//! The formats.

/// What a cell can be exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Format {
    /// kong.conf.
    #[strum(serialize = "kong.conf")]
    KongConf,
    /// Lines of `KONG_NAME=value`, as `docker run --env-file` takes them.
    Env,
    /// A docker-compose file of the server and Kong.
    Compose,
    /// Values for Kong's Helm chart.
    Helm,
    /// A Cluster of CloudNativePG, with its Secrets.
    Cnpg,
    /// A scenario of its own.
    Scenario,
}

impl Format {
    /// The name of its file.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::KongConf => "kong.conf",
            Self::Env => "kong.env",
            Self::Compose => "docker-compose.yml",
            Self::Helm => "values.yaml",
            Self::Cnpg => "cluster.yaml",
            Self::Scenario => "scenario.yaml",
        }
    }

    /// The host on which Kong reaches the server, if nothing says another one.
    #[must_use]
    pub fn host(self) -> &'static str {
        match self {
            // The service that CloudNativePG makes for what `cnpg` exports.
            Self::Helm => "kong-pg-tls-rw",
            _ => "127.0.0.1",
        }
    }

    /// Whether the document refers to certificates in files beside it.
    #[must_use]
    pub fn has_files(self) -> bool {
        matches!(self, Self::KongConf | Self::Env | Self::Compose)
    }
}
