//! What is asked for, and what comes of it.

use std::path::PathBuf;

use super::flaw::Flaw;
use super::names::{Host, User};
use super::settings::Installed;

/// What the certificates are to be for. What is left out has a default, but for the guide's commands, which have names
/// and dates of their own.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The server's names and addresses; `localhost` and 127.0.0.1 by default.
    pub hosts: Vec<Host>,
    /// The user; `kong` by default.
    pub user: Option<User>,
    /// For how many days the server's and Kong's certificates are valid; a year by default.
    pub days: Option<i16>,
    /// Whether to write Secrets of Kubernetes as well.
    pub secrets: bool,
}

/// Certificates in a folder.
#[derive(Debug)]
pub struct Certs {
    /// The folder.
    pub folder: PathBuf,
    /// The files of certificates in it, by their paths.
    pub installed: Installed,
    /// What only the owner of the CA needs.
    pub authorities: PathBuf,
    /// The commands of the guide, if they were run.
    pub commands: Option<PathBuf>,
    /// What is wrong with them.
    pub flaws: Vec<Flaw>,
    /// The Secrets.
    pub secrets: Option<PathBuf>,
}
