//! The server's side of a check, as a superuser of it sees it. Everything is only read.

use std::error::Error;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

/// Nothing is written, and nothing takes long.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '5s'; \
    SET search_path = pg_catalog";

/// What is asked here is of no interest in the log.
const UNLOGGED: &str = "SET log_statement = 'none'; SET log_min_duration_statement = -1";

/// A rule of pg_hba.conf, in the words of a line of it.
const RULES: &str = "SELECT line_number, concat_ws(' ', type, \
    (SELECT string_agg(CASE WHEN word ~ '[\\s,]' THEN '\"' || word || '\"' ELSE word END, ',') FROM unnest(database) word), \
    (SELECT string_agg(CASE WHEN word ~ '[\\s,]' THEN '\"' || word || '\"' ELSE word END, ',') FROM unnest(user_name) word), \
    address, netmask, auth_method, array_to_string(options, ' ')), error";

/// The settings that a login over TLS depends on.
const SETTINGS: &str = "SELECT name, setting, sourcefile, sourceline, pending_restart FROM pg_settings \
    WHERE name IN ('ssl', 'listen_addresses', 'password_encryption') OR name LIKE 'ssl\\_%' ORDER BY name";

/// Why the server's side cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SuperuserError {
    /// The connection string is invalid.
    #[error("--as-superuser is no connection string: {0}; expected one like postgres://postgres@db/postgres")]
    Dsn(#[source] tokio_postgres::Error),
    /// OpenSSL cannot begin.
    #[error(transparent)]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// There is no connection.
    #[error("{}", with_cause(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// It takes too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

/// The server's words, which the library keeps behind its own.
fn with_cause(error: &tokio_postgres::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// How a superuser connects, from a connection string.
#[derive(Debug, Clone)]
pub(super) struct Dsn(Config);

impl Dsn {
    pub(super) fn read(text: &str) -> Result<Self, SuperuserError> {
        let mut config: Config = text.parse().map_err(SuperuserError::Dsn)?;
        if config.get_hosts().is_empty() {
            config.host("localhost");
        }
        if config.get_user().is_none() {
            config.user("postgres");
        }
        if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
            config.password(password);
        }
        config.application_name("kong-pg-tls check");
        Ok(Self(config))
    }

    /// Where it leads, without the password.
    pub(super) fn shown(&self) -> String {
        let host = match self.0.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(folder)) => folder.display().to_string(),
            None => String::new(),
        };
        let port = self.0.get_ports().first().copied().unwrap_or(5432);
        format!("{}@{host}:{port}", self.0.get_user().unwrap_or_default())
    }
}

/// A row, each value as text.
pub(super) type Row = Vec<Option<String>>;

/// A connection of a superuser.
pub(super) struct Superuser {
    client: Client,
    limit: Duration,
}

impl Superuser {
    /// Connects, in TLS if the server has it. Its certificate is not verified, as with sslmode=prefer.
    pub(super) async fn connect(dsn: &Dsn, limit: Duration) -> Result<Self, SuperuserError> {
        let mut tls = SslConnector::builder(SslMethod::tls_client())?;
        tls.set_verify(SslVerifyMode::NONE);
        let mut tls = MakeTlsConnector::new(tls.build());
        tls.set_callback(|configuration, _| {
            configuration.set_verify_hostname(false);
            Ok(())
        });
        let connecting = tokio::time::timeout(limit, dsn.0.connect(tls));
        let (client, connection) = connecting.await.map_err(|_| SuperuserError::Timeout(limit))??;
        // It ends with the client.
        tokio::spawn(connection);
        let superuser = Self { client, limit };
        superuser.rows(SESSION).await?;
        // Who may only read statistics may not do that.
        let _ = superuser.rows(UNLOGGED).await;
        Ok(superuser)
    }

    /// The rows of a query.
    pub(super) async fn rows(&self, query: &str) -> Result<Vec<Row>, SuperuserError> {
        let asked = tokio::time::timeout(self.limit, self.client.simple_query(query));
        let messages = asked.await.map_err(|_| SuperuserError::Timeout(self.limit))??;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first value of a query's answer.
    pub(super) async fn value(&self, query: &str) -> Result<Option<String>, SuperuserError> {
        Ok(self.rows(query).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// `180006`
    pub(super) async fn version_number(&self) -> Result<u32, SuperuserError> {
        let number = self.value("SHOW server_version_num").await?;
        Ok(number.and_then(|number| number.parse().ok()).unwrap_or_default())
    }

    /// The settings: name, value, file and line, and whether they wait for a restart.
    pub(super) async fn settings(&self) -> Result<Vec<Row>, SuperuserError> {
        self.rows(SETTINGS).await
    }

    /// The rules of pg_hba.conf: line number, line, error and file.
    pub(super) async fn rules(&self, version: u32) -> Result<Vec<Row>, SuperuserError> {
        let (file, order) = match version {
            160_000.. => ("file_name", "rule_number NULLS FIRST, line_number"),
            _ => ("current_setting('hba_file')", "line_number"),
        };
        self.rows(&format!("{RULES}, {file} FROM pg_hba_file_rules ORDER BY {order}")).await
    }

    /// What the server knows of the connection that a process of it serves: version, cipher, the client certificate's
    /// subject, the role and the client's address.
    pub(super) async fn session(&self, pid: i32) -> Result<Option<Row>, SuperuserError> {
        let query = format!(
            "SELECT ssl.version, ssl.cipher, ssl.client_dn, activity.usename, host(activity.client_addr) \
             FROM pg_stat_ssl ssl JOIN pg_stat_activity activity USING (pid) WHERE pid = {pid}"
        );
        Ok(self.rows(&query).await?.into_iter().next())
    }

    /// What the server knows of a role, in words; nothing, if there is none of that name.
    pub(super) async fn role(&self, name: &str) -> Result<Option<String>, SuperuserError> {
        let query = format!(
            "SELECT concat_ws(', ', CASE WHEN rolcanlogin THEN 'may log in' ELSE 'may not log in' END, \
             CASE WHEN rolpassword IS NULL THEN 'has no password' WHEN rolpassword LIKE 'SCRAM-SHA-256$%' \
             THEN 'has a password for SCRAM' ELSE 'has a password for md5' END, \
             CASE WHEN rolvaliduntil < now() THEN 'its password has expired' END) \
             FROM pg_authid WHERE rolname = {}",
            literal(name)
        );
        self.value(&query).await
    }

    /// The current log, and where it ends; nothing, if the server writes none to files of its own.
    pub(super) async fn log(&self) -> Result<Option<(String, u64)>, SuperuserError> {
        let path = "coalesce(pg_current_logfile('stderr'), pg_current_logfile())";
        let query = format!("SELECT {path}, (pg_stat_file({path}, true)).size WHERE {path} IS NOT NULL");
        let row = self.rows(&query).await?.into_iter().next();
        let known = row.and_then(|row| match &row[..] {
            [Some(path), Some(size)] => Some((path.clone(), size.parse().ok()?)),
            _ => None,
        });
        Ok(known)
    }

    /// The lines of a log from an offset on.
    pub(super) async fn lines(&self, (path, from): &(String, u64)) -> Result<Vec<String>, SuperuserError> {
        const LIMIT: u32 = 64 * 1024;
        // In bytes: a log may have lines in any encoding.
        let query = format!("SELECT encode(pg_read_binary_file({}, {from}, {LIMIT}), 'base64')", literal(path));
        let encoded: String = self.value(&query).await?.unwrap_or_default().split_whitespace().collect();
        let bytes = openssl::base64::decode_block(&encoded)?;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    let quoted = text.replace('\\', r"\\").replace('\'', "''");
    format!("E'{quoted}'")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("postgres://admin:secret@db:5433/x", "admin@db:5433")]
    #[case("host=/run/postgresql user=postgres password=secret", "postgres@/run/postgresql:5432")]
    #[case("dbname=kong", "postgres@localhost:5432")]
    fn a_password_is_never_shown(#[case] dsn: &str, #[case] shown: &str) {
        assert_eq!(Dsn::read(dsn).expect("a connection string").shown(), shown);
    }

    #[rstest]
    #[case("nonsense")]
    #[case("postgres://a:secret@db/x?sslmode=nonsense")]
    fn what_is_no_connection_string_is_refused_without_its_password(#[case] dsn: &str) {
        let error = Dsn::read(dsn).expect_err("an error").to_string();
        assert!(error.contains("no connection string") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_literal_ends_where_it_should() {
        assert_eq!(literal(r"a'b\c"), r"E'a''b\\c'");
    }
}
