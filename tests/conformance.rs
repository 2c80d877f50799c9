//! The suite under `cargo test` and nextest: one named test for each cell, on the servers that are here.
//!
//! `KONG_PG_TLS_RUNTIME` and `KONG_PG_TLS_POSTGRES` choose where and on which majors; a filter behind `--` chooses cells
//! by name. The scenarios are read when the tests run, so a new one needs no build.

mod cells;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use kong_pg_tls::session::Options;

fn main() -> ExitCode {
    cells::main("conformance", |tests| {
        let mut options = Options::default();
        options.cells.scenarios = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"));
        Ok(tests.add(&from_environment(options)?)?)
    })
}

/// `KONG_PG_TLS_RUNTIME` and `KONG_PG_TLS_POSTGRES` choose where and on which majors, as with `kong-pg-tls run`.
fn from_environment(mut options: Options) -> Result<Options, Box<dyn Error>> {
    if let Ok(runtime) = std::env::var("KONG_PG_TLS_RUNTIME") {
        options.runtime.choice = runtime.parse()?;
    }
    if let Some(majors) = std::env::var("KONG_PG_TLS_POSTGRES").ok().filter(|majors| majors != "all") {
        options.cells.majors = majors.split(',').map(str::parse).collect::<Result<_, _>>()?;
    }
    Ok(options)
}
