//! How near the suite is to what PostgreSQL itself needs: cells per second, against bare logins of the same kinds, on local
//! servers and in containers; against a server that is restarted for each case, and a container for each case; all in one
//! run. `cargo bench --bench suite` measures the whole suite, `-- GLOB...` the cells that match.

use std::error::Error;
use std::future::{Future, pending};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use kong_pg_client::Kong;
use kong_pg_tls::client::Task;
use kong_pg_tls::plan::Cell;
use kong_pg_tls::run::Prepared;
use kong_pg_tls::runfolder;
use kong_pg_tls::session::{CellRequest, Options, RuntimeChoice, RuntimeRequest, Session};
use postgres_tls_server::{ApplyMode, Configuration};
use tokio::task::JoinSet;

/// One cell of so many is in the sample that is logged in with.
const SAMPLED: usize = 50;
/// How often each cell of the sample logs in.
const LOGINS: usize = 80;
/// How many cells get a restarted server, and a container.
const STARTED: usize = 24;
/// A cell that takes longer waits for a limit of Kong's, and the server has nothing to do.
const WAITING: Duration = Duration::from_secs(1);

type Measured<T> = Result<T, Box<dyn Error>>;

/// What the measurements of one runtime are made of.
struct Figures {
    session: Session,
    /// Cells per second.
    suite: f64,
    /// Bare logins per second, as some of the cells make them.
    logins: f64,
    /// Those cells.
    sample: Vec<Cell>,
}

fn main() -> Measured<()> {
    if runfolder::cache().is_none() {
        return with_a_cache();
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(compare())
}

/// Runs this program again with an empty folder to keep keys and data directories in, as `ci/conformance` has one.
fn with_a_cache() -> Measured<()> {
    let cache = tempfile::tempdir()?;
    let mut again = Command::new(std::env::current_exe()?);
    let status = again.args(std::env::args_os().skip(1)).env(runfolder::CACHE, cache.path()).status()?;
    if status.success() { Ok(()) } else { Err(format!("the measurement ended with {status}").into()) }
}

async fn compare() -> Measured<()> {
    let globs: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let jobs = Options::default().limits.jobs() as usize;

    let session = open(RuntimeChoice::Local, &globs).await?;
    let first = cells_per_second(&session).await.0;
    session.close().await;
    let local = measure(RuntimeChoice::Local, &globs, jobs).await?;
    let started: Vec<_> = local.sample.iter().take(STARTED).cloned().collect();
    eprintln!("restarting a server for each of {}", started.len());
    let restarted = each(&started, jobs, |cell| on_a_restarted_server(&local.session, cell)).await;
    local.session.close().await;

    println!("{:<48} {:>10}", "", "per second");
    println!("{:<48} {first:>10.1}", "cells, keys and data directories being made");
    println!("{:<48} {:>10.1}", "cells, with those that an earlier run has kept", local.suite);
    let against = |name: &str, suite: f64, rate: f64| println!("{name:<48} {rate:>10.1} {:>8.2} x", suite / rate);
    against("bare logins of the same kinds", local.suite, local.logins);
    against("cases, the server restarted for each", local.suite, restarted);
    match measure(RuntimeChoice::Docker, &globs, jobs).await {
        Err(error) => println!("{:<48} not measured: {error}", "in containers"),
        Ok(Figures { session, suite, logins, .. }) => {
            let ids: Vec<_> = started.iter().map(|cell| (&cell.case.id, cell.stack)).collect();
            let major = session.cells.first().map(|cell| cell.major);
            let same = |cell: &&Cell| Some(cell.major) == major && ids.contains(&(&cell.case.id, cell.stack));
            let cells: Vec<_> = session.cells.iter().filter(same).cloned().collect();
            eprintln!("starting a container for each of {}", cells.len());
            let contained = each(&cells, jobs, |cell| in_a_container(&session, cell)).await;
            session.close().await;
            println!("{:<48} {suite:>10.1}", "cells in containers");
            against("bare logins of the same kinds", suite, logins);
            against("cases, a container for each", suite, contained);
        }
    }
    Ok(())
}

/// The suite and bare logins on one major.
async fn measure(choice: RuntimeChoice, globs: &[String], jobs: usize) -> Measured<Figures> {
    let session = open(choice, globs).await?;
    let (suite, quick) = cells_per_second(&session).await;
    let sample: Vec<_> = quick.into_iter().step_by(SAMPLED).collect();
    eprintln!("logging in as {} of them do", sample.len());
    let mut spent = Vec::new();
    for cell in &sample {
        // A cell whose server or Kong does not start has no login.
        if let Ok(prepared) = session.runner.prepare_client(cell).await {
            spent.extend(login(&prepared.task, jobs).await.ok());
        }
    }
    let logins = per_second(spent.len(), spent.iter().sum());
    Ok(Figures { session, suite, logins, sample })
}

/// Runs all cells. Those that do not wait for a limit are returned.
async fn cells_per_second(session: &Session) -> (f64, Vec<Cell>) {
    eprintln!("{} cells", session.cells.len());
    let begun = Instant::now();
    let results = session.run(session.cells.clone(), Vec::new(), &mut [], pending()).await;
    let ran: Vec<_> = results.cells.iter().filter(|cell| cell.observed.is_some()).collect();
    let suite = per_second(ran.len(), begun.elapsed());
    let quick = ran.iter().filter(|cell| Duration::from_millis(cell.duration_ms) < WAITING);
    let found = |id: &str| session.cells.iter().find(|cell| *cell.id == *id).cloned();
    (suite, quick.filter_map(|cell| found(&cell.id)).collect())
}

async fn open(choice: RuntimeChoice, globs: &[String]) -> Measured<Session> {
    let cells = CellRequest { globs: globs.to_vec(), ..CellRequest::default() };
    let runtime = RuntimeRequest { choice, ..RuntimeRequest::default() };
    Ok(Session::open(&Options { cells, runtime, ..Options::default() }).await?)
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

/// The time of one login, where several are made at once.
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
    Ok(begun.elapsed() / u32::try_from(LOGINS / jobs * jobs).unwrap_or(u32::MAX))
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
    let count = ended.count().await;
    per_second(count, begun.elapsed())
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
