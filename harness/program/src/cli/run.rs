//! `run`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{CellArgs, Exit, Failure};
use crate::judge::Verdict;
use crate::report::{Report, finish, reporters};
use crate::run::CellResult;
use crate::session::{Limits, Options, Session};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    cells: CellArgs,
    /// How many servers are used at once; by default as many as there are processors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// How long a cell may take.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// The folder for results.json and junit.xml.
    #[arg(long, value_name = "DIR", default_value = "target/kong-pg-tls/latest")]
    results: PathBuf,
}

pub(super) async fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let limits = Limits { jobs: args.jobs, cell: Duration::from_secs(args.timeout) };
    let options = Options { limits, ..args.cells.options() };
    // Found out before the run, not after it.
    writable(&args.results)?;
    let mut signals = Signals::listen()?;
    let session = Session::open(&options).await?;
    let mut reporters = reporters(&args.results);
    let report = session.run(session.cells.clone(), &mut reporters, signals.wait()).await;
    session.close().await;
    finish(&mut reporters, &report)?;
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    if report.interrupted {
        return Exit::Interrupted;
    }
    if !report.stale.is_empty() {
        return Exit::Failed;
    }
    exit_of(report.results.iter().map(CellResult::verdict), report.info.planned)
}

/// Success needs proof: a cell that was run to its end, and none that could not be.
fn exit_of(verdicts: impl Iterator<Item = Verdict>, planned: usize) -> Exit {
    let verdicts: Vec<_> = verdicts.collect();
    let any = |wanted: &[Verdict]| verdicts.iter().any(|verdict| wanted.contains(verdict));
    if any(&[Verdict::Fail, Verdict::Timeout]) {
        Exit::Failed
    } else if any(&[Verdict::EnvironmentError, Verdict::Blocked])
        || verdicts.len() < planned
        || !verdicts.iter().any(|verdict| verdict.is_proof())
    {
        Exit::Environment
    } else {
        Exit::Success
    }
}

fn writable(folder: &Path) -> Result<(), Failure> {
    let probe = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    probe.map(drop).map_err(|error| unwritable(folder, &error))
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    let path = folder.display();
    Failure::environment(format!("cannot write results to {path}: {error}; name another folder with --results"))
}

/// SIGINT (Ctrl-C) and SIGTERM.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::environment(format!("no signals: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::proved(&[Verdict::Pass, Verdict::Unsupported], Exit::Success)]
    #[case::the_documents_are_wrong(&[Verdict::KnownDeviation], Exit::Success)]
    #[case::nothing_proved(&[Verdict::Unsupported, Verdict::Unsupported], Exit::Environment)]
    #[case::nothing_run(&[], Exit::Environment)]
    #[case::blocked(&[Verdict::Pass, Verdict::Blocked], Exit::Environment)]
    #[case::failed_and_blocked(&[Verdict::Fail, Verdict::Blocked], Exit::Failed)]
    #[case::timeout(&[Verdict::Pass, Verdict::Timeout], Exit::Failed)]
    #[case::environment(&[Verdict::Pass, Verdict::EnvironmentError], Exit::Environment)]
    fn success_needs_proof(#[case] verdicts: &[Verdict], #[case] expected: Exit) {
        assert_eq!(exit_of(verdicts.iter().copied(), verdicts.len()), expected);
    }

    #[test]
    fn a_cell_without_a_result_is_no_success() {
        assert_eq!(exit_of([Verdict::Pass].into_iter(), 2), Exit::Environment);
    }
}
