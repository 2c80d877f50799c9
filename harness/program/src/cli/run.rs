//! `run`

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indexmap::IndexSet;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;

use super::{CellArgs, Exit, Failure};
use crate::judge::Verdict;
use crate::report::{
    Live, Report, write_agreement, write_details, write_junit, write_known_deviations, write_matrix, write_remarks,
    write_results,
};
use crate::run::{CellResult, Event};
use crate::session::{Options, Session};
use crate::vocabulary::ClientKind;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    cells: CellArgs,
    /// How many servers to use at once; as many as there are processors by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// When to give up on a cell.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Where results.json and junit.xml are written.
    #[arg(long, value_name = "DIR", default_value = "target/kong-pg-tls/latest")]
    results: PathBuf,
}

pub(super) async fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let limit = Duration::from_secs(args.timeout);
    let options = Options { jobs: args.jobs, limit, ..args.cells.options() };
    // Better to know before the run than after it.
    writable(&args.results)?;
    let mut interrupted = Interrupted::listen()?;
    let session = Session::open(&options).await?;
    let live = Live::default();
    live.note(&introduction(&session));
    let (report, stopped) = drive(&session, options.jobs(), live, &mut interrupted).await;
    session.close().await;
    show(&report).map_err(|error| Failure::environment(format!("cannot show the results: {error}")))?;
    let written = write_results(&args.results, &report).and_then(|()| write_junit(&args.results, &report));
    written.map_err(|error| unwritable(&args.results, &error))?;
    let file = args.results.join("results.json");
    println!("{} in {:.1} s: {}", report.tally(), report.duration.as_secs_f64(), file.display());
    Ok(if stopped { Exit::Interrupted } else { exit(&report) })
}

/// What is going to be run, where, and why there.
fn introduction(session: &Session) -> String {
    let runtime = session.runner.pool().runtime();
    let used = |major| session.cells.iter().any(|cell| cell.major == major);
    let servers: Vec<_> = runtime
        .offers()
        .into_iter()
        .filter(|offer| used(offer.major))
        .map(|offer| format!("{} ({})", offer.major, offer.source))
        .collect();
    let kongs: IndexSet<_> = session.cells.iter().map(|cell| cell.profile.to_string()).collect();
    let kongs: Vec<_> = kongs.into_iter().collect();
    let (cells, kind, why) = (session.cells.len(), runtime.kind(), &session.why);
    let plural = if cells == 1 { "" } else { "s" };
    let clients = session.runner.clients().about();
    let witnesses = clients.iter().filter(|(client, _)| **client != ClientKind::Kong);
    let witnesses: String = witnesses.map(|(client, about)| format!("\n{client}: {about}")).collect();
    let (servers, kongs) = (servers.join(", "), kongs.join(", "));
    format!("{cells} cell{plural}; {kind}, {why}; PostgreSQL {servers}; Kong {kongs}{witnesses}")
}

/// Runs the cells until they are done, or until somebody interrupts.
async fn drive(session: &Session, jobs: u32, mut live: Live, interrupted: &mut Interrupted) -> (Report, bool) {
    let begun = Instant::now();
    let (sender, mut events) = unbounded_channel();
    let mut running = std::pin::pin!(session.runner.run(session.cells.clone(), jobs, sender));
    let mut results = Vec::new();
    let mut done = false;
    let mut stopped = false;
    let mut take = |event: Event, results: &mut Vec<_>| {
        live.event(&event);
        if let Event::CellFinished(result) = event {
            results.push(*result);
        }
    };
    while !done && !stopped {
        tokio::select! {
            () = &mut running => done = true,
            Some(event) = events.recv() => take(event, &mut results),
            () = interrupted.wait() => stopped = true,
        }
    }
    while let Ok(event) = events.try_recv() {
        take(event, &mut results);
    }
    live.clear();
    if stopped {
        eprintln!("interrupted; stopping the servers");
    }
    let order: HashMap<_, _> = session.cells.iter().enumerate().map(|(place, cell)| (&cell.id, place)).collect();
    results.sort_by_key(|result: &CellResult| order.get(&result.cell.id));
    let stale = session.stale(&results);
    let (planned, clients) = (session.cells.len(), session.runner.clients().about());
    (Report { results, planned, clients, duration: begun.elapsed(), stale }, stopped)
}

fn show(report: &Report) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    write_matrix(&mut out, report)?;
    write_known_deviations(&mut out, report)?;
    write_agreement(&mut out, report)?;
    write_remarks(&mut out, report)?;
    let bad = report.results.iter().filter(|result| !result.verdict.is_good());
    bad.take(SHOWN).try_for_each(|result| write_details(&mut out, result))?;
    let hidden = report.results.iter().filter(|result| !result.verdict.is_good()).count().saturating_sub(SHOWN);
    if hidden > 0 {
        println!("... and {hidden} more, all in junit.xml and results.json\n");
    }
    Ok(())
}

/// How many cells are shown in full; nobody reads more.
const SHOWN: usize = 20;

fn exit(report: &Report) -> Exit {
    if report.count(Verdict::Fail) + report.count(Verdict::Timeout) + report.stale.len() > 0 {
        Exit::Failed
    } else if report.count(Verdict::EnvironmentError) > 0 || report.results.len() < report.planned {
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

/// Ctrl-C, or being asked to end.
struct Interrupted {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupted {
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
