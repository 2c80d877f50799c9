//! The configuration of a server: its three configuration files, and the files that these refer to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::words::{ApplyMode, Owner};

/// The settings of postgresql.conf that concern TLS and authentication, each with its meaning.
pub const KEYS: &[(&str, &str)] = &[
    ("ssl", "Whether the server offers TLS."),
    (
        "ssl_cert_file",
        "Server certificate, followed by the intermediate certificates to send; `server.crt` by default.",
    ),
    ("ssl_key_file", "Its private key; `server.key` by default."),
    ("ssl_ca_file", "CAs that client certificates are verified against; if unset, the server requests none."),
    ("ssl_crl_file", "Certificate revocation lists."),
    ("ssl_crl_dir", "Directory of revocation lists, named by the hash of the issuer's name. Since PostgreSQL 14."),
    ("ssl_ciphers", "Cipher suites up to TLS 1.2, and OpenSSL's security level (`@SECLEVEL=1`)."),
    ("ssl_tls13_ciphers", "Cipher suites of TLS 1.3. Since PostgreSQL 18."),
    ("ssl_prefer_server_ciphers", "Whether the server's order of cipher suites is preferred to the client's."),
    ("ssl_ecdh_curve", "The curve for ECDH key exchange, up to PostgreSQL 17."),
    ("ssl_groups", "The groups for key exchange. Since PostgreSQL 18."),
    ("ssl_dh_params_file", "Parameters for Diffie-Hellman key exchange."),
    (
        "ssl_sni",
        "Whether pg_hosts.conf gives each host name a certificate, key and CA of its own, instead of ssl_cert_file, \
         ssl_key_file and ssl_ca_file. Since PostgreSQL 19.",
    ),
    ("ssl_min_protocol_version", "The lowest TLS version accepted; TLSv1.2 by default."),
    ("ssl_max_protocol_version", "The highest TLS version accepted; any by default."),
    ("ssl_passphrase_command", "Command that prints the passphrase of the private key."),
    ("ssl_passphrase_command_supports_reload", "Whether ssl_passphrase_command is run again on a reload."),
    ("password_encryption", "The hash that new passwords are stored as."),
    ("authentication_timeout", "How long authentication may take, in seconds."),
];

/// The settings whose values name files, each with its default.
pub const FILE_KEYS: &[(&str, Option<&str>)] = &[
    ("ssl_cert_file", Some("server.crt")),
    ("ssl_key_file", Some("server.key")),
    ("ssl_ca_file", None),
    ("ssl_crl_file", None),
    ("ssl_dh_params_file", None),
];

/// The file that gives host names certificates of their own, with `ssl_sni = on`; since PostgreSQL 19. It is one of
/// [`Configuration::files`], and is not there unless it is one.
pub const HOSTS_FILE: &str = "pg_hosts.conf";

/// The files that the lines of [`HOSTS_FILE`] name: certificates, keys and CAs. None of them may be quoted.
pub fn files_of_hosts(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split_whitespace().skip(1).take(3))
}

const PLACE: &str = "the suite chooses where a server has its files and listens; leave it out";
const LOG: &str = "the suite reads the server's log in one form only; leave it out";

/// The settings of postgresql.conf that this crate needs for itself, each with the reason.
pub const RESERVED: &[(&str, &str)] = &[
    ("config_file", PLACE),
    ("data_directory", PLACE),
    ("external_pid_file", PLACE),
    ("hba_file", PLACE),
    ("hosts_file", PLACE),
    ("ident_file", PLACE),
    ("include", PLACE),
    ("include_dir", PLACE),
    ("include_if_exists", PLACE),
    ("lc_messages", LOG),
    ("listen_addresses", PLACE),
    ("log_checkpoints", LOG),
    ("log_connections", LOG),
    ("log_destination", LOG),
    ("log_directory", LOG),
    ("log_disconnections", LOG),
    ("log_duration", LOG),
    ("log_error_verbosity", LOG),
    ("log_file_mode", LOG),
    ("log_filename", LOG),
    ("log_line_prefix", LOG),
    ("log_min_duration_statement", LOG),
    ("log_min_error_statement", LOG),
    ("log_min_messages", LOG),
    ("log_statement", LOG),
    ("log_timezone", LOG),
    ("logging_collector", LOG),
    ("port", PLACE),
    ("unix_socket_directories", PLACE),
    ("unix_socket_group", PLACE),
    ("unix_socket_permissions", PLACE),
];

/// A configuration, complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Configuration {
    /// Settings of postgresql.conf, in order.
    pub conf: Vec<(String, String)>,
    /// Lines of pg_hba.conf.
    pub hba: Vec<String>,
    /// Lines of pg_ident.conf.
    pub ident: Vec<String>,
    /// Other files, by their path below the data directory.
    pub files: BTreeMap<String, File>,
    /// How it is put in force.
    pub by: ApplyMode,
}

/// A file with its permissions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct File {
    /// Its content.
    pub content: Vec<u8>,
    /// Its mode: `0o600`.
    pub mode: u32,
    /// Its owner.
    pub owner: Owner,
    /// Its group.
    pub group: Owner,
}

impl File {
    /// A file that only the database user can read: mode `0600`.
    #[must_use]
    pub fn of_database_user(content: impl Into<Vec<u8>>) -> Self {
        Self { content: content.into(), mode: 0o600, owner: Owner::DatabaseUser, group: Owner::DatabaseUser }
    }
}

/// What has to be done so that files are there in the place of those that were there before.
pub(crate) struct Changes<'f> {
    /// The files to remove.
    pub(crate) obsolete: Vec<&'f String>,
    /// The files to write: those that are not as they were.
    pub(crate) changed: BTreeMap<&'f String, &'f File>,
}

impl<'f> Changes<'f> {
    pub(crate) fn between(before: &'f BTreeMap<String, File>, files: &'f BTreeMap<String, File>) -> Self {
        Self {
            obsolete: before.keys().filter(|name| !files.contains_key(*name)).collect(),
            changed: files.iter().filter(|(name, file)| before.get(*name) != Some(file)).collect(),
        }
    }
}

/// What this crate adds to every configuration.
pub(crate) struct Surroundings<'a> {
    /// Settings of postgresql.conf: addresses, sockets.
    pub(crate) conf: &'a [(&'static str, String)],
    /// The line of pg_hba.conf for the superuser's session. It comes last, so that the other lines keep their numbers.
    pub(crate) hba: &'a str,
}

/// Each line has the process that wrote it, and the postmaster logs when a process begins and ends. Periodic messages,
/// such as those of checkpoints, are off.
const LOGGING: [(&str, &str); 7] = [
    ("logging_collector", "off"),
    ("log_line_prefix", "[%p] "),
    ("log_connections", "on"),
    ("log_checkpoints", "off"),
    ("log_min_messages", "debug2"),
    ("lc_messages", "C"),
    ("log_timezone", "UTC"),
];

/// Options of initdb for a small, short-lived data directory.
pub(crate) const INITDB: [&str; 5] =
    ["--username=postgres", "--no-sync", "--no-locale", "--encoding=UTF8", "--wal-segsize=1"];

/// Settings for a small server whose data need not survive a crash.
const SMALL: [(&str, &str); 9] = [
    // In the data directory, so that a killed server leaves nothing in /dev/shm.
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    ("shared_buffers", "4MB"),
    ("max_connections", "20"),
    ("max_wal_senders", "0"),
    // Its launcher is a process more to start, and to read each configuration.
    ("max_logical_replication_workers", "0"),
];

impl Configuration {
    /// The lines of postgresql.conf as an operator would write them.
    #[must_use]
    pub fn postgresql_conf(&self) -> String {
        lines(self.conf.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// All files to be written, by their path below the data directory.
    pub(crate) fn rendered(&self, around: &Surroundings<'_>) -> BTreeMap<String, File> {
        let own = around.conf.iter().map(|(key, value)| (*key, value.as_str()));
        let mut files = self.files.clone();
        let mut write = |name: &str, text: String| files.insert(name.to_owned(), File::of_database_user(text));
        write("postgresql.conf", lines(LOGGING.into_iter().chain(SMALL).chain(own)) + &self.postgresql_conf());
        write(
            "pg_hba.conf",
            self.hba.iter().map(String::as_str).chain([around.hba]).map(|line| format!("{line}\n")).collect(),
        );
        write("pg_ident.conf", self.ident.iter().map(|line| format!("{line}\n")).collect());
        files
    }
}

fn lines<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    settings.fold(String::new(), |mut text, (key, value)| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key} = '{}'", value.replace('\'', "''"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pg_hosts_names_a_certificate_a_key_and_perhaps_a_ca() {
        let text =
            "# a comment\n* server.crt server.key # and another\n\na.test,b.test a.crt a.key ca.crt 'echo x' on\n";
        let named: Vec<_> = files_of_hosts(text).collect();
        assert_eq!(named, ["server.crt", "server.key", "a.crt", "a.key", "ca.crt"]);
    }

    #[test]
    fn the_superusers_line_comes_last_so_that_the_other_lines_keep_their_numbers() {
        let configuration = Configuration { hba: vec!["hostssl all all all cert".into()], ..Configuration::default() };
        let around = Surroundings { conf: &[("port", "5432".into())], hba: "local all postgres trust" };
        let files = configuration.rendered(&around);
        assert_eq!(files["pg_hba.conf"].content, b"hostssl all all all cert\nlocal all postgres trust\n");
        let conf = String::from_utf8_lossy(&files["postgresql.conf"].content).into_owned();
        assert!(conf.ends_with("port = '5432'\n"), "{conf}");
    }
}
