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

/// The runtime of `KONG_PG_TLS_RUNTIME` if set, otherwise local processes or else containers, whichever has the first major
/// of `KONG_PG_TLS_POSTGRES`, or any if that is not set; and that major, or else the newest there.
pub(crate) fn runs_on() -> &'static RunsOn {
    static RUNS_ON: OnceLock<RunsOn> = OnceLock::new();
    RUNS_ON.get_or_init(|| {
        let choices = match variable("KONG_PG_TLS_RUNTIME") {
            Some(runtime) => vec![runtime.parse().expect("KONG_PG_TLS_RUNTIME is a runtime")],
            None => vec![RuntimeChoice::Local, RuntimeChoice::Docker],
        };
        let found = choices.into_iter().find_map(|choice| {
            // In a thread of its own: the test may be an asynchronous one.
            let offered = std::thread::spawn(move || offers(choice)).join().expect("a thread");
            let major = wanted_of(offered);
            major.map(|major| RunsOn { runtime: choice.to_string(), postgres: major.to_string() })
        });
        found.unwrap_or_else(|| match named_major() {
            Some(major) => panic!("PostgreSQL {major} of KONG_PG_TLS_POSTGRES is not available here"),
            None => panic!("tests need a PostgreSQL: install one"),
        })
    })
}

/// The newest major that is installed here, for tests of servers as processes.
pub(crate) fn newest_local() -> String {
    offers(RuntimeChoice::Local).into_iter().max().expect("these tests need PostgreSQL's programs").to_string()
}

/// A major that there is an image of, for tests of containers: the first of `KONG_PG_TLS_POSTGRES` if set, otherwise the newest.
pub(crate) fn major_of_image() -> String {
    let major = wanted_of(offers(RuntimeChoice::Docker));
    major.expect("these tests need an engine and an image of PostgreSQL: ci/postgres-image 18").to_string()
}

/// Of these majors the one that is named, or the newest.
fn wanted_of(offered: Vec<Major>) -> Option<Major> {
    let named = named_major();
    offered.into_iter().filter(|major| named.is_none_or(|named| *major == named)).max()
}

fn named_major() -> Option<Major> {
    let majors = variable("KONG_PG_TLS_POSTGRES")?;
    let first = majors.split(',').next().expect("a part");
    Some(first.parse().expect("KONG_PG_TLS_POSTGRES lists majors"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !matches!(value.as_str(), "" | "all" | "auto"))
}

/// The majors that a runtime has; none if it cannot be used.
fn offers(choice: RuntimeChoice) -> Vec<Major> {
    let folder = RunFolder::create().expect("a folder");
    let request = RuntimeRequest { choice, ..RuntimeRequest::default() };
    let found = tokio::runtime::Runtime::new().expect("an async runtime").block_on(request.find(&[], &folder));
    found.map_or_else(|_| Vec::new(), |chosen| chosen.runtime.offers().iter().map(|offer| offer.major).collect())
}
