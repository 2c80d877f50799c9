//! The rules, each small and independent of the others.

mod chain;
mod client_certificate;
mod hba;
mod login;
mod read_only;
mod server_files;
mod settings;
mod transport;
mod trusted;
mod versions;

use std::path::PathBuf;

use openssl::x509::X509;

use super::configuration::Configuration;
use super::fault::Fault;
use super::server::Server;

/// Certificates of Kong's that could be read.
#[derive(Debug, Default)]
struct KongFiles {
    /// Those that Kong trusts; `None` if not all could be read, or they are the system's.
    trusted: Option<Vec<X509>>,
    /// The client certificate and what is sent with it.
    client: Option<Vec<X509>>,
}

/// Certificates of the server's that could be read.
#[derive(Debug, Default)]
struct ServerFiles {
    /// The server certificate and what is sent with it.
    certificate: Option<Vec<X509>>,
    /// The CAs for client certificates.
    ca: Option<Vec<X509>>,
    /// The file with their revocation lists.
    lists: Option<PathBuf>,
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
