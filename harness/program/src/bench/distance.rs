//! What a distance costs: every mode through a proxy that counts how often the client waits for the server, and makes each
//! of these waits as long as a round trip across a distance is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kong_pg_client::{Refusal, Stack};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::vocabulary::ClientKind;

use super::error::BenchError;
use super::estimate::median;
use super::far::Far;
use super::handshake::repeater;
use super::modes::{Mode, Subject};
use super::pace::{Pace, Watch};
use super::results::{Distance, Waits};
use crate::client::{Repeater, Task};
use crate::run::Prepared;
use crate::session::Session;

/// The round trips, in milliseconds: within a zone, between zones far apart, between regions.
const DISTANCES: [u32; 3] = [1, 10, 50];

/// What each mode waits for, besides the TCP connection and the client's queries: SSLRequest, the handshake, the login.
const MODES: [(&str, [usize; 3]); 9] = [
    ("plaintext", [0, 0, 1]),
    ("plaintext, SCRAM", [0, 0, 3]),
    ("TLS 1.2", [1, 2, 1]),
    ("TLS 1.3", [1, 2, 1]),
    ("P-256 at once", [1, 1, 1]),
    ("X25519", [1, 1, 1]),
    ("mTLS, cert", [1, 2, 1]),
    ("TLS 1.3, SCRAM bound", [1, 2, 3]),
    ("direct TLS", [0, 2, 1]),
];

/// From this major on the server takes OpenSSL's first guess, and no handshake begins again.
const TAKES_X25519: u16 = 18;

/// The client of a mode: Kong, where it can.
const DIRECT: Subject = Subject { client: ClientKind::Rustls, stack: Stack::Cosocket };

/// What a mode waits for on a server of a major.
fn waits(mode: &str, client: Subject, postgres: u16) -> Option<Waits> {
    let (_, [ssl_request, mut handshake, login]) = MODES.into_iter().find(|(name, _)| *name == mode)?;
    if postgres >= TAKES_X25519 && mode != "TLS 1.2" {
        handshake = handshake.min(1);
    }
    // Kong asks for the schema, sets it, and asks for the version; tokio-postgres asks for the process and the version.
    let queries = if client.client == ClientKind::Kong { 3 } else { 2 };
    Some(Waits { tcp: 1, ssl_request, handshake, login, queries })
}

/// Measures the modes that differ in their round trips.
pub(super) async fn measure(
    session: &Session,
    modes: impl Iterator<Item = &Mode>,
    pace: &Pace,
    watch: &mut Watch<'_>,
) -> Result<Vec<Distance>, BenchError> {
    let modes: Vec<_> = modes.filter(|mode| MODES.iter().any(|(name, _)| *name == mode.name)).collect();
    let mut distances = Vec::new();
    for (place, mode) in modes.iter().enumerate() {
        watch.report(&format!("across a distance: {}", mode.name), place, modes.len())?;
        let subject = if mode.tuning.direct { DIRECT } else { Subject::KONG };
        if let Some(cell) = mode.cell(subject) {
            distances.extend(cross(session, mode, subject, cell, pace).await?);
        }
    }
    Ok(distances)
}

async fn cross(
    session: &Session,
    mode: &Mode,
    subject: Subject,
    cell: &Cell,
    pace: &Pace,
) -> Result<Option<Distance>, BenchError> {
    let Some(because) = waits(&mode.name, subject, cell.major.0) else { return Ok(None) };
    let Prepared { lease: _lease, task, folder: _folder, .. } = session.runner.prepare_client(cell).await?;
    let refused = |refusal: Refusal| BenchError::refused(&mode.name, subject, &refusal);
    let mut milliseconds = BTreeMap::new();
    let mut round_trips = 0;
    for distance in DISTANCES {
        let delay = Duration::from_millis(distance.into());
        let far =
            Far::listen((task.settings.host.clone(), task.settings.port), delay).map_err(BenchError::io("listen"))?;
        let mut through = Task { container: None, ..task.clone() };
        (through.settings.host, through.settings.port) = far.address();
        let client = session.runner.clients().get(subject.client)?;
        let Some(mut client) = repeater(client, &through, mode.tuning).await? else { return Ok(None) };
        let mut times = Vec::new();
        for _ in 0..pace.crossings {
            let (time, count) = connect(&mut *client, &far).await.map_err(refused)?;
            times.push(time.as_secs_f64() * 1000.0);
            round_trips = count;
        }
        milliseconds.insert(distance, median(times));
    }
    let (mode, client, postgres) = (mode.name.clone(), subject.to_string(), cell.major.0);
    Ok(Some(Distance { mode, client, postgres, round_trips, because, milliseconds }))
}

/// One connection; its time, and how often it waited.
async fn connect(client: &mut dyn Repeater, far: &Far) -> Result<(Duration, usize), Refusal> {
    let begun = Instant::now();
    client.connect().await?;
    let (time, count) = (begun.elapsed(), far.round_trips());
    client.disconnect().await;
    Ok((time, count))
}
