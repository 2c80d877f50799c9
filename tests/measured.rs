//! What was measured on Kong's own driver, replayed: its text and the server's log, to the letter.
//!
//! `tests/measured` holds some 290 situations, measured with Kong's fork of pgmoon and with leafo's, on an nginx cosocket
//! and on LuaSec, against PostgreSQL 15. Where the measurement itself varied between runs, every outcome seen is listed.

mod cells;

use std::path::Path;
use std::process::ExitCode;

use cells::Cells;
use kong_pg_client::Stack;
use kong_pg_tls::session::{Options, RuntimeChoice, SessionError};
use libtest_mimic::{Arguments, Trial};
use postgres_tls_server::Major;
use postgres_tls_server::RuntimeKind;

/// What was measured: which situations, with which driver, on which stacks.
const MEASURED: [(&str, &str, &[Stack]); 7] = [
    ("kong/both-*", "pgmoon-kong-2.2.0", Stack::ALL),
    ("kong/luasec-*", "pgmoon-kong-2.2.0", &[Stack::Luasec]),
    ("kong/cosocket-*", "pgmoon-kong-2.2.0", &[Stack::Cosocket]),
    ("leafo/both-*", "pgmoon-leafo-1.16.0", Stack::ALL),
    ("kong-any/luasec-*", "pgmoon-kong-any", &[Stack::Luasec]),
    ("kong-1.21.4/cosocket-*", "pgmoon-kong-1.21.4", &[Stack::Cosocket]),
    // The server alone: the driver does not matter.
    ("start/*", "pgmoon-kong-2.2.0", &[Stack::Luasec]),
];

/// The server that everything was measured on: a process on the loopback, which the lines of pg_hba.conf speak of.
const POSTGRES: Major = Major(15);

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
        let options = Options {
            scenarios: Some(scenarios.clone()),
            globs: vec![glob.to_owned()],
            profiles: vec![profile.parse()?],
            stacks: stacks.to_vec(),
            runtime: RuntimeChoice::Only(RuntimeKind::Local),
            majors: vec![POSTGRES],
            ..Options::default()
        };
        match cells.trials(&options) {
            Ok(trials) => all.extend(trials),
            Err(SessionError::Runtime(error)) => {
                eprintln!("not replayed: {glob}: measured on PostgreSQL {POSTGRES}, and {error}");
                all.push(Trial::test(format!("measured {glob}"), || Ok(())).with_ignored_flag(true));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}
