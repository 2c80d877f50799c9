//! How to try a cell's connection with other programs.

use std::path::{Path, PathBuf};

use kong_pg_client::conf::file_names;
use kong_pg_client::{ConnectionRole, Settings, Trusted, TrustedEntry};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::Step;

use crate::client::ByHand;
use crate::run::kong_conf_of;

/// Where a server is that nobody has started.
const SERVER: (&str, u16) = ("HOST", 5432);

/// What `system` stands for, on most systems.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The commands, in the folder with Kong's files; none, where Kong itself stops before it connects.
pub(super) fn commands(cell: &Cell, step: &Step) -> Vec<String> {
    const TRUSTED: &str = "lua_ssl_trusted_certificate";
    let conf = kong_conf_of(&step.situation.kong, cell.stack);
    let trusted = conf.get(TRUSTED).unwrap_or_default().to_owned();
    // The files are not here, and Kong looks for them when it reads its settings.
    let conf = conf.with_variable("KONG_LUA_SSL_TRUSTED_CERTIFICATE", "");
    let is_read_only = step.change.is_of_read_only_connection();
    let role = if is_read_only { ConnectionRole::ReadOnly } else { ConnectionRole::Main };
    let Ok(mut settings) = Settings::read(&conf, &cell.profile, role, SERVER, PathBuf::new()) else {
        return Vec::new();
    };
    let system = trusted.split(',').any(|entry| entry.trim() == "system").then_some(SYSTEM);
    let files = file_names(&trusted).chain(system).map(|file| TrustedEntry::File(Path::new(file).to_owned()));
    settings.trusted = Trusted::Combined(files.collect());
    let by_hand = ByHand { settings: &settings, profile: &cell.profile, stack: cell.stack };
    by_hand.trusted().into_iter().chain([by_hand.psql()]).chain(by_hand.openssl()).collect()
}
