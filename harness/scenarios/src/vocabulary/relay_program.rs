//! Real programs that can be between Kong and the server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program between Kong and the server, by the name of its executable.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RelayProgram {
    /// A pooler: it ends TLS, logs in to the server itself, and hands connections on.
    Pgbouncer,
    /// Adds TLS to a connection, or ends it.
    Stunnel,
    /// Forwards bytes.
    Haproxy,
    /// A pooler with rules of its own for logins, in a process for each connection.
    Pgpool,
    /// A pooler that ends TLS, and offers SCRAM with channel binding itself.
    Odyssey,
}

impl RelayProgram {
    /// Whether Kong and the server share one TLS session, end to end.
    #[must_use]
    pub fn hands_on(self) -> bool {
        self == Self::Haproxy
    }

    /// Whether it logs in to the server itself, so that the backend process id that Kong receives is not the server's.
    #[must_use]
    pub fn logs_in(self) -> bool {
        matches!(self, Self::Pgbouncer | Self::Pgpool | Self::Odyssey)
    }

    /// The command that fetches it, where few distributions have it.
    #[must_use]
    pub fn fetched_by(self) -> Option<&'static str> {
        (self == Self::Odyssey).then_some("ci/odyssey")
    }

    /// The settings that name files.
    #[must_use]
    pub fn file_keys(self) -> &'static [&'static str] {
        match self {
            Self::Pgbouncer => &[
                "auth_file",
                "auth_hba_file",
                "client_tls_ca_file",
                "client_tls_cert_file",
                "client_tls_key_file",
                "server_tls_ca_file",
                "server_tls_cert_file",
                "server_tls_key_file",
            ],
            Self::Stunnel => &["CAfile", "CRLfile", "cert", "key"],
            Self::Haproxy => &[],
            Self::Pgpool => &["pool_hba", "pool_passwd", "ssl_ca_cert", "ssl_cert", "ssl_crl_file", "ssl_key"],
            Self::Odyssey => &[
                "listen.tls_ca_file",
                "listen.tls_cert_file",
                "listen.tls_key_file",
                "storage.tls_ca_file",
                "storage.tls_cert_file",
                "storage.tls_key_file",
            ],
        }
    }

    /// The settings that the suite gives it: where it listens, whom it connects to, and where it logs.
    #[must_use]
    pub fn reserved_keys(self) -> &'static [&'static str] {
        match self {
            Self::Pgbouncer => {
                &["listen_addr", "listen_port", "logfile", "pidfile", "syslog", "unix_socket_dir", "user"]
            }
            Self::Stunnel => &["accept", "connect", "debug", "exec", "foreground", "output", "pid", "setgid", "setuid"],
            Self::Haproxy => &["bind", "log", "log-format", "mode"],
            Self::Pgpool => &[
                "backend_hostname0",
                "backend_port0",
                "listen_addresses",
                "log_connections",
                "log_destination",
                "log_disconnections",
                "log_line_prefix",
                "logdir",
                "pcp_listen_addresses",
                "pcp_socket_dir",
                "pid_file_name",
                "port",
                "socket_dir",
                "work_dir",
            ],
            Self::Odyssey => {
                &["listen.host", "listen.port", "storage.host", "storage.port", "storage.type", "user.storage"]
            }
        }
    }
}
