//! How near the suite is to what PostgreSQL itself needs: the logins per second that its cells make, against bare logins of
//! the same kinds, on local servers and in containers; and cells per second, against a server that is restarted for each
//! case, and a container for each case; all in one run. `cargo bench --bench suite` measures the whole suite, `-- GLOB...`
//! the cells that match.

use std::collections::HashMap;
use std::error::Error;
use std::future::{Future, pending};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use kong_pg_client::Kong;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::Change;
use kong_pg_tls::client::Task;
use kong_pg_tls::run::Prepared;
use kong_pg_tls::runfolder;
use kong_pg_tls::session::{CellRequest, Options, RuntimeChoice, RuntimeRequest, Session};
use postgres_tls_server::{ApplyMode, Configuration, Major};
use tokio::task::JoinSet;

/// Says that this is the second of two processes.
const AGAIN: &str = "--again";
/// How often the suite and the logins are measured.
const TURNS: usize = 2;
/// One cell of so many is in the sample that is logged in with.
const SAMPLED: usize = 50;
/// How often each cell of the sample logs in.
const LOGINS: usize = 80;
/// How many cells get a restarted server, and a container.
const STARTED: usize = 24;
/// A cell that takes longer waits for a limit of Kong's, and the server has nothing to do.
const WAITING: Duration = Duration::from_secs(1);

type Measured<T> = Result<T, Box<dyn Error>>;

/// How many there were of something in some time.
#[derive(Default)]
struct Rate {
    count: usize,
    time: Duration,
}

impl Rate {
    fn add(&mut self, count: usize, time: Duration) {
        self.count += count;
        self.time += time;
    }

    fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.count).unwrap_or(u32::MAX)) / self.time.as_secs_f64()
    }
}

/// How fast the suite is.
#[derive(Default)]
struct Speed {
    cells: Rate,
    /// The logins that these make. A step that Kong has to connect in is one, whatever becomes of it.
    logins: Rate,
}

/// What the measurements of one runtime are made of.
struct Figures {
    session: Session,
    suite: Speed,
    /// Bare logins, as some of the cells make them.
    bare: Rate,
    /// Those cells.
    sample: Vec<Cell>,
}

fn main() -> Measured<()> {
    if !std::env::args().any(|argument| argument == AGAIN) {
        return with_an_empty_cache();
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(compare())
}

/// Runs this program again with an empty folder to keep keys and data directories in, as `ci/conformance` has one.
fn with_an_empty_cache() -> Measured<()> {
    let cache = tempfile::tempdir()?;
    let mut again = Command::new(std::env::current_exe()?);
    let status = again.args(std::env::args_os().skip(1)).arg(AGAIN).env(runfolder::CACHE, cache.path()).status()?;
    if status.success() { Ok(()) } else { Err(format!("the measurement ended with {status}").into()) }
}

async fn compare() -> Measured<()> {
    let globs: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let jobs = Options::default().limits.jobs() as usize;

    let session = open(RuntimeChoice::Local, &globs).await?;
    let mut first = Speed::default();
    run(&session, &mut first).await;
    session.close().await;
    let local = measure(RuntimeChoice::Local, &globs, jobs).await?;
    let started: Vec<_> = local.sample.iter().take(STARTED).cloned().collect();
    eprintln!("restarting a server for each of {}", started.len());
    let restarted = each(&started, jobs, |cell| on_a_restarted_server(&local.session, cell)).await;
    local.session.close().await;

    println!("{:<48} {:>10}", "", "per second");
    println!("{:<48} {:>10.1}", "cells, keys and data directories being made", first.cells.per_second());
    print(&local.suite, &local.bare, "cells, with those that an earlier run has kept");
    against("cases, the server restarted for each", local.suite.cells.per_second(), restarted);
    match measure(RuntimeChoice::Docker, &globs, jobs).await {
        Err(error) => println!("{:<48} not measured: {error}", "in containers"),
        Ok(Figures { session, suite, bare, .. }) => {
            let ids: Vec<_> = started.iter().map(|cell| (&cell.case.id, cell.stack)).collect();
            let same = |cell: &&Cell| ids.contains(&(&cell.case.id, cell.stack));
            let cells: Vec<_> = session.cells.iter().filter(same).cloned().collect();
            eprintln!("starting a container for each of {}", cells.len());
            let contained = each(&cells, jobs, |cell| in_a_container(&session, cell)).await;
            session.close().await;
            print(&suite, &bare, "cells in containers");
            against("cases, a container for each", suite.cells.per_second(), contained);
        }
    }
    Ok(())
}

/// Prints how fast the suite is. `cells` says which cells these are.
fn print(suite: &Speed, bare: &Rate, cells: &str) {
    let logins = suite.logins.per_second();
    println!("{cells:<48} {:>10.1}", suite.cells.per_second());
    println!("{:<48} {logins:>10.1}", "logins that these make");
    against("bare logins of the same kinds", logins, bare.per_second());
}

/// Prints a rate, and how many times as fast the suite is.
fn against(name: &str, suite: f64, rate: f64) {
    println!("{name:<48} {rate:>10.1} {:>8.2} x", suite / rate);
}

/// The suite and bare logins on one major, in turns: what else the machine does slows both.
async fn measure(choice: RuntimeChoice, globs: &[String], jobs: usize) -> Measured<Figures> {
    let (mut suite, mut bare) = (Speed::default(), Rate::default());
    let mut turn = 0;
    loop {
        let session = open(choice, globs).await?;
        let sample: Vec<_> = run(&session, &mut suite).await.into_iter().step_by(SAMPLED).collect();
        eprintln!("logging in as {} of them do", sample.len());
        for cell in &sample {
            // A cell whose server or Kong does not start has no login.
            if let Ok(prepared) = session.runner.prepare_client(cell).await
                && let Ok(time) = login(&prepared.task, jobs).await
            {
                bare.add(LOGINS / jobs * jobs, time);
            }
        }
        turn += 1;
        if turn == TURNS {
            return Ok(Figures { session, suite, bare, sample });
        }
        session.close().await;
    }
}

/// Runs all cells. Those that do not wait for a limit are returned.
async fn run(session: &Session, suite: &mut Speed) -> Vec<Cell> {
    let major = session.cells.first().map(|cell| format!(" on PostgreSQL {}", cell.major));
    eprintln!("{} cells{}", session.cells.len(), major.unwrap_or_default());
    let begun = Instant::now();
    let results = session.run(session.cells.clone(), Vec::new(), &mut [], pending()).await;
    let time = begun.elapsed();
    let planned: HashMap<_, _> = session.cells.iter().map(|cell| (&cell.id, cell)).collect();
    let judged = results.cells.iter().filter_map(|record| Some((record, record.step?, *planned.get(&record.id)?)));
    let ran: Vec<_> = judged.collect();
    suite.cells.add(ran.len(), time);
    suite.logins.add(ran.iter().map(|(_, last, cell)| logins(cell, *last)).sum(), time);
    let quick = ran.into_iter().filter(|(record, ..)| Duration::from_millis(record.duration_ms) < WAITING);
    quick.map(|(_, _, cell)| cell.clone()).collect()
}

/// How often Kong connects up to a step. Where it takes a connection from its pool, it does not.
fn logins(cell: &Cell, last: usize) -> usize {
    let steps = cell.case.steps.iter().take(last + 1);
    steps.filter(|step| step.expect.is_some() && step.change != Change::FromPool).count()
}

/// The cells on the newest major that a runtime has.
async fn open(choice: RuntimeChoice, globs: &[String]) -> Measured<Session> {
    let all = open_on(choice, globs, Vec::new()).await?;
    let newest = all.cells.iter().map(|cell| cell.major).max();
    all.close().await;
    open_on(choice, globs, newest.into_iter().collect()).await
}

async fn open_on(choice: RuntimeChoice, globs: &[String], majors: Vec<Major>) -> Measured<Session> {
    let cells = CellRequest { globs: globs.to_vec(), majors, ..CellRequest::default() };
    let runtime = RuntimeRequest { choice, ..RuntimeRequest::default() };
    Ok(Session::open(&Options { cells, runtime, ..Options::default() }).await?)
}

/// The time that some logins take, where several are made at once.
async fn login(task: &Task, jobs: usize) -> Measured<Duration> {
    let kong = Arc::new(kong(task)?);
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..jobs {
        let kong = kong.clone();
        workers.spawn(async move {
            for _ in 0..LOGINS / jobs {
                connect(&kong).await;
            }
        });
    }
    workers.join_all().await;
    Ok(begun.elapsed())
}

fn kong(task: &Task) -> Measured<Kong> {
    Ok(Kong::start(task.settings.clone(), (*task.profile).clone(), task.stack).map_err(|refusal| refusal.text)?)
}

/// Connects, and closes what is open; a refusal is as good a login.
async fn connect(kong: &Kong) {
    if let Ok(connection) = kong.connect().await.result {
        connection.close().await;
    }
}

/// How many of the cells end per second.
async fn each<'c, F: Future<Output = Measured<()>>>(
    cells: &'c [Cell],
    jobs: usize,
    run: impl Fn(&'c Cell) -> F,
) -> f64 {
    let begun = Instant::now();
    let ended = stream::iter(cells).map(run).buffer_unordered(jobs).filter(|ended| std::future::ready(ended.is_ok()));
    let mut rate = Rate::default();
    rate.add(ended.count().await, begun.elapsed());
    rate.per_second()
}

/// One connection to a server that has been started for it.
async fn on_a_restarted_server(session: &Session, cell: &Cell) -> Measured<()> {
    let Prepared { lease, mut task, configuration, folder: _folder } = session.runner.prepare_client(cell).await?;
    drop(lease);
    let configuration = Configuration { by: ApplyMode::Start, ..configuration };
    let mut lease = session.runner.pool().lease(cell.major, &configuration).await?;
    lease.server().start(&configuration, true).await?;
    (task.settings.host, task.settings.port) = lease.server().address();
    connect(&kong(&task)?).await;
    Ok(())
}

/// One connection to a server in a container of its own.
async fn in_a_container(session: &Session, cell: &Cell) -> Measured<()> {
    let Prepared { mut lease, task, folder: _folder, .. } = session.runner.prepare_client(cell).await?;
    connect(&kong(&task)?).await;
    lease.distrust();
    Ok(())
}
