//! The superuser's session with a server: it reloads the configuration, and asks what the server knows of a connection.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::error::{RuntimeError, within};
use crate::proof::TlsProof;

/// How long a query may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Awaits the answer to a query. If the server reports an error, the error has its message.
async fn limited<T>(
    action: &'static str,
    query: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, RuntimeError> {
    within(LIMIT, action, query).await?.map_err(|error| match error.as_db_error() {
        Some(reported) => RuntimeError::failed(action, reported.clone()),
        None => RuntimeError::failed(action, error),
    })
}

/// Runs a query, and returns its rows, whose values are texts.
async fn rows(control: &Client, action: &'static str, query: &str) -> Result<Vec<SimpleQueryRow>, RuntimeError> {
    let messages = limited(action, control.simple_query(query)).await?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
    Ok(messages.into_iter().filter_map(row).collect())
}

async fn value(control: &Client, action: &'static str, query: &str) -> Result<Option<String>, RuntimeError> {
    let rows = rows(control, action, query).await?;
    Ok(rows.first().and_then(|row| row.get(0)).map(str::to_owned))
}

/// Begins a session, and returns the process that serves it. What [`proof`] asks for nearly every connection is planned once.
pub(crate) async fn begin(control: &Client) -> Result<i32, RuntimeError> {
    let action = "begin the superuser's session";
    let query = "
        PREPARE proof (int) AS SELECT ssl, version, cipher, client_dn FROM pg_stat_ssl WHERE pid = $1;
        SELECT pg_backend_pid()";
    let pid = value(control, action, query).await?.unwrap_or_default();
    pid.parse().map_err(RuntimeError::failing(action))
}

/// Runs statements, each by itself: CREATE DATABASE cannot be in a transaction with others.
pub(crate) async fn prepare(control: &Client, statements: &[String]) -> Result<(), RuntimeError> {
    for statement in statements {
        limited("prepare the database", control.batch_execute(statement)).await?;
    }
    Ok(())
}

/// The server's full version: `15.18`.
pub(crate) async fn version(control: &Client) -> Result<String, RuntimeError> {
    let version = value(control, "query the version", "SHOW server_version").await?.unwrap_or_default();
    // Debian's packages add theirs: `15.18 (Debian 15.18-0+deb12u1)`.
    Ok(version.split(' ').next().unwrap_or_default().to_owned())
}

/// The version of the OpenSSL that the server is linked with: `3.0.19`. PostgreSQL does not report it, so it is read
/// from the library that the server's process has mapped. `None` where there is no `/proc`, or no OpenSSL.
pub(crate) async fn openssl(control: &Client) -> Result<Option<String>, RuntimeError> {
    let query = r#"
        CREATE TEMPORARY TABLE openssl (line text);
        COPY openssl FROM PROGRAM $$ l=$(sed -n 's|.* \(/.*libcrypto[^ ]*\)$|\1|p' /proc/$PPID/maps | head -n 1); test -z "$l" || tr -c '[:print:]' '\n' < "$l" | grep '^OpenSSL [0-9].* 20[0-9][0-9]$' | head -n 1 $$;
        SELECT line FROM openssl;
        DROP TABLE openssl"#;
    let line = value(control, "query OpenSSL's version", query).await?;
    Ok(line.and_then(|line| line.split_whitespace().nth(1).map(str::to_owned)))
}

/// Whether the server was built with a TLS library, which it then names.
pub(crate) async fn has_tls(control: &Client) -> Result<bool, RuntimeError> {
    Ok(value(control, "query the TLS library", "SHOW ssl_library").await?.is_some_and(|library| !library.is_empty()))
}

/// Asks the postmaster to read its configuration again.
pub(crate) async fn reload(control: &Client) -> Result<(), RuntimeError> {
    limited("reload the configuration", control.simple_query("SELECT pg_reload_conf()")).await.map(drop)
}

/// What `pg_stat_ssl` shows of the connection that a process serves; `None` if it serves none.
pub(crate) async fn proof(control: &Client, pid: i32) -> Result<Option<TlsProof>, RuntimeError> {
    let rows = rows(control, "query pg_stat_ssl", &format!("EXECUTE proof ({pid})")).await?;
    Ok(rows.first().map(|row| {
        let text = |column: usize| row.get(column).filter(|text| !text.is_empty()).map(str::to_owned);
        match row.get(0) {
            Some("t") => TlsProof { version: text(1), cipher: text(2), client_dn: text(3) },
            _ => TlsProof::default(),
        }
    }))
}

/// Runs a query, and returns the first value of the first row as text; an empty text if there is none.
pub(crate) async fn answer(control: &Client, query: &str) -> Result<String, RuntimeError> {
    Ok(value(control, "run a query", query).await?.unwrap_or_default())
}
