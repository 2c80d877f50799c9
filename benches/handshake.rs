//! What a handshake costs Kong: the time from the TCP connection to the answer to its first question, on a cosocket,
//! without resumption (PostgreSQL has none).
//!
//! Every attempt is followed by one in plaintext on the same server. The ratio of the two medians is what the table at
//! the end shows: it means the same on every machine and however busy that is, the milliseconds do not.

use std::future::pending;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use kong_pg_client::{Kong, Settings, Stack};
use kong_pg_tls::judge::Verdict;
use kong_pg_tls::plan::Cell;
use kong_pg_tls::session::{Options, Session};
use tokio::runtime::Runtime;

/// A row of the table: an attempt, and the same without TLS.
struct Row {
    name: String,
    in_tls: Kong,
    in_plaintext: Kong,
    times: Mutex<Times>,
}

/// What was measured, attempt by attempt.
#[derive(Default)]
struct Times {
    in_tls: Vec<Duration>,
    in_plaintext: Vec<Duration>,
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime for what waits");
    match measure(&runtime) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("the handshake cannot be measured: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(runtime: &Runtime) -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    options.cells.scenarios = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/handshake"));
    options.cells.stacks = vec![Stack::Cosocket];
    options.limits.jobs = Some(1);
    if let Ok(runtime) = std::env::var("KONG_PG_TLS_RUNTIME") {
        options.runtime.choice = runtime.parse()?;
    }
    let mut session = runtime.block_on(Session::open(&options))?;
    // One major is enough to see what TLS costs; the newest.
    let newest = session.cells.iter().map(|cell| cell.major).max();
    session.cells.retain(|cell| Some(cell.major) == newest);
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    let mut rows = Vec::new();
    for cell in session.cells.clone() {
        rows.extend(row(runtime, &session, &cell, &mut criterion)?);
    }
    criterion.final_summary();
    runtime.block_on(session.close());
    show(&rows);
    Ok(())
}

/// Measures one row, unless a filter leaves it out.
fn row(
    runtime: &Runtime,
    session: &Session,
    cell: &Cell,
    criterion: &mut Criterion,
) -> Result<Option<Row>, Box<dyn std::error::Error>> {
    // The server has to prove that the row measures what its name says.
    let run = runtime.block_on(session.run(vec![cell.clone()], Vec::new(), &mut [], pending()));
    if !run.verdicts().eq([Verdict::Pass]) {
        let reason = run.cells.first().and_then(|cell| cell.reason.as_deref()).unwrap_or("not run");
        return Err(format!("{}: {reason}", cell.id).into());
    }
    let (lease, settings, _files) = runtime.block_on(session.runner.prepare_client(cell))?;
    let kong = |settings| {
        let started = Kong::start(settings, (*cell.profile).clone(), Stack::Cosocket);
        started.map_err(|refusal| refusal.as_kong_prints_it())
    };
    let in_plaintext = kong(Settings { ssl: false, ssl_required: false, ..settings.clone() })?;
    let row = Row { name: cell.case.name.clone(), in_tls: kong(settings)?, in_plaintext, times: Mutex::default() };
    let mut group = criterion.benchmark_group("handshake");
    group.sampling_mode(SamplingMode::Flat).sample_size(30);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.bench_function(&row.name, |bencher| {
        bencher.to_async(runtime).iter_custom(|count| attempts(&row, count));
    });
    group.finish();
    drop(lease);
    let measured = !row.times.lock().expect("no panic").in_tls.is_empty();
    Ok(measured.then_some(row))
}

/// Attempts in TLS, each followed by one in plaintext. The sum is of the former alone.
async fn attempts(row: &Row, count: u64) -> Duration {
    let mut sum = Duration::ZERO;
    for _ in 0..count {
        let in_tls = attempt(&row.in_tls).await;
        let in_plaintext = attempt(&row.in_plaintext).await;
        let mut times = row.times.lock().expect("no panic");
        times.in_tls.push(in_tls);
        times.in_plaintext.push(in_plaintext);
        sum += in_tls;
    }
    sum
}

/// The time to the first answer; the end of the connection is outside of it.
async fn attempt(kong: &Kong) -> Duration {
    let begun = Instant::now();
    let attempt = kong.connect().await;
    let taken = begun.elapsed();
    match attempt.result {
        Ok(connection) => connection.close().await,
        Err(refusal) => panic!("{}", refusal.as_kong_prints_it()),
    }
    taken
}

fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn show(rows: &[Row]) {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    println!("\n{:<width$}  {:>9}  {:>9}  {:>6}  {:>8}", "", "median", "plaintext", "ratio", "attempts");
    for row in rows {
        let times = row.times.lock().expect("no panic");
        let (in_tls, in_plaintext) = (median(&times.in_tls), median(&times.in_plaintext));
        let (name, ratio, count) = (&row.name, in_tls / in_plaintext, times.in_tls.len());
        println!("{name:<width$}  {in_tls:>6.2} ms  {in_plaintext:>6.2} ms  {ratio:>5.2}x  {count:>8}");
    }
}
