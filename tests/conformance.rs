//! The suite under `cargo test`: one named test for each cell, on the servers that are here.
//!
//! `KONG_PG_TLS_RUNTIME` and `KONG_PG_TLS_POSTGRES` choose where and on which majors; a filter behind `--` chooses cells
//! by name. The scenarios are read when the tests run, so a new one needs no build.

mod cells;

use std::path::Path;
use std::process::ExitCode;

use cells::Cells;
use kong_pg_tls::session::Options;
use libtest_mimic::Arguments;
use postgres_tls_server::InvalidMajor;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut cells = Cells::new();
    let options = from_environment(Options { scenarios: Some(scenarios), ..Options::default() });
    let trials = options.and_then(|options| cells.trials(&options).map_err(|error| error.to_string()));
    match trials {
        Ok(trials) => {
            let conclusion = libtest_mimic::run(&arguments, trials);
            cells.close();
            conclusion.exit_code()
        }
        Err(error) => {
            eprintln!("the conformance tests cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `KONG_PG_TLS_RUNTIME` and `KONG_PG_TLS_POSTGRES` choose where and on which majors, as with `kong-pg-tls run`.
fn from_environment(mut options: Options) -> Result<Options, String> {
    if let Ok(runtime) = std::env::var("KONG_PG_TLS_RUNTIME") {
        options.runtime = runtime.parse()?;
    }
    if let Some(majors) = std::env::var("KONG_PG_TLS_POSTGRES").ok().filter(|majors| majors != "all") {
        options.majors = majors
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|error: InvalidMajor| error.to_string())?;
    }
    Ok(options)
}
