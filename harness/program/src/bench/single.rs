//! One mode after the other, for a harness that decides itself how often each is measured.

use std::time::Duration;

use tempfile::TempDir;

use super::cpu::ServerProcesses;
use super::error::BenchError;
use super::estimate::{Estimate, ratio};
use super::handshake::{in_plaintext, micros, sample};
use super::measure::{BenchRequest, Found, open, prove};
use super::modes::{Mode, STORM, Subject, modes, write};
use super::pace::Watch;
use crate::client::{Repeater, Tuning};
use crate::run::Prepared;
use crate::session::{CellRequest, Session};
use kong_pg_client::Refusal;

/// Servers, and what can be measured on them as Kong connects on a cosocket.
pub struct Bench {
    session: Session,
    modes: Vec<Mode>,
    _folder: TempDir,
}

impl Bench {
    /// Gets servers and clients ready. The server has to prove that each mode is what it is called.
    ///
    /// # Errors
    /// There is no server, or it does not.
    pub async fn open(request: &BenchRequest) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir().map_err(BenchError::io("make a folder for the modes"))?;
        write(folder.path()).map_err(BenchError::io("write the modes"))?;
        let Found { session, .. } = open(request, folder.path()).await?;
        let suite = CellRequest { scenarios: Some(folder.path().to_owned()), ..CellRequest::default() }.suite()?;
        let mut modes = modes(&session.cells, &suite);
        modes.retain(|mode| mode.excluded().is_none() && mode.scenario != STORM && !mode.tuning.direct);
        let mut bench = Self { session, modes, _folder: folder };
        let cancelled = false.into();
        let mut watch = Watch { show: &mut |_, _, _| {}, cancelled: &cancelled };
        match prove(&bench.session, &mut bench.modes, &mut watch).await {
            Ok(_) => Ok(bench),
            Err(error) => {
                bench.close().await;
                Err(error)
            }
        }
    }

    /// The names of the modes, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.modes.iter().map(|mode| mode.name.clone()).collect()
    }

    /// A mode, with the server configured for it. One at a time: it has the server for itself.
    ///
    /// # Errors
    /// The server or the client cannot get ready; or there is no such mode.
    pub async fn mode(&self, name: &str) -> Result<SingleMode, BenchError> {
        let mode = self.modes.iter().find(|mode| mode.name == name);
        let cell = mode.and_then(|mode| Some((mode, mode.cell(Subject::KONG)?)));
        let (mode, cell) = cell.ok_or_else(|| BenchError::NoMode(name.to_owned()))?;
        let mut prepared = self.session.runner.prepare_client(cell).await?;
        let client = self.session.runner.clients().get(cell.client)?;
        let measured = client.repeater(&prepared.task, mode.tuning).await?;
        let plaintext = client.repeater(&in_plaintext(&prepared.task), Tuning::default()).await?;
        let server = ServerProcesses::new(prepared.lease.server().container());
        let name = mode.name.clone();
        Ok(SingleMode { name, measured, plaintext, server, pairs: Vec::new(), _prepared: prepared })
    }

    /// Stops the servers.
    pub async fn close(self) {
        self.session.close().await;
    }
}

/// A mode that is being measured.
pub struct SingleMode {
    name: String,
    measured: Box<dyn Repeater>,
    plaintext: Box<dyn Repeater>,
    server: ServerProcesses,
    /// The times in the mode and in plaintext, in microseconds.
    pairs: Vec<(f64, f64)>,
    _prepared: Prepared,
}

impl SingleMode {
    /// Connects some times, each followed by a connection in plaintext. Returns the sum of the former's times.
    ///
    /// # Errors
    /// A connection is refused.
    pub async fn connect(&mut self, count: u64) -> Result<Duration, BenchError> {
        let mut sum = Duration::ZERO;
        for _ in 0..count {
            let measured =
                sample(&mut *self.measured, &mut self.server).await.map_err(|refusal| self.refused(&refusal))?;
            let plaintext =
                sample(&mut *self.plaintext, &mut self.server).await.map_err(|refusal| self.refused(&refusal))?;
            self.pairs.push((micros(measured.time), micros(plaintext.time)));
            sum += measured.time;
        }
        Ok(sum)
    }

    /// The mode's time over that of plaintext; nothing before there is one.
    #[must_use]
    pub fn ratio(&self) -> Option<Estimate> {
        (!self.pairs.is_empty()).then(|| ratio(&self.pairs))
    }

    fn refused(&self, refusal: &Refusal) -> BenchError {
        BenchError::refused(&self.name, Subject::KONG, refusal)
    }
}
