//! What is saved by a client in this process: the emulated Kong against libpq, in pairs.

use async_trait::async_trait;
use kong_pg_client::{Refusal, Stack, Stage};
use kong_pg_scenarios::vocabulary::ClientKind;

use super::cpu::ServerProcesses;
use super::error::BenchError;
use super::handshake::{compare, pairs_of};
use super::modes::{Mode, Subject};
use super::pace::{Pace, Watch};
use super::results::Versus;
use crate::client::{Client, Connection, Established, Repeater, Task, Tuning};
use crate::run::Prepared;
use crate::session::Session;

/// The modes that are compared.
const MODES: [&str; 3] = ["plaintext", "TLS 1.3, verified", "mTLS, cert"];

const LIBPQ: Subject = Subject { client: ClientKind::Libpq, stack: Stack::Cosocket };

/// Compares the two, where libpq is measured at all: with a psql that stays, and with one that is started for each
/// connection, as `run --client libpq` does.
pub(super) async fn measure(
    session: &Session,
    modes: &[Mode],
    pace: &Pace,
    watch: &mut Watch<'_>,
) -> Result<Vec<Versus>, BenchError> {
    let mut found = Vec::new();
    for (place, name) in MODES.into_iter().enumerate() {
        watch.report(&format!("against libpq: {name}"), place, MODES.len())?;
        let Some(mode) = modes.iter().find(|mode| mode.name == name) else { continue };
        let Some(cell) = mode.cell(LIBPQ) else { continue };
        let Prepared { mut lease, task, folder: _folder, .. } = session.runner.prepare_client(cell).await?;
        let clients = session.runner.clients();
        let (kong, libpq) = (clients.get(ClientKind::Kong)?, clients.get(ClientKind::Libpq)?);
        let mut kong = kong.repeater(&task, Tuning::default()).await?;
        let mut stays = libpq.repeater(&task, Tuning::default()).await?;
        let mut starts: Box<dyn Repeater + '_> = Box::new(Fresh { client: libpq, task, open: None });
        let mut processes = ServerProcesses::new(lease.server().container());
        for (other, libpq) in [("psql that stays", &mut stays), ("psql started each time", &mut starts)] {
            let mut rounds = Vec::new();
            for _ in 0..pace.rounds {
                let pairs = pairs_of(&mut *kong, &mut **libpq, &mut processes, pace.pairs).await;
                let refused = |refusal: Refusal| BenchError::refused(name, format_args!("kong or {other}"), &refusal);
                rounds.push(pairs.map_err(refused)?);
            }
            let pairs = rounds.iter().map(Vec::len).sum();
            let time = compare(&rounds, |sample| Some(sample.time));
            found.extend(time.map(|time| Versus { mode: name.into(), other: other.into(), pairs, time }));
        }
    }
    Ok(found)
}

/// A client that is a new process for each connection.
struct Fresh<'a> {
    client: &'a dyn Client,
    task: Task,
    open: Option<Connection>,
}

#[async_trait]
impl Repeater for Fresh<'_> {
    async fn connect(&mut self) -> Result<i32, Refusal> {
        let failed = |error: String| Refusal::raised(Stage::Connect, &error);
        let attempt = self.client.connect(&self.task).await.map_err(|error| failed(error.to_string()))?;
        match attempt.result? {
            Established::Open(connection) => Ok(self.open.insert(connection).pid),
            Established::Over => Err(failed("the connection is over".to_owned())),
        }
    }

    async fn disconnect(&mut self) -> bool {
        if let Some(connection) = self.open.take() {
            connection.open.close().await;
        }
        true
    }
}
