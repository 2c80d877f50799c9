//! The whole measurement: servers and clients, the proof that each mode is what it is called, and then its figures.

use std::collections::{BTreeSet, HashMap};
use std::future::pending;
use std::path::Path;
use std::time::Instant;

use kong_pg_client::Stack;
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::Major;

use super::error::BenchError;
use super::modes::{Mode, STORM, modes, write};
use super::pace::{Pace, Watch};
use super::results::{Measurements, NotMeasured};
use super::{distance, handshake, storm, traffic, versus};
use crate::judge::Verdict;
use crate::session::{CellRequest, Limits, Options, RuntimeChoice, RuntimeRequest, Session, SessionError};

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchRequest {
    /// Where servers run. `auto` prefers local processes: nothing is between them and the clients.
    pub runtime: RuntimeRequest,
    /// The PostgreSQL major; the newest there is, if none is named.
    pub major: Option<Major>,
    /// Globs for the modes, as for cells: `3-keys::*`; all, if there are none.
    pub modes: Vec<String>,
    /// How much is measured.
    pub pace: Pace,
}

/// Measures. It has to run on one thread, which is the one whose time counts as the clients'.
///
/// # Errors
/// Something cannot be measured, or the watch has ended it.
pub async fn measure(request: &BenchRequest, watch: &mut Watch<'_>) -> Result<Measurements, BenchError> {
    let clock = Instant::now();
    let mut measurements = Measurements::new();
    let folder = tempfile::tempdir().map_err(BenchError::io("make a folder for the modes"))?;
    write(folder.path()).map_err(BenchError::io("write the modes"))?;
    let Found { session, unusable, .. } = open(request, folder.path()).await?;
    measurements.not_measured.extend(unusable);
    let done = on_session(request, folder.path(), &session, &mut measurements, watch).await;
    session.close().await;
    let left = done?;
    if request.major.is_some() {
        measurements.not_measured.extend(left.into_iter().map(|left| NotMeasured { what: left.mode, why: left.why }));
    } else if !left.is_empty() {
        elsewhere(request, folder.path(), &left, &mut measurements, watch).await?;
    }
    measurements.not_measured.sort();
    measurements.seconds = clock.elapsed().as_secs();
    Ok(measurements)
}

/// A mode that the server is too old or too new for, and why.
struct Left {
    mode: String,
    /// The glob of its cells.
    glob: String,
    why: String,
}

/// Measures everything that one server is good for. Returns what it is not good for.
async fn on_session(
    request: &BenchRequest,
    folder: &Path,
    session: &Session,
    measurements: &mut Measurements,
    watch: &mut Watch<'_>,
) -> Result<Vec<Left>, BenchError> {
    let suite = CellRequest { scenarios: Some(folder.to_owned()), ..CellRequest::default() }.suite()?;
    let (mut modes, excluded): (Vec<_>, Vec<_>) =
        modes(&session.cells, &suite).into_iter().partition(|mode| mode.excluded().is_none());
    let left = |mode: &Mode, why| Left { mode: mode.name.clone(), glob: format!("{}@*", mode.id()), why };
    let mut all_left: Vec<_> = excluded.iter().filter_map(|mode| Some(left(mode, mode.excluded()?))).collect();
    all_left.extend(prove(session, &mut modes, watch).await?.into_iter().map(|(why, mode)| left(&mode, why)));
    let measured = modes.iter().filter(|mode| mode.scenario != STORM);
    measurements.handshakes.extend(handshake::measure(session, measured, &request.pace, watch).await?);
    measurements.versus.extend(versus::measure(session, &modes, &request.pace, watch).await?);
    measurements.traffic.extend(traffic::measure(session, &modes, &request.pace, watch).await?);
    measurements.storms.extend(storm::measure(session, &modes, watch).await?);
    measurements.distances.extend(distance::measure(session, modes.iter(), &request.pace, watch).await?);
    about(session, &modes, measurements).await?;
    Ok(all_left)
}

/// Measures what is left on the newest server in a container, if there is one that proves its modes.
async fn elsewhere(
    request: &BenchRequest,
    folder: &Path,
    left: &[Left],
    measurements: &mut Measurements,
    watch: &mut Watch<'_>,
) -> Result<(), BenchError> {
    let runtime = RuntimeRequest { choice: RuntimeChoice::Docker, ..request.runtime.clone() };
    // What the others are compared with there.
    let common = ["plaintext", "tls-1-2", "tls-1-3"].map(|mode| format!("1-versions::{mode}@*"));
    let modes: Vec<_> = left.iter().map(|left| left.glob.clone()).chain(common).collect();
    let (mut major, mut majors) = (None, Vec::new());
    let why = loop {
        let newer =
            BenchRequest { runtime: runtime.clone(), major, modes: modes.clone(), pace: request.pace.shorter() };
        let found = match open(&newer, folder).await {
            Ok(found) => found,
            Err(error) => break error.to_string(),
        };
        if major.is_none() {
            majors = found.majors;
            majors.pop();
        }
        let done = on_session(&newer, folder, &found.session, measurements, watch).await;
        found.session.close().await;
        match done {
            Ok(still) => {
                let still = still.into_iter().map(|left| NotMeasured { what: left.mode, why: left.why });
                measurements.not_measured.extend(still);
                return Ok(());
            }
            // A server of a major that the suite does not know yet.
            Err(BenchError::Unproved { cell, reason }) => match majors.pop() {
                Some(older) => major = Some(older),
                None => break format!("{cell}: {reason}"),
            },
            Err(error) => return Err(error),
        }
    };
    let missing = |left: &Left| NotMeasured { what: left.mode.clone(), why: format!("{}; {why}", left.why) };
    measurements.not_measured.extend(left.iter().map(missing));
    Ok(())
}

pub(super) struct Found {
    pub(super) session: Session,
    /// All majors that there are, the newest last.
    majors: Vec<Major>,
    /// The clients that cannot be used here.
    unusable: Vec<NotMeasured>,
}

/// Servers of one major, and those of the clients that can be used here.
pub(super) async fn open(request: &BenchRequest, folder: &Path) -> Result<Found, BenchError> {
    let mut clients = request.pace.clients.to_vec();
    let mut unusable = Vec::new();
    let mut choice = match request.runtime.choice {
        RuntimeChoice::Auto => RuntimeChoice::Local,
        choice => choice,
    };
    loop {
        let options = options(request, choice, folder, &clients);
        match Session::open(&options).await {
            Ok(mut session) => {
                let majors: BTreeSet<_> = session.cells.iter().map(|cell| cell.major).collect();
                let majors: Vec<_> = majors.into_iter().collect();
                session.cells.retain(|cell| majors.last() == Some(&cell.major));
                return Ok(Found { session, majors, unusable });
            }
            Err(SessionError::Client(error)) if clients.len() > 1 => {
                clients.retain(|client| *client != error.kind);
                unusable.push(NotMeasured { what: format!("the client {}", error.kind), why: error.why.to_string() });
            }
            Err(SessionError::Runtime(_))
                if request.runtime.choice == RuntimeChoice::Auto && choice == RuntimeChoice::Local =>
            {
                choice = RuntimeChoice::Docker;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn options(request: &BenchRequest, choice: RuntimeChoice, folder: &Path, clients: &[ClientKind]) -> Options {
    let cells = CellRequest {
        scenarios: Some(folder.to_owned()),
        globs: request.modes.clone(),
        majors: request.major.into_iter().collect(),
        clients: clients.to_vec(),
        stacks: vec![Stack::Cosocket, Stack::Luasec],
        ..CellRequest::default()
    };
    let runtime = RuntimeRequest { choice, ..request.runtime.clone() };
    Options { cells, runtime, limits: Limits { jobs: Some(1), ..Limits::default() }, ..Options::default() }
}

/// Runs the cells of all modes once: the server has to prove that each is what it is called. Takes out those that its
/// OpenSSL is too old for, and returns them, each with the reason.
pub(super) async fn prove(
    session: &Session,
    modes: &mut Vec<Mode>,
    watch: &mut Watch<'_>,
) -> Result<Vec<(String, Mode)>, BenchError> {
    let cells: Vec<_> = modes.iter().flat_map(|mode| mode.cells.iter().map(|(_, cell)| cell.clone())).collect();
    watch.report(&format!("proving what {} modes are", modes.len()), 0, cells.len())?;
    let run = session.run(cells, Vec::new(), &mut [], pending()).await;
    let mut unsupported = HashMap::new();
    for cell in run.cells.iter().filter(|cell| cell.verdict != Verdict::Pass) {
        let reason = cell.reason.clone().unwrap_or_else(|| cell.verdict.as_str().to_owned());
        if cell.verdict != Verdict::Unsupported {
            return Err(BenchError::Unproved { cell: cell.id.to_string(), reason });
        }
        unsupported.insert(cell.case_id(), reason);
    }
    let left = modes.extract_if(.., |mode| unsupported.contains_key(mode.id()));
    Ok(left.map(|mode| (unsupported[mode.id()].clone(), mode)).collect())
}

/// Notes which servers and clients were measured.
async fn about(session: &Session, modes: &[Mode], measurements: &mut Measurements) -> Result<(), BenchError> {
    let Some((_, cell)) = modes.first().and_then(|mode| mode.cells.first()) else { return Ok(()) };
    let mut prepared = session.runner.prepare_client(cell).await?;
    let facts = prepared.lease.server().facts();
    let runtime = session.runner.pool().runtime_of(cell.major).map(|kind| format!(" ({kind})")).unwrap_or_default();
    let openssl = facts.openssl.as_deref().map(|version| format!(" with OpenSSL {version}")).unwrap_or_default();
    measurements.servers.push(format!("PostgreSQL {}{openssl}{runtime}", facts.version));
    let clients = session.runner.clients().about();
    measurements.clients.extend(clients.into_iter().map(|(client, about)| (client.to_string(), about)));
    Ok(())
}
