//! The PostgreSQL that tests of the program run on: one major, so that they can count cells on any machine.

use std::sync::OnceLock;

use kong_pg_tls::runfolder::RunFolder;
use kong_pg_tls::session::{RuntimeChoice, RuntimeRequest};
use postgres_tls_server::Major;

/// A runtime and one of its majors.
pub(crate) struct RunsOn {
    pub(crate) runtime: String,
    pub(crate) postgres: String,
}

/// `KONG_PG_TLS_RUNTIME` if set, otherwise local processes if PostgreSQL is installed, otherwise containers; and the
/// first major of `KONG_PG_TLS_POSTGRES` if set, otherwise the newest there.
pub(crate) fn runs_on() -> &'static RunsOn {
    static RUNS_ON: OnceLock<RunsOn> = OnceLock::new();
    RUNS_ON.get_or_init(|| {
        let variable = |name| std::env::var(name).ok().filter(|value| !matches!(value.as_str(), "" | "all" | "auto"));
        let runtime = variable("KONG_PG_TLS_RUNTIME");
        let choices = match &runtime {
            Some(runtime) => vec![runtime.parse().expect("KONG_PG_TLS_RUNTIME is a runtime")],
            None => vec![RuntimeChoice::Local, RuntimeChoice::Docker],
        };
        let (choice, newest) = choices.into_iter().find_map(newest).expect("tests need a PostgreSQL: install one");
        let named = variable("KONG_PG_TLS_POSTGRES").and_then(|majors| majors.split(',').next().map(str::to_owned));
        RunsOn { runtime: choice.to_string(), postgres: named.unwrap_or_else(|| newest.to_string()) }
    })
}

fn newest(choice: RuntimeChoice) -> Option<(RuntimeChoice, Major)> {
    let folder = RunFolder::create().expect("a folder");
    let request = RuntimeRequest { choice, ..RuntimeRequest::default() };
    let chosen = tokio::runtime::Runtime::new().expect("an async runtime").block_on(request.find(&[], &folder)).ok()?;
    let newest = chosen.runtime.offers().into_iter().map(|offer| offer.major).max()?;
    Some((choice, newest))
}
