//! How much is measured, and the progress shown.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kong_pg_scenarios::vocabulary::ClientKind;

use super::error::BenchError;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long connections are measured at least, after [`Pace::rounds`].
    pub handshakes: Duration,
    /// How many rounds there are at least: their distance is the noise.
    pub rounds: usize,
    /// How many pairs of connections there are in a round for each mode and client.
    pub pairs: usize,
    /// How many pairs of queries there are for each size.
    pub queries: usize,
    /// How often each mode connects across each distance.
    pub crossings: usize,
    /// The clients that are measured where they can be used.
    pub clients: &'static [ClientKind],
}

impl Pace {
    /// Half a minute: Kong alone.
    pub const QUICK: Self = Self {
        handshakes: Duration::from_secs(5),
        rounds: 2,
        pairs: 3,
        queries: 20,
        crossings: 1,
        clients: &[ClientKind::Kong],
    };

    /// Less than three minutes: every client that is not a new process for each connection.
    pub const DEFAULT: Self = Self {
        handshakes: Duration::from_secs(36),
        rounds: 4,
        pairs: 5,
        queries: 100,
        crossings: 3,
        clients: &[ClientKind::Kong, ClientKind::Openresty, ClientKind::Libpq, ClientKind::Rustls],
    };
}

impl Pace {
    /// So many rounds, however long they take.
    #[must_use]
    pub fn rounds(self, rounds: usize) -> Self {
        Self { rounds, handshakes: Duration::ZERO, ..self }
    }

    /// For a few modes only.
    pub(super) fn shorter(self) -> Self {
        Self { handshakes: self.handshakes / 6, ..self }
    }
}

/// Observes a measurement, and can cancel it.
pub struct Watch<'a> {
    /// Receives what is being measured, how many parts of it are done, and how many there are.
    pub show: &'a mut dyn FnMut(&str, usize, usize),
    /// Set to cancel the measurement.
    pub cancelled: &'a AtomicBool,
}

impl Watch<'_> {
    /// Reports the next step, or fails if the measurement was cancelled.
    pub(super) fn report(&mut self, what: &str, done: usize, of: usize) -> Result<(), BenchError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(BenchError::Interrupted);
        }
        (self.show)(what, done, of);
        Ok(())
    }
}
