//! The settings of both sides that go with certificates.

use std::path::PathBuf;

use super::names::User;

/// The certificates where they are, and who they are for.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The server's certificate with its intermediates.
    pub server_certificate: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// What the server trusts.
    pub server_trusts: PathBuf,
    /// Kong's certificate with its intermediates.
    pub client_certificate: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
    /// What Kong trusts.
    pub client_trusts: PathBuf,
    /// How many intermediates there are between the server's certificate and what Kong trusts.
    pub intermediates: usize,
    /// The server's host.
    pub host: String,
    /// The user.
    pub user: User,
}

impl Installed {
    /// postgresql.conf.
    #[must_use]
    pub fn postgresql_conf(&self) -> String {
        let file =
            |key: &str, path: &PathBuf| format!("{key} = '{}'\n", path.display().to_string().replace('\'', "''"));
        let files = [
            ("ssl_cert_file", &self.server_certificate),
            ("ssl_key_file", &self.server_key),
            ("ssl_ca_file", &self.server_trusts),
        ];
        files.iter().fold("ssl = on\n".to_owned(), |text, (key, path)| text + &file(key, path))
    }

    /// pg_hba.conf.
    #[must_use]
    pub fn pg_hba_conf(&self) -> String {
        format!("hostssl kong {} all cert\n", self.user.quoted())
    }

    /// SQL for a user and a database.
    #[must_use]
    pub fn sql(&self) -> String {
        let user = self.user.quoted();
        format!("CREATE ROLE {user} LOGIN;\nCREATE DATABASE kong OWNER {user};\n")
    }

    /// kong.conf.
    #[must_use]
    pub fn kong_conf(&self) -> String {
        // Kong takes a `#` for the beginning of a comment.
        let path = |path: &PathBuf| path.display().to_string().replace('#', "\\#");
        let settings = [
            ("pg_host", self.host.clone()),
            ("pg_user", self.user.as_str().to_owned()),
            ("pg_database", "kong".to_owned()),
            ("pg_ssl", "on".to_owned()),
            ("pg_ssl_required", "on".to_owned()),
            ("pg_ssl_verify", "on".to_owned()),
            ("lua_ssl_trusted_certificate", path(&self.client_trusts)),
            ("lua_ssl_verify_depth", self.intermediates.max(1).to_string()),
            ("pg_ssl_cert", path(&self.client_certificate)),
            ("pg_ssl_cert_key", path(&self.client_key)),
        ];
        settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }
}
