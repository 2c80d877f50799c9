//! `bench`

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::cells::{Listed, image, majors, word};
use super::signals::Signals;
use super::{Exit, Failure, print};
use crate::bench::{
    BenchError, BenchRequest, Comparison, Dsn, Measurements, MeasurementsError, Pace, Watch, measure, measure_server,
    new_folder, write_document, write_files, write_table,
};
use crate::session::{RuntimeChoice, RuntimeRequest};
use postgres_tls_server::Major;

pub(super) const EXAMPLES: &str = "\
Examples:
  kong-pg-tls bench                               every mode and client, in less than three minutes
  kong-pg-tls bench --quick                       Kong's two stacks, in half a minute
  kong-pg-tls bench '3-keys::*' --postgres 15     some modes, on one PostgreSQL
  kong-pg-tls bench --compare old/bench.json      faster, slower, or noise
  kong-pg-tls bench --server 'postgresql://kong@db/kong?sslrootcert=ca.crt'
  kong-pg-tls bench --show docs/performance.json  the table of an earlier run

Build with --release: without optimisation, the clients in this program cost several times as much.

Exit status:
  0 measured   2 wrong usage   3 something could not be measured   130 interrupted
  With --compare, 100 if something is slower.";

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Modes, by globs like those of `list`; all by default.
    #[arg(value_name = "GLOB")]
    modes: Vec<String>,
    /// Where PostgreSQL runs: as a local process, in a container, or `auto`: as a local process if one is installed, as
    /// nothing is between it and the clients then.
    #[arg(long, value_parser = word::<RuntimeChoice>(), default_value = "auto", env = "KONG_PG_TLS_RUNTIME")]
    runtime: RuntimeChoice,
    /// The image of a major; by default postgres:MAJOR or kong-pg-tls/postgres:MAJOR.
    #[arg(long, value_name = "MAJOR=IMAGE", value_parser = image)]
    image: Vec<(Major, String)>,
    /// The PostgreSQL major, or `all`: the newest, and for modes that need a newer one the newest in a container.
    #[arg(long, value_name = "MAJOR|all", default_value = "all", env = "KONG_PG_TLS_POSTGRES", value_parser = majors)]
    postgres: Listed<Major>,
    /// Measure this server, from here: a connection string or URI of libpq. The password may be in PGPASSWORD. Says first
    /// what it is going to do.
    #[arg(long, value_name = "DSN", conflicts_with_all = ["modes", "image", "show", "document"])]
    server: Option<Dsn>,
    /// Measure Kong alone, with fewer connections.
    #[arg(long)]
    quick: bool,
    /// Measure so many rounds, instead of as many as the time allows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: Option<u8>,
    /// Say what is faster and what is slower than in this bench.json.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Measure nothing, and show this bench.json.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["modes", "quick", "rounds", "document"])]
    show: Option<PathBuf>,
    /// The folder for bench.json, bench.csv, plots and report.html; a new one below target/kong-pg-tls/bench by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write performance.md, its data and its plots into this folder.
    #[arg(long, value_name = "DIR")]
    document: Option<PathBuf>,
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Session(error) => error.into(),
            error => Self::environment(error.to_string()),
        }
    }
}

impl From<MeasurementsError> for Failure {
    fn from(error: MeasurementsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl BenchArgs {
    /// What is measured. That it is a server of the user's is said first.
    fn what(&self) -> What {
        let pace = if self.quick { Pace::QUICK } else { Pace::DEFAULT };
        let pace = self.rounds.map_or(pace, |rounds| pace.rounds(rounds.into()));
        if let Some(dsn) = &self.server {
            // A closed standard error is no reason to stop.
            let _ = writeln!(io::stderr(), "{}", dsn.announce(&pace));
            return What::Server(dsn.clone(), pace);
        }
        let runtime = RuntimeRequest { choice: self.runtime, images: self.image.clone() };
        let (modes, major) = (self.modes.clone(), self.postgres.0.iter().max().copied());
        What::Suite(BenchRequest { runtime, major, modes, pace })
    }
}

pub(super) async fn bench(args: &BenchArgs) -> Result<Exit, Failure> {
    // Bad input is reported before anything is measured.
    let old = args.compare.as_deref().map(Measurements::read).transpose()?;
    let measurements = if let Some(file) = &args.show {
        Measurements::read(file)?
    } else {
        match measured(args.what()).await {
            Err(BenchError::Interrupted) => return Ok(Exit::Interrupted),
            measurements => measurements?,
        }
    };
    print(|out| write_table(out, &measurements))?;
    let comparison = old.map(|old| Comparison::new(&old, &measurements));
    if let Some(comparison) = &comparison {
        print(|out| write!(out, "\n{comparison}"))?;
    }
    if args.show.is_none() {
        written(args, &measurements)?;
    }
    Ok(match comparison {
        Some(comparison) if comparison.is_slower() => Exit::Failed,
        _ => Exit::Success,
    })
}

fn written(args: &BenchArgs, measurements: &Measurements) -> Result<(), Failure> {
    let failed = |folder: &Path| {
        let folder = folder.display().to_string();
        move |error: io::Error| Failure::environment(format!("cannot write into {folder}: {error}"))
    };
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => new_folder(&measurements.started),
    };
    write_files(&folder, measurements).map_err(failed(&folder))?;
    print(|out| writeln!(out, "\n{}: report.html, bench.json, bench.csv", folder.display()))?;
    if let Some(document) = &args.document {
        write_document(document, measurements).map_err(failed(document))?;
        print(|out| writeln!(out, "{}", document.join("performance.md").display()))?;
    }
    Ok(())
}

/// What is measured.
enum What {
    /// Servers that the program starts.
    Suite(BenchRequest),
    /// One of the user's.
    Server(Dsn, Pace),
}

/// Measures on a thread of its own, whose time is the clients'.
async fn measured(what: What) -> Result<Measurements, BenchError> {
    let mut signals = Signals::listen()
        .map_err(|failure| BenchError::Io { doing: "listen to signals", source: io::Error::other(failure.message) })?;
    let cancelled = Arc::new(AtomicBool::new(false));
    let of_thread = cancelled.clone();
    let mut measuring = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| BenchError::Io { doing: "start", source })?;
        let mut progress = Progress::new();
        let mut show = |what: &str, done: usize, of: usize| progress.show(what, done, of);
        let mut watch = Watch { show: &mut show, cancelled: &of_thread };
        let measurements = runtime.block_on(async {
            match &what {
                What::Suite(request) => measure(request, &mut watch).await,
                What::Server(dsn, pace) => measure_server(dsn, pace, &mut watch).await,
            }
        });
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        measurements
    });
    let done = tokio::select! {
        done = &mut measuring => done,
        () = signals.wait() => {
            cancelled.store(true, Ordering::Relaxed);
            measuring.await
        }
    };
    done.unwrap_or_else(|error| Err(BenchError::Io { doing: "measure", source: io::Error::other(error) }))
}

/// A bar on a terminal; elsewhere a line for each part of the measurement.
struct Progress {
    bar: Option<ProgressBar>,
    part: String,
}

impl Progress {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:20} {pos}/{len} {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = io::stderr().is_terminal().then(|| ProgressBar::new(0).with_style(style));
        Self { bar, part: String::new() }
    }

    fn show(&mut self, what: &str, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message(what.to_owned());
            return;
        }
        let part = what.split(':').next().unwrap_or_default();
        if part != self.part {
            part.clone_into(&mut self.part);
            // A closed standard error is no reason to stop.
            let _ = writeln!(io::stderr(), "{part}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
