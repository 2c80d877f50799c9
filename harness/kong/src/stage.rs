//! How far an attempt to connect comes.

/// The step of Kong's attempt at which it ended, as Kong sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before anything is sent: a setting or a file of Kong's own.
    Configure,
    /// The TCP connection.
    Connect,
    /// The question whether the server speaks TLS.
    SslRequest,
    /// The TLS handshake.
    Handshake,
    /// The look at the server's certificate after the handshake.
    Verify,
    /// From the startup message to the end of the authentication.
    Auth,
    /// `SHOW server_version_num`.
    Query,
}

impl Stage {
    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Connect => "connect",
            Self::SslRequest => "ssl-request",
            Self::Handshake => "handshake",
            Self::Verify => "verify",
            Self::Auth => "auth",
            Self::Query => "query",
        }
    }
}
