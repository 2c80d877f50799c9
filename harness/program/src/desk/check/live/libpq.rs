//! libpq's view of the same settings, through psql.

use std::process::Stdio;

use kong_pg_client::{Trusted, combine};
use tokio::process::Command;

use super::Plan;

/// What psql says.
#[derive(Debug)]
pub struct Libpq {
    /// The sslmode that is nearest to Kong's settings.
    pub mode: &'static str,
    /// What it prints: the server's version, or its error.
    pub output: String,
}

/// Logs in through psql; `None` if there is no psql.
pub(super) async fn connect(plan: &Plan) -> Option<Libpq> {
    let settings = &plan.settings;
    let mode = match (settings.ssl, settings.ssl_verify, settings.ssl_required) {
        (false, ..) => "disable",
        // Kong does not compare names.
        (true, true, _) => "verify-ca",
        (true, false, true) => "require",
        (true, false, false) => "prefer",
    };
    let mut command = Command::new("psql");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command
        .args(["--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--command", "SHOW server_version"])
        .env("PGHOST", &settings.host)
        .env("PGPORT", settings.port.to_string())
        .env("PGUSER", &settings.user)
        .env("PGDATABASE", &settings.database)
        .env("PGSSLMODE", mode)
        .env("PGCONNECT_TIMEOUT", plan.limit.as_secs().max(2).to_string())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(password) = &settings.password {
        command.env("PGPASSWORD", password);
    }
    if let (Trusted::Combined(_), Ok(Some(trusted))) = (&settings.trusted, combine(settings)) {
        command.env("PGSSLROOTCERT", trusted);
    }
    if let (Some(certificate), Some(key)) = (&settings.ssl_cert, &settings.ssl_cert_key) {
        command.env("PGSSLCERT", certificate).env("PGSSLKEY", key);
    } else {
        // Not those in the home directory.
        command.env("PGSSLCERT", "/dev/null/none").env("PGSSLKEY", "/dev/null/none");
    }
    let output = match tokio::time::timeout(plan.limit.saturating_mul(2), command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            format!("connected to PostgreSQL {}", String::from_utf8_lossy(&output.stdout).trim())
        }
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Ok(Err(_)) => return None,
        Err(_) => format!("nothing within {} s", plan.limit.saturating_mul(2).as_secs_f32()),
    };
    Some(Libpq { mode, output })
}
