//! The rules, each small and independent of the others.

mod chain;
mod client_certificate;
mod files;
mod hba;
mod login;
mod read_only;
mod server_files;
mod settings;
mod transport;
mod trusted;
mod versions;

use self::files::{KongFiles, ServerFiles};
use super::configuration::Configuration;
use super::fault::Fault;
use super::server::Server;

/// Holds Kong's configuration against that of a running server, whose files are not here.
pub(super) fn check_in_force(kong: &Configuration, server: &Server) -> Vec<Fault> {
    // What is wrong with Kong's own files, the check has said already.
    let client = client_certificate::check(kong, 0, &mut Vec::new());
    let files = KongFiles { client, ..KongFiles::default() };
    let mut faults = hba::check(server);
    faults.extend(versions::check_server(kong, server));
    faults.extend(login::check(kong, &files, server));
    faults.sort();
    faults.dedup();
    faults
}

/// Checks everything that is there, each for itself and against the other side.
pub(super) fn check(kongs: &[Configuration], server: Option<&Server>, days: u32) -> Vec<Fault> {
    let mut faults = Vec::new();
    let server_files = server.map(|server| {
        faults.extend(hba::check(server));
        let is_verified = kongs.is_empty() || kongs.iter().any(|kong| kong.main.verify);
        server_files::check(server, days, is_verified, &mut faults)
    });
    for kong in kongs {
        if !kong.uses_postgres() {
            faults.push(settings::no_database(kong));
            continue;
        }
        faults.extend(settings::check(kong));
        faults.extend(transport::check(kong));
        faults.extend(read_only::check(kong));
        faults.extend(versions::check(kong));
        let files = KongFiles {
            trusted: trusted::check(kong, days, &mut faults),
            client: client_certificate::check(kong, days, &mut faults),
        };
        faults.extend(client_certificate::check_chain(kong, &files, server_files.as_ref()));
        if let (Some(server), Some(server_files)) = (server, &server_files) {
            faults.extend(versions::check_server(kong, server));
            faults.extend(chain::check(kong, &files, server, server_files));
            faults.extend(login::check(kong, &files, server));
        } else {
            faults.extend(login::check_without_server(kong));
        }
    }
    faults.sort();
    faults.dedup();
    faults
}
