//! What TLS costs once a connection is open: the same queries over an encrypted connection and over one that is not.

use std::time::Instant;

use super::cpu::{self, ServerProcesses};
use super::error::BenchError;
use super::handshake::{PAUSE, Sample, compare, in_plaintext};
use super::modes::{Mode, Subject};
use super::pace::{Pace, Watch};
use super::results::Traffic;
use crate::client::Task;
use crate::run::Prepared;
use crate::session::Session;
use kong_pg_client::{Connection, Kong, Refusal};

/// How many bytes the answers have: an entity, a page of entities, all of them.
const SIZES: [u64; 3] = [100, 10_000, 1_000_000];

/// The mode whose connections are measured.
const MODE: &str = "TLS 1.3, verified";

/// Measures queries of all sizes.
pub(super) async fn measure(
    session: &Session,
    modes: &[Mode],
    pace: &Pace,
    watch: &mut Watch<'_>,
) -> Result<Vec<Traffic>, BenchError> {
    let mode = modes.iter().find(|mode| mode.name == MODE);
    let Some(cell) = mode.and_then(|mode| mode.cell(Subject::KONG)) else { return Ok(Vec::new()) };
    let Prepared { mut lease, task, folder: _folder, .. } = session.runner.prepare_client(cell).await?;
    let refused = |refusal: Refusal| BenchError::refused(MODE, Subject::KONG, &refusal);
    let (mut encrypted, mut plain) =
        (open(&task).await.map_err(refused)?, open(&in_plaintext(&task)).await.map_err(refused)?);
    let mut processes = ServerProcesses::new(lease.server().container());
    let backends = (processes.backend(encrypted.pid), processes.backend(plain.pid));
    let mut traffic = Vec::new();
    for (place, bytes) in SIZES.into_iter().enumerate() {
        watch.report(&format!("queries of {bytes} bytes"), place, SIZES.len())?;
        let mut rounds = Vec::new();
        // The first is not counted.
        for number in 0..=pace.rounds {
            let mut pairs = Vec::new();
            for _ in 0..pace.queries / pace.rounds {
                let first = query(&mut encrypted, backends.0, bytes).await.map_err(refused)?;
                pairs.push((first, query(&mut plain, backends.1, bytes).await.map_err(refused)?));
            }
            if number > 0 {
                rounds.push(pairs);
            }
        }
        let pairs = rounds.iter().map(Vec::len).sum();
        let time = compare(&rounds, |sample| Some(sample.time));
        let client_cpu = compare(&rounds, |sample| Some(sample.client_cpu));
        let server_cpu = compare(&rounds, |sample| sample.server_cpu);
        traffic.extend(time.map(|time| Traffic { bytes, pairs, time, client_cpu, server_cpu }));
    }
    encrypted.close().await;
    plain.close().await;
    Ok(traffic)
}

async fn open(task: &Task) -> Result<Connection, Refusal> {
    let kong = Kong::start(task.settings.clone(), (*task.profile).clone(), task.stack)?;
    kong.connect().await.result
}

async fn query(connection: &mut Connection, backend: Option<i32>, bytes: u64) -> Result<Sample, Refusal> {
    let question = format!("SELECT repeat('x', {bytes})");
    let used = || backend.and_then(cpu::of_process);
    let (server, own) = (used(), cpu::of_this_thread());
    let begun = Instant::now();
    connection.ask(&question).await?;
    let (time, client_cpu) = (begun.elapsed(), cpu::of_this_thread().saturating_sub(own));
    tokio::time::sleep(PAUSE).await;
    let server_cpu = used().zip(server).map(|(after, before)| after.saturating_sub(before));
    Ok(Sample { time, client_cpu, server_cpu })
}
