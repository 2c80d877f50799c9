//! What a connection costs Kong, in criterion: every mode of `kong-pg-tls bench`, from the TCP connection to the answer to
//! Kong's first questions, on a cosocket. `cargo bench --bench handshake` measures all, with `-- P-256` those of a name.
//!
//! Criterion keeps the milliseconds and compares them with the last time. Each is followed by a connection in plaintext;
//! the ratio of the two, which means the same on every machine, is in the table at the end.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use kong_pg_tls::bench::{Bench, BenchError, BenchRequest, Pace};
use kong_pg_tls::session::{RuntimeChoice, RuntimeRequest};

fn main() -> ExitCode {
    match measured() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the handshake cannot be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measured() -> Result<(), Box<dyn Error>> {
    // One thread, whose time counts as the client's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| BenchError::Io { doing: "start", source })?;
    let choice = match std::env::var("KONG_PG_TLS_RUNTIME") {
        Ok(name) => name.parse().map_err(|_| format!("KONG_PG_TLS_RUNTIME is {name}, which is no runtime"))?,
        Err(_) => RuntimeChoice::Auto,
    };
    let request = BenchRequest {
        runtime: RuntimeRequest { choice, ..RuntimeRequest::default() },
        major: None,
        modes: Vec::new(),
        pace: Pace::QUICK,
    };
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    let bench = runtime.block_on(Bench::open(&request))?;
    let mut lines = Vec::new();
    for name in bench.names() {
        let mut group = criterion.benchmark_group("handshake");
        group.sampling_mode(SamplingMode::Flat).sample_size(20);
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
        // A filter of the command line decides whether it is measured at all.
        let mut mode = None;
        group.bench_function(&name, |bencher| {
            bencher.iter_custom(|count| {
                let mode = mode.get_or_insert_with(|| runtime.block_on(bench.mode(&name)).expect("the mode is ready"));
                runtime.block_on(mode.connect(count)).expect("connections")
            });
        });
        group.finish();
        lines.extend(mode.and_then(|mode| mode.ratio()).map(|ratio| (name, ratio)));
    }
    criterion.final_summary();
    runtime.block_on(bench.close());
    println!("\n{:<32} x plain  interval", "");
    for (name, ratio) in lines {
        println!("{name:<32} {:>7.2}  {:.2}-{:.2}", ratio.value, ratio.low, ratio.high);
    }
    Ok(())
}
