//! Replays of measurements of Kong's own driver: its text and the server's log, verbatim.
//!
//! `tests/measured/README.md` says how they were made, with which versions, and what they need. Without it they are
//! ignored, or fail with `KONG_PG_TLS_REQUIRE_MEASURED=1`.

mod cells;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cells::Tests;
use kong_pg_client::Stack;
use kong_pg_tls::session::{CellRequest, Options, RuntimeChoice, SessionError};
use postgres_tls_server::Major;

/// The measurements: the situations, the driver, and the stacks.
const MEASURED: [(&str, &str, &[Stack]); 7] = [
    ("kong/both-*", "pgmoon-kong-2.2.0", Stack::ALL),
    ("kong/luasec-*", "pgmoon-kong-2.2.0", &[Stack::Luasec]),
    ("kong/cosocket-*", "pgmoon-kong-2.2.0", &[Stack::Cosocket]),
    ("leafo/both-*", "pgmoon-leafo-1.16.0", Stack::ALL),
    ("kong-any/luasec-*", "pgmoon-kong-any", &[Stack::Luasec]),
    ("kong-1.21.4/cosocket-*", "pgmoon-kong-1.21.4", &[Stack::Cosocket]),
    // The server alone; the driver does not matter.
    ("start/*", "pgmoon-kong-2.2.0", &[Stack::Luasec]),
];

/// The server of all measurements: a process on the loopback, which the lines of pg_hba.conf name.
const POSTGRES: Major = Major(15);

/// The environment variable with which missing replays are failures.
const REQUIRE: &str = "KONG_PG_TLS_REQUIRE_MEASURED";

fn main() -> ExitCode {
    cells::main("measured", collect)
}

fn collect(tests: &mut Tests) -> Result<(), Box<dyn Error>> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/measured");
    for (glob, profile, stacks) in MEASURED {
        let request = CellRequest {
            scenarios: Some(scenarios.clone()),
            globs: vec![glob.to_owned()],
            releases: vec![profile.to_owned()],
            stacks: stacks.to_vec(),
            majors: vec![POSTGRES],
            ..CellRequest::default()
        };
        let mut options = Options { cells: request, ..Options::default() };
        options.runtime.choice = RuntimeChoice::Local;
        match tests.add(&options) {
            Ok(()) => {}
            Err(SessionError::Runtime(error)) => add_missing(tests, glob, &error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A test that stands for measurements which cannot be replayed here.
fn add_missing(tests: &mut Tests, glob: &str, why: &str) {
    let is_required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    let why = format!("NOT REPLAYED: the measurements of {glob} need the binaries of PostgreSQL {POSTGRES}: {why}");
    eprintln!("{why}{}", if is_required { "" } else { "; with KONG_PG_TLS_REQUIRE_MEASURED=1 this is a failure" });
    tests.add_missing(format!("measured {glob}"), why, is_required);
}
