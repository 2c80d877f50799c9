//! The words that everything in this program shares. They know nothing of each other's users.

mod behaviour;
mod client_kind;
mod globs;
mod kong_image;
mod open_connection;
mod relay_program;
mod shell;
mod tls_version;
mod versions;

pub use behaviour::Behaviour;
pub use client_kind::ClientKind;
pub(crate) use globs::can_match_below;
pub use globs::{BadGlob, Globs};
pub use kong_image::KongImage;
pub use open_connection::OpenConnection;
pub use relay_program::RelayProgram;
pub use shell::quoted;
pub use tls_version::TlsVersion;
pub use versions::{OpensslRange, OpensslRelease, OpensslReleases, PostgresRange, Range, RangeError, openssl_line_of};
