//! Cells as tests: each is one named test, and the servers are shared between them.

use std::future::pending;
use std::sync::Arc;

use kong_pg_tls::judge::Verdict;
use kong_pg_tls::plan::Cell;
use kong_pg_tls::report::{Screen, write_cell};
use kong_pg_tls::session::{Options, Session, SessionError};
use libtest_mimic::{Completion, Failed, Trial};
use tokio::runtime::Runtime;

/// What runs the cells of a test program.
pub(crate) struct Cells {
    runtime: Arc<Runtime>,
    sessions: Vec<Arc<Session>>,
}

impl Cells {
    /// No cells yet.
    pub(crate) fn new() -> Self {
        Self { runtime: Arc::new(Runtime::new().expect("an async runtime")), sessions: Vec::new() }
    }

    /// The cells that are asked for, as tests.
    pub(crate) fn trials(&mut self, options: &Options) -> Result<Vec<Trial>, SessionError> {
        let session = Arc::new(self.runtime.block_on(Session::open(options))?);
        let trials = session.cells.iter().map(|cell| trial(cell, &session, &self.runtime)).collect();
        let runner = session.runner.clone();
        // Servers are stopped in order, also when the tests are interrupted.
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
        for session in self.sessions.into_iter().filter_map(Arc::into_inner) {
            self.runtime.block_on(session.close());
        }
    }
}

fn trial(cell: &Cell, session: &Arc<Session>, runtime: &Arc<Runtime>) -> Trial {
    let (session, runtime, running) = (session.clone(), runtime.clone(), cell.clone());
    let test = move || {
        let run = runtime.block_on(session.run(vec![running], Vec::new(), &mut [], pending()));
        let result = run.cells.first().ok_or("the cell has no result")?;
        let reason = result.reason.as_deref().unwrap_or_default();
        match result.verdict {
            Verdict::Pass | Verdict::KnownDeviation => Ok(Completion::Completed),
            // A cell that was not run has not passed.
            verdict @ (Verdict::Unsupported | Verdict::Skipped | Verdict::Blocked) => {
                Ok(Completion::ignored_with(format!("{verdict}: {reason}")))
            }
            Verdict::Fail | Verdict::Timeout | Verdict::EnvironmentError => {
                let mut text = Vec::new();
                write_cell(&mut text, Screen::UNLIMITED, result).map_err(Failed::from)?;
                Err(Failed::from(String::from_utf8_lossy(&text).into_owned()))
            }
        }
    };
    Trial::ignorable_test(cell.id.clone(), test).with_ignored_flag(cell.excluded().is_some())
}
