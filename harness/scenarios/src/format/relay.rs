//! A real program between Kong and the server.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::setting::{Settings, free};
use crate::vocabulary::RelayProgram;

/// A real program between Kong and the server, with its own settings. The suite adds where it listens, the server that
/// it connects to, and where it logs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Relay {
    /// The section `[pgbouncer]` of pgbouncer.ini.
    Pgbouncer(RelaySettings),
    /// The service of stunnel.conf.
    Stunnel(RelaySettings),
    /// The `listen` section of haproxy.cfg in TCP mode; `server` has the parameters of its server.
    Haproxy(RelaySettings),
    /// Settings of pgpool.conf, of which Pgpool-II ignores unknown ones; `pool_hba` names `pool_hba.conf`.
    Pgpool(RelaySettings),
    /// Settings of odyssey.conf, each after its section, which is `listen`, `storage` or `user`, and a dot.
    Odyssey(RelaySettings),
}

/// Settings of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RelaySettings(pub Settings);

impl JsonSchema for RelaySettings {
    fn schema_name() -> Cow<'static, str> {
        "RelaySettings".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        free("The program's settings, as its documentation names them; `null` takes one away")
    }
}

impl Relay {
    /// The program.
    #[must_use]
    pub fn program(&self) -> RelayProgram {
        match self {
            Self::Pgbouncer(_) => RelayProgram::Pgbouncer,
            Self::Stunnel(_) => RelayProgram::Stunnel,
            Self::Haproxy(_) => RelayProgram::Haproxy,
            Self::Pgpool(_) => RelayProgram::Pgpool,
            Self::Odyssey(_) => RelayProgram::Odyssey,
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        match self {
            Self::Pgbouncer(settings)
            | Self::Stunnel(settings)
            | Self::Haproxy(settings)
            | Self::Pgpool(settings)
            | Self::Odyssey(settings) => &settings.0,
        }
    }
}
