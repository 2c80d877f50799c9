//! Replays of measurements of Kong's own driver: its text and the server's log, verbatim.
//!
//! `tests/measured/README.md` says how they were made, with which versions, and what they need. Without it they are
//! ignored, or fail with `KONG_PG_TLS_REQUIRE_MEASURED=1`.

mod cells;

use std::path::Path;
use std::process::ExitCode;

use cells::Cells;
use kong_pg_client::Stack;
use kong_pg_tls::session::{CellRequest, Options, RuntimeChoice, SessionError};
use libtest_mimic::{Arguments, Failed, Trial};
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
    let arguments = Arguments::from_args();
    let mut cells = Cells::new();
    match trials(&mut cells) {
        Ok(trials) => {
            let conclusion = libtest_mimic::run(&arguments, trials);
            cells.close();
            conclusion.exit_code()
        }
        Err(error) => {
            eprintln!("the measurements cannot be replayed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn trials(cells: &mut Cells) -> Result<Vec<Trial>, Box<dyn std::error::Error>> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/measured");
    let mut all = Vec::new();
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
        match cells.trials(&options) {
            Ok(trials) => all.extend(trials),
            Err(SessionError::Runtime(error)) => all.push(not_replayed(glob, &error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

/// The test that stands for measurements which cannot be replayed here: ignored, unless they are required.
fn not_replayed(glob: &str, why: &str) -> Trial {
    let is_required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    let why = format!("NOT REPLAYED: the measurements of {glob} need the binaries of PostgreSQL {POSTGRES}: {why}");
    eprintln!("{why}{}", if is_required { "" } else { "; with KONG_PG_TLS_REQUIRE_MEASURED=1 this is a failure" });
    Trial::test(format!("measured {glob}"), move || Err(Failed::from(why))).with_ignored_flag(!is_required)
}
