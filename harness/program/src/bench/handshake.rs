//! What a connection costs: pairs of connections, one in a mode and one in plaintext, to the same server in the same
//! moment, in rounds over all modes, so that what else the machine does meets both sides of every ratio.

use std::time::{Duration, Instant};

use kong_pg_client::{Refusal, Settings};
use kong_pg_scenarios::plan::Cell;

use super::bare::{Bare, Parts};
use super::cpu::{self, ServerProcesses};
use super::error::BenchError;
use super::estimate::{median, ratio};
use super::modes::{Mode, Subject};
use super::pace::{Pace, Watch};
use super::results::{Compared, Handshake, Limit};
use crate::client::{Client, ClientError, Repeater, Task, Tuning};
use crate::run::Prepared;
use crate::session::Session;

/// How long to wait for the other processes to pause, which is when the kernel counts their time.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// How long to wait at most for the server to end a connection.
const END_LIMIT: Duration = Duration::from_millis(50);

/// How many handshakes in memory are measured for each round.
const BARE_HANDSHAKES: usize = 5;

/// What one connection took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) time: Duration,
    pub(super) client_cpu: Duration,
    pub(super) server_cpu: Option<Duration>,
}

/// A connection in a mode, and one in plaintext.
pub(super) type Pair = (Sample, Sample);

/// A mode with a client.
pub(super) struct Row<'a> {
    mode: &'a Mode,
    subject: Subject,
    cell: &'a Cell,
    rounds: Vec<Vec<Pair>>,
    bare: Vec<Parts>,
}

/// Measures modes with all of their clients.
pub(super) async fn measure<'a>(
    session: &Session,
    modes: impl Iterator<Item = &'a Mode>,
    pace: &Pace,
    watch: &mut Watch<'_>,
) -> Result<Vec<Handshake>, BenchError> {
    let row = |mode: &'a Mode| mode.cells.iter().map(move |(subject, cell)| Row::new(mode, *subject, cell));
    let mut rows: Vec<_> = modes.flat_map(row).collect();
    let begun = Instant::now();
    for round in 0.. {
        if round >= pace.rounds && begun.elapsed() >= pace.handshakes {
            break;
        }
        let count = rows.len();
        let mut kept = Vec::with_capacity(count);
        for (place, mut row) in rows.into_iter().enumerate() {
            watch.report(&format!("round {}: {} ({})", round + 1, row.mode.name, row.subject), place, count)?;
            if row.round(session, pace.pairs).await? {
                kept.push(row);
            }
        }
        rows = kept;
    }
    Ok(rows.iter().filter_map(Row::finish).collect())
}

impl<'a> Row<'a> {
    fn new(mode: &'a Mode, subject: Subject, cell: &'a Cell) -> Self {
        Self { mode, subject, cell, rounds: Vec::new(), bare: Vec::new() }
    }

    fn failed(&self, refusal: &Refusal) -> BenchError {
        BenchError::refused(&self.mode.name, self.subject, refusal)
    }

    /// Measures some pairs. Returns whether the client can do what the mode asks for at all.
    async fn round(&mut self, session: &Session, pairs: usize) -> Result<bool, BenchError> {
        let Prepared { mut lease, task, configuration, folder } = session.runner.prepare_client(self.cell).await?;
        let client = session.runner.clients().get(self.subject.client)?;
        let Some(mut measured) = repeater(client, &task, self.mode.tuning).await? else { return Ok(false) };
        let mut plaintext = client.repeater(&in_plaintext(&task), Tuning::default()).await?;
        let mut server = ServerProcesses::new(lease.server().container());
        let taken = pairs_of(&mut *measured, &mut *plaintext, &mut server, pairs).await;
        self.rounds.push(taken.map_err(|refusal| self.failed(&refusal))?);
        if task.settings.ssl && self.subject == Subject::KONG && !self.mode.tuning.direct {
            let groups = self.mode.groups(self.cell.major);
            let failed = |source| BenchError::Bare { mode: self.mode.name.clone(), source };
            let bare = Bare::new(&task.settings, &configuration, &groups, folder.path()).map_err(failed)?;
            // The first is not counted.
            let taken = (0..=BARE_HANDSHAKES).map(|_| bare.handshake()).collect::<Result<Vec<_>, _>>();
            self.bare.extend(&taken.map_err(failed)?[1..]);
        }
        Ok(true)
    }

    fn finish(&self) -> Option<Handshake> {
        let time = compare(&self.rounds, |sample| Some(sample.time))?;
        let part = |of: fn(&Parts) -> Duration| {
            micros(Duration::from_secs_f64(median(self.bare.iter().map(|parts| of(parts).as_secs_f64()))))
        };
        let limit = (!self.bare.is_empty()).then(|| {
            let (client, server) = (part(|parts| parts.client), part(|parts| parts.server));
            Limit { client, server, reached: time.median / (time.base + client + server) }
        });
        Some(Handshake {
            mode: self.mode.name.clone(),
            group: self.mode.group.clone(),
            client: self.subject.to_string(),
            postgres: self.cell.major.0,
            pairs: self.rounds.iter().map(Vec::len).sum(),
            client_cpu: compare(&self.rounds, |sample| Some(sample.client_cpu)),
            server_cpu: compare(&self.rounds, |sample| sample.server_cpu),
            time,
            limit,
        })
    }
}

/// A client that connects again and again; nothing, if it cannot do what a mode asks for.
pub(super) async fn repeater(
    client: &dyn Client,
    task: &Task,
    tuning: Tuning,
) -> Result<Option<Box<dyn Repeater>>, BenchError> {
    match client.repeater(task, tuning).await {
        Ok(repeater) => Ok(Some(repeater)),
        Err(ClientError::Unsupported(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same connection without TLS, as a role that needs no password for the database `postgres`.
pub(super) fn in_plaintext(task: &Task) -> Task {
    let settings = Settings {
        ssl: false,
        ssl_required: false,
        user: "kong".into(),
        password: None,
        database: "postgres".into(),
        ssl_cert: None,
        ssl_cert_key: None,
        ..task.settings.clone()
    };
    Task { settings, ..task.clone() }
}

/// Some pairs, after one that is not counted. Which of the two comes first alternates.
pub(super) async fn pairs_of(
    measured: &mut dyn Repeater,
    plaintext: &mut dyn Repeater,
    server: &mut ServerProcesses,
    count: usize,
) -> Result<Vec<Pair>, Refusal> {
    let mut pairs = Vec::with_capacity(count);
    for number in 0..=count {
        let pair = if number % 2 == 0 {
            let first = sample(measured, server).await?;
            (first, sample(plaintext, server).await?)
        } else {
            let first = sample(plaintext, server).await?;
            (sample(measured, server).await?, first)
        };
        if number > 0 {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// One connection. What it takes to end it is not counted, and waited for.
pub(super) async fn sample(client: &mut dyn Repeater, server: &mut ServerProcesses) -> Result<Sample, Refusal> {
    let (others, postmaster, own) =
        (cpu::of_processes(&client.processes()), server.postmaster(), cpu::of_this_thread());
    let begun = Instant::now();
    let pid = client.connect().await?;
    let (time, own) = (begun.elapsed(), cpu::of_this_thread().saturating_sub(own));
    tokio::time::sleep(PAUSE).await;
    let client_cpu = own + cpu::of_processes(&client.processes()).saturating_sub(others);
    let backend = server.backend(pid);
    let used = backend.and_then(cpu::of_process);
    let forked = server.postmaster().zip(postmaster).map(|(after, before)| after.saturating_sub(before));
    let server_cpu = used.zip(forked).map(|(used, forked)| used + forked);
    if client.disconnect().await {
        let ending = Instant::now();
        while backend.is_some_and(|pid| cpu::of_process(pid).is_some()) && ending.elapsed() < END_LIMIT {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(Sample { time, client_cpu, server_cpu })
}

/// One of the figures of pairs, over all rounds and for each; nothing where it is not known.
pub(super) fn compare(rounds: &[Vec<Pair>], of: impl Fn(&Sample) -> Option<Duration>) -> Option<Compared> {
    let figures =
        |pair: &Pair| Some((micros(of(&pair.0)?), micros(of(&pair.1)?))).filter(|pair| pair.0 > 0.0 && pair.1 > 0.0);
    let rounds: Vec<Vec<_>> = rounds.iter().map(|round| round.iter().filter_map(figures).collect()).collect();
    let all: Vec<_> = rounds.iter().flatten().copied().collect();
    if all.is_empty() {
        return None;
    }
    Some(Compared {
        median: median(all.iter().map(|pair| pair.0)),
        base: median(all.iter().map(|pair| pair.1)),
        ratio: ratio(&all),
        rounds: rounds
            .iter()
            .filter(|round| !round.is_empty())
            .map(|round| median(round.iter().map(|pair| pair.0)) / median(round.iter().map(|pair| pair.1)))
            .collect(),
    })
}

pub(super) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
