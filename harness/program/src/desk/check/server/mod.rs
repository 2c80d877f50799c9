//! The server's files: postgresql.conf, pg_hba.conf and pg_ident.conf.

pub(super) mod address;
pub(super) mod hba;
pub(super) mod ident;
mod tokens;

mod postgresql_conf;

pub(super) use hba::HbaLine;
pub(super) use ident::IdentLine;
pub(super) use postgresql_conf::PostgresqlConf;

use super::fault::Place;

/// What is known of the server. Each of its files may be missing.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) conf: Option<PostgresqlConf>,
    pub(super) hba: Option<(String, Vec<HbaLine>)>,
    pub(super) ident: Option<(String, Vec<IdentLine>)>,
    /// Its major version.
    pub(super) major: u16,
}

impl Server {
    /// A place for what pg_hba.conf lacks.
    pub(super) fn hba_place(&self) -> Place {
        Place::file(self.hba.as_ref().map_or("pg_hba.conf", |(file, _)| file.as_str()))
    }
}
