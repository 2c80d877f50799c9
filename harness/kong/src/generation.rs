//! The generations of pgmoon, Kong's driver, and what each can do.

/// A generation of pgmoon, as `releases.toml` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, strum::Display)]
pub(crate) enum Generation {
    /// Kong's fork 2.2.0, the lineage of Enterprise.
    #[serde(rename = "kong-2.2.0")]
    #[strum(serialize = "kong-2.2.0")]
    Kong2_2_0,
    /// The same on Kong's OpenResty 1.21.4, whose handshake reads another option than the one the fork sets.
    #[serde(rename = "kong-2.2.0-on-openresty-1.21.4")]
    #[strum(serialize = "kong-2.2.0-on-openresty-1.21.4")]
    Kong2_2_0OnOpenresty1_21_4,
    /// leafo's 1.15.0.
    #[serde(rename = "leafo-1.15.0")]
    #[strum(serialize = "leafo-1.15.0")]
    Leafo1_15_0,
    /// leafo's 1.16.0.
    #[serde(rename = "leafo-1.16.0")]
    #[strum(serialize = "leafo-1.16.0")]
    Leafo1_16_0,
    /// kong-pgmoon 1.16.2: leafo's 1.16.0 with Kong's fix for the digest of channel binding.
    #[serde(rename = "kong-1.16.2")]
    #[strum(serialize = "kong-1.16.2")]
    Kong1_16_2,
}

/// A lineage of pgmoon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
pub enum Lineage {
    /// Kong's fork, in Enterprise.
    Kong,
    /// The original, which the open-source edition uses with or without a fix by Kong.
    #[strum(serialize = "leafo")]
    Leafo,
}

/// The Lua library that hashes the server's certificate for channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum X509Library {
    /// luaossl, which pgmoon prefers where it is installed.
    Luaossl,
    /// lua-resty-openssl, which Kong ships.
    LuaRestyOpenssl,
}

impl Generation {
    pub(crate) fn lineage(self) -> Lineage {
        match self {
            Self::Kong2_2_0 | Self::Kong2_2_0OnOpenresty1_21_4 => Lineage::Kong,
            Self::Leafo1_15_0 | Self::Leafo1_16_0 | Self::Kong1_16_2 => Lineage::Leafo,
        }
    }

    /// The version of pgmoon.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Kong2_2_0 | Self::Kong2_2_0OnOpenresty1_21_4 => "2.2.0",
            Self::Leafo1_15_0 => "1.15.0",
            Self::Leafo1_16_0 => "1.16.0",
            Self::Kong1_16_2 => "1.16.2",
        }
    }

    fn is_of_leafos_lineage(self) -> bool {
        self.lineage() == Lineage::Leafo
    }

    /// Whether it sends a client certificate on a cosocket.
    pub(crate) fn has_client_certificates(self) -> bool {
        !self.is_of_leafos_lineage()
    }

    /// Whether it can be made to offer TLS 1.0 through LuaSec.
    pub(crate) fn has_tls_1_0(self) -> bool {
        !self.is_of_leafos_lineage()
    }

    /// Whether it sends PostgreSQL's Terminate message before it closes a connection.
    pub(crate) fn sends_terminate(self) -> bool {
        self.is_of_leafos_lineage()
    }

    /// Whether it raises an error, and does not return it, where the server offers no SASL mechanism that it knows.
    pub(crate) fn raises_unknown_mechanism(self) -> bool {
        self.is_of_leafos_lineage()
    }

    /// Whether it drops its socket if it cannot read a message, so that the next query raises an error.
    pub(crate) fn drops_socket(self) -> bool {
        !self.is_of_leafos_lineage()
    }

    /// Whether it reads the type and the length of a message in one piece, and reports neither by itself.
    pub(crate) fn reads_headers_whole(self) -> bool {
        self.is_of_leafos_lineage()
    }

    /// Whether the handshake of its cosocket ignores `pg_ssl_verify`.
    pub(crate) fn never_verifies(self) -> bool {
        self == Self::Kong2_2_0OnOpenresty1_21_4
    }
}
