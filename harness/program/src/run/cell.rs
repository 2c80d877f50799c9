//! One cell, step by step, from its certificates to its verdict.

use std::sync::Arc;

use super::step::{Attempted, SetUp};
use super::{ConfigFiles, Runner, materials};
use crate::client::{ClientError, Connection, race};
use crate::format::Divergence;
use crate::judge::{
    Expectation, KnownDeviation, Mismatch, OUTCOME, Observation, Outcome, Verdict, judge, judge_outcome, verdict,
    without_the_attempt,
};
use crate::plan::Cell;
use crate::suite::{Change, ClientOutcome, Difference, Situation, Step};
use crate::vocabulary::{ClientKind, OpenConnection, OpensslRelease};
use certificate_trees::PkiError;
use kong_pg_client::{ErrorDelivery, Settings};
use postgres_tls_server::{Configuration, Lease, RuntimeError, Server, ServerFacts};

/// How a cell ended.
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    pub(super) server: Option<ServerFacts>,
    pub(super) expected: Option<Expectation>,
    pub(super) observed: Option<Observation>,
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) remarks: Vec<String>,
    pub(super) difference: Option<Arc<Difference>>,
    pub(super) files: Option<ConfigFiles>,
}

impl Ended {
    pub(super) fn of(verdict: Verdict, reason: String) -> Self {
        Self {
            verdict,
            reason: Some(reason),
            server: None,
            expected: None,
            observed: None,
            mismatches: Vec::new(),
            remarks: Vec::new(),
            difference: None,
            files: None,
        }
    }

    pub(super) fn environment(reason: String) -> Self {
        Self::of(Verdict::EnvironmentError, reason)
    }
}

/// Why a cell ends before its verdict.
pub(super) enum Stop {
    Environment(String),
    Unsupported(String),
    /// What is asked for has no counterpart in the client.
    Unable(String),
    /// The client itself is at fault.
    Misbehaves(String),
}

impl From<ClientError> for Stop {
    fn from(inability: ClientError) -> Self {
        match inability {
            ClientError::Unsupported(why) => Self::Unable(why),
            ClientError::Misbehaves(why) => Self::Misbehaves(why),
            ClientError::Environment(why) => Self::Environment(why),
        }
    }
}

impl Stop {
    pub(super) fn environment(doing: &str, error: impl std::fmt::Display) -> Self {
        Self::Environment(format!("cannot {doing}: {error}"))
    }
}

impl From<RuntimeError> for Stop {
    fn from(error: RuntimeError) -> Self {
        Self::Environment(error.to_string())
    }
}

impl From<PkiError> for Stop {
    fn from(error: PkiError) -> Self {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let message = causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"));
        match error {
            PkiError::RecipeUnavailable { .. } | PkiError::RecipeFailed { .. } => Self::Unsupported(message),
            _ => Self::Environment(message),
        }
    }
}

/// What a step has come to.
struct StepEnded {
    number: usize,
    expected: Expectation,
    observed: Observation,
    mismatches: Vec<Mismatch>,
    known: Vec<KnownDeviation>,
    remarks: Vec<String>,
    files: ConfigFiles,
}

impl Runner {
    pub(super) async fn cell(&self, cell: &Cell) -> Ended {
        if let Some(because) = cell.excluded() {
            return Ended::of(Verdict::Unsupported, because);
        }
        let mut facts = None;
        let ended = match self.steps(cell, &mut facts).await {
            Ok(last) if cell.client.speaks_as_kong() => ended(cell, last),
            // The documents are about Kong, and so is what is known of them.
            Ok(last) => self.parted(cell, ended(cell, StepEnded { known: Vec::new(), ..last })),
            Err(Stop::Unable(reason)) => self.unable(cell, reason),
            Err(Stop::Unsupported(reason)) => Ended::of(Verdict::Unsupported, reason),
            Err(Stop::Misbehaves(reason)) => Ended::of(Verdict::Fail, reason),
            Err(Stop::Environment(reason)) => Ended::environment(reason),
        };
        Ended { server: facts, ..ended }
    }

    fn difference(&self, cell: &Cell, did: ClientOutcome<'_>) -> Option<Arc<Difference>> {
        self.differences.iter().find(|known| cell.is_covered_by(known) && known.matches(did)).cloned()
    }

    /// A client that is not Kong may part from it where that is written.
    fn parted(&self, cell: &Cell, ended: Ended) -> Ended {
        let ([mismatch], Some(expected), Some(observed)) = (&ended.mismatches[..], &ended.expected, &ended.observed)
        else {
            return ended;
        };
        let refusal = observed.outcome.as_ref().err();
        if mismatch.what != OUTCOME || refusal.is_some_and(|refusal| refusal.delivery == ErrorDelivery::Hung) {
            return ended;
        }
        let kong: &[String] = match &expected.outcome {
            Some(Outcome::Refused { kong, .. }) => kong,
            _ => &[],
        };
        let does = if refusal.is_some() { Divergence::Refuses } else { Divergence::Connects };
        let did = ClientOutcome { does, says: refusal.map(|refusal| refusal.text.as_str()), kong };
        if let Some(known) = self.difference(cell, did) {
            let reason = Some(known.entry.because.clone());
            return Ended { verdict: Verdict::KnownDeviation, reason, difference: Some(known), ..ended };
        }
        let reason = format!("{} parts from Kong, and differences.yaml does not say so", cell.client);
        Ended { reason: Some(reason), ..ended }
    }

    /// What a client cannot do has to be written too, but for a stranger's, who says so himself.
    fn unable(&self, cell: &Cell, reason: String) -> Ended {
        let did = ClientOutcome { does: Divergence::Unsupported, says: Some(&reason), kong: &[] };
        let difference = self.difference(cell, did);
        let is_free = cell.client.speaks_as_kong() || cell.client == ClientKind::Command;
        if difference.is_some() || is_free {
            return Ended { difference, ..Ended::of(Verdict::Unsupported, reason) };
        }
        Ended::of(Verdict::Fail, format!("{reason}: differences.yaml does not say so"))
    }

    async fn steps(&self, cell: &Cell, facts: &mut Option<ServerFacts>) -> Result<StepEnded, Stop> {
        let nothing = || Stop::Environment("the case expects nothing".into());
        let first = self.configuration(&cell.case.steps.first().ok_or_else(nothing)?.situation).await?;
        let mut lease = self.pool.lease(cell.major, &first).await?;
        *facts = Some(lease.server().facts().clone());
        let result = self.steps_on(cell, lease.server()).await;
        if let Err(Stop::Environment(_)) = result {
            lease.discard();
        }
        result?.ok_or_else(nothing)
    }

    /// Goes through the steps up to the first that is not as expected, or the last.
    async fn steps_on(&self, cell: &Cell, server: &mut Server) -> Result<Option<StepEnded>, Stop> {
        supports(cell, server.facts()).map_err(Stop::Unsupported)?;
        let keeps_open = cell.case.steps.iter().any(|step| step.open_connection.is_some());
        let mut kept = None;
        let mut last = None;
        for (number, step) in cell.case.steps.iter().enumerate() {
            let configuration = self.configuration(&step.situation).await?;
            server
                .can_have(&configuration)
                .map_err(|error| Stop::Unsupported(format!("{error}; run it as root, or with --runtime docker")))?;
            let place = Place { cell, step, number, configuration };
            let ended = if step.change == Change::ReadOnly {
                let mut beside = self.pool.lease_beside(cell.major, &place.configuration).await?;
                self.step(&place, beside.server(), None, &mut None).await?
            } else {
                let keep = (keeps_open && number == 0).then_some(());
                self.step(&place, server, keep, &mut kept).await?
            };
            let failed = ended.as_ref().is_some_and(|ended| !ended.mismatches.is_empty());
            last = ended.or(last);
            if failed {
                break;
            }
        }
        if let Some(connection) = kept {
            connection.open.close().await;
        }
        Ok(last)
    }

    /// Certificates may have to be made, and an RSA key takes 100 ms of one core.
    async fn configuration(&self, situation: &Situation) -> Result<Configuration, Stop> {
        let (authority, situation) = (self.authority.clone(), situation.clone());
        let making = tokio::task::spawn_blocking(move || materials::server(&authority, &situation));
        Ok(making.await.map_err(|error| Stop::environment("make the certificates", error))??)
    }

    /// One step. A connection is kept open if it is wanted, and looked at if the step says what becomes of it.
    async fn step(
        &self,
        place: &Place<'_>,
        server: &mut Server,
        keep: Option<()>,
        kept: &mut Option<Connection>,
    ) -> Result<Option<StepEnded>, Stop> {
        let Place { cell, step, number, configuration } = place;
        let set_up = self.set_up(cell, step, configuration, server).await?;
        let open_connection = match (&step.open_connection, kept.as_mut()) {
            (Some(_), Some(connection)) => Some(match connection.open.ask_again().await {
                Ok(()) => OpenConnection::Survives,
                Err(_) => OpenConnection::Broken,
            }),
            _ => None,
        };
        let open: Vec<_> = kept.iter().map(|connection| connection.pid).collect();
        let attempted = match &step.expect {
            Some(_) => Some(self.attempt(cell, step, &set_up, server, &open, keep.is_some()).await?),
            None => None,
        };
        let (expected, known) = self.expectation(place, server, &set_up, attempted.as_ref())?;
        let answers = server.answers(step.queries.iter().map(|(question, _)| question.as_str())).await?;
        let files = materials::config_files(&step.situation, configuration);
        let SetUp { said: reload, remarks, .. } = set_up;
        let observed = match attempted {
            Some(Attempted { outcome, certificate, server, connection }) => {
                *kept = connection.or(kept.take());
                Observation { reload, outcome, certificate, server, open_connection, answers }
            }
            // The first step may only set the scene.
            None if step.change == Change::First && answers.is_empty() => return Ok(None),
            None => Observation { answers, ..without_the_attempt(reload, open_connection) },
        };
        let judge = if cell.client.speaks_as_kong() { judge } else { judge_outcome };
        let mismatches = judge(&expected, &observed);
        Ok(Some(StepEnded { number: *number, expected, observed, mismatches, known, remarks, files }))
    }

    /// Puts the first configuration of a cell in its place and returns Kong's settings, for whoever wants to connect
    /// more often than once. They are good for as long as the lease and the folder are.
    ///
    /// # Errors
    /// Why that is not possible.
    pub async fn prepare_client(&self, cell: &Cell) -> Result<(Lease, Settings, tempfile::TempDir), String> {
        let told = |stop| match stop {
            Stop::Environment(why) | Stop::Unsupported(why) | Stop::Unable(why) | Stop::Misbehaves(why) => why,
        };
        let step = cell.case.steps.first().ok_or("the case has no meaning here")?;
        let configuration = self.configuration(&step.situation).await.map_err(told)?;
        let mut lease = self.pool.lease(cell.major, &configuration).await.map_err(|error| error.to_string())?;
        let set_up = self.set_up(cell, step, &configuration, lease.server()).await.map_err(told)?;
        let SetUp { failed_start, task, folder, .. } = set_up;
        match failed_start {
            None => Ok((lease, task?.settings, folder)),
            Some(said) => Err(said.join("; ")),
        }
    }
}

/// Where in a cell we are.
pub(super) struct Place<'a> {
    pub(super) cell: &'a Cell,
    pub(super) step: &'a Step,
    number: usize,
    configuration: Configuration,
}

/// The verdict on the step that decided.
fn ended(cell: &Cell, last: StepEnded) -> Ended {
    let StepEnded { number, expected, observed, mismatches, known, remarks, files } = last;
    let (verdict, reason) = verdict(&mismatches, &known, &observed);
    let reason = match reason {
        Some(reason) if verdict == Verdict::Fail && number > 0 => Some(format!("in step {}: {reason}", number + 1)),
        reason => reason,
    };
    let race = (verdict == Verdict::Fail && cell.client.is_kong_itself())
        .then(|| race(cell.stack, &expected, &observed))
        .flatten();
    let (verdict, reason) = match race {
        Some(because) => (Verdict::KnownDeviation, Some(format!("a race of the client's: {because}"))),
        None => (verdict, reason),
    };
    let (expected, observed, files) = (Some(expected), Some(observed), Some(files));
    Ended { verdict, reason, server: None, expected, observed, mismatches, remarks, difference: None, files }
}

fn supports(cell: &Cell, facts: &ServerFacts) -> Result<(), String> {
    let Some(only) = &cell.case.only else { return Ok(()) };
    let Some(range) = only.openssl else { return Ok(()) };
    match OpensslRelease::of(facts) {
        Some(release) if range.contains(release) => Ok(()),
        Some(release) => Err(format!("{} (OpenSSL {release})", only.because)),
        None => Err(format!("{} (the server's OpenSSL is not known)", only.because)),
    }
}
