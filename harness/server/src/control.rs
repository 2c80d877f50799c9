//! The harness' own session with a server: it asks what a connection really is, and puts configurations in force.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::config::GENERATION;
use super::runtime::RuntimeError;

/// How long an answer of a server may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What `pg_stat_ssl` shows of a connection: the server's word for what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsProof {
    /// `TLSv1.3`; `None` for a connection without TLS.
    pub version: Option<String>,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The subject of the client certificate.
    pub client_dn: Option<String>,
}

async fn limited<T>(
    doing: &str,
    asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, RuntimeError> {
    let answered = tokio::time::timeout(LIMIT, asking).await.map_err(|_| RuntimeError::timeout(doing, LIMIT))?;
    answered.map_err(|error| {
        let server = error.as_db_error().map(ToString::to_string);
        RuntimeError::failed(doing, server.unwrap_or_else(|| error.to_string()))
    })
}

/// Runs what its user wants of a new server, each a statement of its own.
pub(super) async fn prepare(control: &Client, statements: &[String]) -> Result<(), RuntimeError> {
    for statement in statements {
        limited("prepare the database", control.batch_execute(statement)).await?;
    }
    Ok(())
}

/// The server's full version: `15.18`.
pub(super) async fn version(control: &Client) -> Result<String, RuntimeError> {
    let row = limited("ask for the version", control.query_one("SHOW server_version", &[])).await?;
    let version: String = row.get(0);
    // Debian's packages say more: `15.18 (Debian 15.18-0+deb12u1)`.
    Ok(version.split(' ').next().unwrap_or_default().to_owned())
}

/// The OpenSSL the server is linked with. PostgreSQL does not tell, so its process is asked which library it has
/// mapped, and the library for the version written in it.
pub(super) async fn openssl(control: &Client) -> Result<Option<String>, RuntimeError> {
    let ask = r#"
        CREATE TEMPORARY TABLE openssl (line text);
        COPY openssl FROM PROGRAM $$ l=$(sed -n 's|.* \(/.*libcrypto[^ ]*\)$|\1|p' /proc/$PPID/maps | head -n 1); test -z "$l" || tr -c '[:print:]' '\n' < "$l" | grep '^OpenSSL [0-9].* 20[0-9][0-9]$' | head -n 1 $$;"#;
    limited("ask for OpenSSL's version", control.batch_execute(ask)).await?;
    let rows = limited("ask for OpenSSL's version", control.query("SELECT line FROM openssl", &[])).await?;
    limited("tidy up", control.batch_execute("DROP TABLE openssl")).await?;
    let line: Option<String> = rows.first().map(|row| row.get(0));
    Ok(line.and_then(|line| line.split_whitespace().nth(1).map(str::to_owned)))
}

/// Has the server read its configuration again, and waits until the postmaster has begun to: it tells its children
/// only then, and accepts no connection before it is done.
pub(super) async fn reload(control: &Client, generation: u64) -> Result<(), RuntimeError> {
    let doing = "put a configuration in force";
    limited(doing, control.execute("SELECT pg_reload_conf()", &[])).await?;
    let show = format!("SELECT current_setting('{GENERATION}', true)");
    let waiting = async {
        loop {
            let row = limited(doing, control.query_one(&show, &[])).await?;
            if row.get::<_, Option<String>>(0) == Some(generation.to_string()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.map_err(|_| RuntimeError::timeout(doing, LIMIT))?
}

/// What the server knows of the connection that a process serves.
pub(super) async fn proof(control: &Client, pid: i32) -> Result<Option<TlsProof>, RuntimeError> {
    let ask = "SELECT ssl, version, cipher, client_dn FROM pg_stat_ssl WHERE pid = $1";
    let row = limited("ask pg_stat_ssl", control.query_opt(ask, &[&pid])).await?;
    Ok(row.map(|row| {
        let text = |column: usize| row.get::<_, Option<String>>(column).filter(|text| !text.is_empty());
        match row.get::<_, Option<bool>>(0) {
            Some(true) => TlsProof { version: text(1), cipher: text(2), client_dn: text(3) },
            _ => TlsProof::default(),
        }
    }))
}

/// The server's answer to a question: the first value of the first row, as text.
pub(super) async fn answer(control: &Client, question: &str) -> Result<String, RuntimeError> {
    let messages = limited("ask the server a question", control.simple_query(question)).await?;
    let answer = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(answer.unwrap_or_default().to_owned())
}
