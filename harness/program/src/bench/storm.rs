//! The reconnect storm: all connections of a fleet at once, as after a failover of the server or a restart of Kong.

use std::time::Instant;

use super::cpu::{self, ServerProcesses};
use super::error::BenchError;
use super::estimate::quantile;
use super::handshake::{in_plaintext, micros};
use super::modes::{Mode, STORM, Subject};
use super::pace::Watch;
use super::results::Storm;
use crate::client::Task;
use crate::run::Prepared;
use crate::session::Session;
use kong_pg_client::{Kong, Refusal};

/// How many connections are made at once. The last are more than the server accepts.
const SIZES: [usize; 3] = [10, 50, 150];

/// The SQLSTATE of a server that has no place left.
const TOO_MANY: &str = "53300";

/// Makes storms of several sizes, with TLS and without.
pub(super) async fn measure(
    session: &Session,
    modes: &[Mode],
    watch: &mut Watch<'_>,
) -> Result<Vec<Storm>, BenchError> {
    let Some(mode) = modes.iter().find(|mode| mode.scenario == STORM) else { return Ok(Vec::new()) };
    let Some(cell) = mode.cell(Subject::KONG) else { return Ok(Vec::new()) };
    let Prepared { mut lease, task, configuration, folder: _folder } = session.runner.prepare_client(cell).await?;
    let limit = configuration.conf.iter().find(|(key, _)| key == "max_connections");
    let max_connections = limit.and_then(|(_, value)| value.parse().ok()).unwrap_or_default();
    let mut processes = ServerProcesses::new(lease.server().container());
    let plain = in_plaintext(&task);
    let mut storms = Vec::new();
    for (place, connections) in SIZES.into_iter().enumerate() {
        for (transport, task) in [("TLS", &task), ("plaintext", &plain)] {
            watch.report(&format!("{connections} connections at once, {transport}"), place, SIZES.len())?;
            let refused = |refusal: Refusal| BenchError::refused(&mode.name, Subject::KONG, &refusal);
            let storm = storm(task, transport, connections, max_connections, &mut processes).await;
            storms.push(storm.map_err(refused)?);
        }
    }
    Ok(storms)
}

/// One storm: every connection is kept until all have ended one way or the other, as Kong's pools do.
async fn storm(
    task: &Task,
    transport: &str,
    connections: usize,
    max_connections: usize,
    processes: &mut ServerProcesses,
) -> Result<Storm, Refusal> {
    let kong = Kong::start(task.settings.clone(), (*task.profile).clone(), task.stack)?;
    // The process that starts the others is known by one of them.
    let first = kong.connect().await.result?;
    processes.backend(first.pid);
    first.close().await;
    let before = processes.postmaster();
    let begun = Instant::now();
    let attempts = (0..connections).map(|_| async {
        let attempt = kong.connect().await;
        (attempt.result, begun.elapsed())
    });
    let attempts = futures_util::future::join_all(attempts).await;
    let (mut open, mut times, mut refused) = (Vec::new(), Vec::new(), 0);
    for (result, time) in attempts {
        match result {
            Ok(connection) => {
                open.push(connection);
                times.push(micros(time));
            }
            Err(refusal) if refusal.sqlstate.as_deref() == Some(TOO_MANY) => refused += 1,
            Err(refusal) => return Err(refusal),
        }
    }
    let used: Option<std::time::Duration> =
        open.iter().map(|connection| cpu::of_process(processes.backend(connection.pid)?)).sum();
    let forked = processes.postmaster().zip(before).map(|(after, before)| after.saturating_sub(before));
    let last = times.iter().copied().fold(f64::NAN, f64::max);
    let logins = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
    let storm = Storm {
        transport: transport.to_owned(),
        connections,
        max_connections,
        refused,
        logins_per_second: logins / last * 1e6,
        p50: quantile(times.iter().copied(), 0.5),
        p99: quantile(times.iter().copied(), 0.99),
        server_cpu: used.zip(forked).map(|(used, forked)| micros(used + forked) / logins),
    };
    for connection in open {
        connection.close().await;
    }
    Ok(storm)
}
