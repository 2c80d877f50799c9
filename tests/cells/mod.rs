//! Cells as tests: each is one named test, and the servers are shared between them.

use std::sync::Arc;

use kong_pg_tls::judge::Verdict;
use kong_pg_tls::plan::Cell;
use kong_pg_tls::report::write_details;
use kong_pg_tls::run::Runner;
use kong_pg_tls::session::{Options, Session, SessionError};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;

/// What runs the cells of a test program.
pub(crate) struct Cells {
    runtime: Arc<Runtime>,
    sessions: Vec<Session>,
}

impl Cells {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { runtime: Arc::new(Runtime::new().expect("a runtime for what waits")), sessions: Vec::new() }
    }

    /// The cells that are asked for, as tests.
    pub(crate) fn trials(&mut self, options: &Options) -> Result<Vec<Trial>, SessionError> {
        let session = self.runtime.block_on(Session::open(options))?;
        let trials = session.cells.iter().map(|cell| trial(cell, &session.runner, &self.runtime)).collect();
        let runner = session.runner.clone();
        // Servers are stopped in order, also when somebody interrupts.
        self.runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                runner.pool().close().await;
                std::process::exit(130);
            }
        });
        self.sessions.push(session);
        Ok(trials)
    }

    /// Stops the servers.
    pub(crate) fn close(self) {
        for session in self.sessions {
            self.runtime.block_on(session.close());
        }
    }
}

fn trial(cell: &Cell, runner: &Arc<Runner>, runtime: &Arc<Runtime>) -> Trial {
    let (runner, runtime, running) = (runner.clone(), runtime.clone(), cell.clone());
    let test = move || {
        let result = runtime.block_on(runner.run_cell(running));
        match result.verdict {
            Verdict::Pass | Verdict::KnownDeviation => Ok(()),
            Verdict::Unsupported => {
                eprintln!("unsupported: {}: {}", result.cell.id, result.reason.unwrap_or_default());
                Ok(())
            }
            _ => {
                let mut told = Vec::new();
                write_details(&mut told, &result).map_err(Failed::from)?;
                Err(Failed::from(String::from_utf8_lossy(&told).into_owned()))
            }
        }
    };
    // A cell without a meaning on this major shows as ignored, not as passed.
    Trial::test(cell.id.clone(), test).with_ignored_flag(cell.excluded().is_some())
}
