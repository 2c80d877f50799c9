//! Cells as tests: each is one named test, and the servers are shared between them, under nextest as well.

mod broker;
mod client;
mod meeting;

use std::error::Error;
use std::future::{Future, pending};
use std::process::ExitCode;
use std::sync::Arc;

use indexmap::IndexMap;
use kong_pg_scenarios::plan::Cell;
use kong_pg_tls::judge::Verdict;
use kong_pg_tls::report::{Screen, write_cell};
use kong_pg_tls::run::in_order_for;
use kong_pg_tls::session::{Options, Session, SessionError};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

/// Finds the tests of a program.
type Collect = fn(&mut Tests) -> Result<(), Box<dyn Error>>;

/// Runs the tests that the command line asks for.
pub(crate) fn main(program: &str, collect: Collect) -> ExitCode {
    if let Some(order) = broker::Order::from_arguments() {
        return broker::serve(&order, collect);
    }
    let mut arguments = Arguments::from_args();
    // As many as a run works on at once: they wait half the time.
    arguments.test_threads.get_or_insert(Options::default().limits.jobs() as usize);
    if let Some(test) = client::NextestTest::from_environment(&arguments, program) {
        return test.run(&arguments);
    }
    let mut tests = Tests::new();
    if let Err(error) = collect(&mut tests) {
        eprintln!("{program} cannot run: {error}");
        return ExitCode::FAILURE;
    }
    let tests = Arc::new(tests);
    let conclusion = libtest_mimic::run(&arguments, trials(&tests));
    if let Some(tests) = Arc::into_inner(tests) {
        tests.close();
    }
    conclusion.exit_code()
}

/// The tests of a program, and what runs them.
pub(crate) struct Tests {
    runtime: Runtime,
    sessions: Vec<Arc<Session>>,
    by_name: IndexMap<String, Test>,
}

/// One of them.
enum Test {
    Cell(Box<Cell>, Arc<Session>),
    /// A placeholder for cells that cannot run here.
    Missing {
        why: String,
        is_failure: bool,
    },
}

/// How a test ended.
#[derive(Serialize, Deserialize)]
enum Outcome {
    Passed,
    /// A cell that was not run has not passed.
    NotRun {
        verdict: Verdict,
        reason: String,
    },
    Failed(String),
}

impl Tests {
    fn new() -> Self {
        let runtime = Runtime::new().expect("an async runtime");
        Self { runtime, sessions: Vec::new(), by_name: IndexMap::new() }
    }

    /// Adds the cells that are asked for.
    pub(crate) fn add(&mut self, options: &Options) -> Result<(), SessionError> {
        let mut options = options.clone();
        // As many servers as nextest runs tests.
        options.limits.jobs = std::env::var("NEXTEST_TEST_THREADS").ok().and_then(|threads| threads.parse().ok());
        let session = Arc::new(self.runtime.block_on(Session::open(&options))?);
        let cells = in_order_for(options.limits.jobs(), session.cells.clone());
        self.by_name
            .extend(cells.into_iter().map(|cell| (cell.id.to_string(), Test::Cell(cell.into(), session.clone()))));
        self.sessions.push(session);
        Ok(())
    }

    /// Adds a placeholder for cells that cannot run here: ignored, unless it is a failure.
    #[allow(dead_code, reason = "not every test program has cells that may be missing")]
    pub(crate) fn add_missing(&mut self, name: String, why: String, is_failure: bool) {
        self.by_name.insert(name, Test::Missing { why, is_failure });
    }

    /// Runs a test until it has ended or is cancelled.
    async fn outcome(&self, name: &str, cancelled: impl Future<Output = ()>) -> Outcome {
        match self.by_name.get(name) {
            Some(Test::Cell(cell, session)) => run(cell, session, cancelled).await,
            Some(Test::Missing { why, .. }) => Outcome::Failed(why.clone()),
            None => Outcome::Failed("there is no such test: the scenarios were changed since it was listed".into()),
        }
    }

    /// Stops the servers.
    fn close(self) {
        let Self { runtime, sessions, by_name } = self;
        drop(by_name);
        for session in sessions.into_iter().filter_map(Arc::into_inner) {
            runtime.block_on(session.close());
        }
    }
}

impl Test {
    fn is_ignored(&self) -> bool {
        match self {
            Self::Cell(cell, _) => cell.excluded().is_some(),
            Self::Missing { is_failure, .. } => !is_failure,
        }
    }
}

fn trials(tests: &Arc<Tests>) -> Vec<Trial> {
    for session in &tests.sessions {
        let runner = session.runner.clone();
        // Servers are stopped in order, also when the tests are interrupted.
        tests.runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                runner.pool().close().await;
                std::process::exit(130);
            }
        });
    }
    let trial = |(name, test): (&String, &Test)| {
        let (tests, own) = (tests.clone(), name.clone());
        let run = move || match tests.runtime.block_on(tests.outcome(&own, pending())) {
            Outcome::Passed => Ok(Completion::Completed),
            Outcome::NotRun { verdict, reason } => Ok(Completion::ignored_with(format!("{verdict}: {reason}"))),
            Outcome::Failed(text) => Err(Failed::from(text)),
        };
        Trial::ignorable_test(name, run).with_ignored_flag(test.is_ignored())
    };
    tests.by_name.iter().map(trial).collect()
}

async fn run(cell: &Cell, session: &Session, cancelled: impl Future<Output = ()>) -> Outcome {
    let run = session.run(vec![cell.clone()], Vec::new(), &mut [], cancelled).await;
    let Some(result) = run.cells.first() else { return Outcome::Failed("the cell has no result".into()) };
    match result.verdict {
        Verdict::Pass | Verdict::KnownDeviation => Outcome::Passed,
        verdict @ (Verdict::Unsupported | Verdict::Skipped | Verdict::Blocked) => {
            Outcome::NotRun { verdict, reason: result.reason.clone().unwrap_or_default() }
        }
        Verdict::Fail | Verdict::Timeout | Verdict::EnvironmentError => {
            let mut text = Vec::new();
            Outcome::Failed(match write_cell(&mut text, Screen::UNLIMITED, result) {
                Ok(()) => String::from_utf8_lossy(&text).into_owned(),
                Err(error) => error.to_string(),
            })
        }
    }
}
