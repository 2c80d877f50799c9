//! One cell, step by step, from its certificates to its verdict.

use super::error::CellError;
use super::materials::{self, ConfigFiles};
use super::runner::Runner;
use super::step::{ObservedAttempt, SetUp, StepContext};
use crate::client::{ClientError, Connection};
use crate::format::Divergence;
use crate::judge::{
    Attempt, Evidence, Expected, ExpectedOutcome, Judgement, KnownDifference, Observation, Verdict, judge,
};
use crate::plan::Cell;
use crate::suite::{Change, ClientOutcome, Situation};
use crate::vocabulary::{ClientKind, OpenConnection, OpensslRelease};
use kong_pg_client::Settings;
use postgres_tls_server::{Configuration, Lease, Major, Server, ServerFacts};

/// A cell that has been judged.
pub(super) struct JudgedCell {
    pub(super) judgement: Judgement,
    pub(super) server: Option<ServerFacts>,
    pub(super) evidence: Option<Evidence>,
    pub(super) difference: Option<KnownDifference>,
    pub(super) remarks: Vec<String>,
    pub(super) files: Option<ConfigFiles>,
}

impl JudgedCell {
    pub(super) fn without_evidence(verdict: Verdict, reason: String) -> Self {
        let judgement = Judgement { verdict, reason: Some(reason), mismatches: Vec::new(), race: None };
        Self { judgement, server: None, evidence: None, difference: None, remarks: Vec::new(), files: None }
    }
}

/// A step that has been judged.
struct JudgedStep {
    judgement: Judgement,
    evidence: Evidence,
    remarks: Vec<String>,
    files: ConfigFiles,
}

impl Runner {
    pub(super) async fn cell(&self, cell: &Cell) -> JudgedCell {
        if let Some(because) = cell.excluded() {
            return JudgedCell::without_evidence(Verdict::Unsupported, because);
        }
        let mut facts = None;
        let judged = match self.steps(cell, &mut facts).await {
            Ok(JudgedStep { judgement, evidence, remarks, files }) => {
                let difference = evidence.difference.clone();
                let (evidence, files) = (Some(evidence), Some(files));
                JudgedCell { judgement, server: None, evidence, difference, remarks, files }
            }
            Err(CellError::Client(ClientError::Unsupported(reason))) => self.client_unsupported(cell, reason),
            Err(error) => JudgedCell::without_evidence(error.verdict(), error.to_string()),
        };
        JudgedCell { server: facts, ..judged }
    }

    /// What differences.yaml says about a client that did this.
    fn difference(&self, cell: &Cell, did: ClientOutcome<'_>) -> Option<KnownDifference> {
        let known = self.differences.iter().find(|known| cell.is_covered_by(known) && known.matches(did))?;
        let (does, because) = (known.entry.does, known.entry.because.clone());
        Some(KnownDifference { does, because, place: known.place.clone() })
    }

    fn difference_of(&self, cell: &Cell, expected: &Expected, attempt: &Attempt) -> Option<KnownDifference> {
        if cell.client.speaks_as_kong() {
            return None;
        }
        let kong: &[String] = match expected.known().and_then(|expected| expected.outcome.as_ref()) {
            Some(ExpectedOutcome::Refused { kong, .. }) => kong,
            _ => &[],
        };
        let (does, says) = match attempt {
            Attempt::Connected(_) => (Divergence::Connects, None),
            Attempt::Refused(refusal) => (Divergence::Refuses, Some(refusal.text.as_str())),
            Attempt::NotMade | Attempt::Unconfirmed { .. } | Attempt::Hung => return None,
        };
        self.difference(cell, ClientOutcome { does, says, kong })
    }

    /// What a client does not support has to be in differences.yaml, too. External programs answer for themselves.
    fn client_unsupported(&self, cell: &Cell, reason: String) -> JudgedCell {
        let did = ClientOutcome { does: Divergence::Unsupported, says: Some(&reason), kong: &[] };
        let difference = self.difference(cell, did);
        let needs_no_entry = cell.client.speaks_as_kong() || cell.client == ClientKind::Command;
        if difference.is_some() || needs_no_entry {
            return JudgedCell { difference, ..JudgedCell::without_evidence(Verdict::Unsupported, reason) };
        }
        let reason = format!("{reason}: differences.yaml has no entry for that");
        JudgedCell::without_evidence(Verdict::Fail, reason)
    }

    async fn steps(&self, cell: &Cell, facts: &mut Option<ServerFacts>) -> Result<JudgedStep, CellError> {
        let first = cell.case.steps.first().ok_or(CellError::NoExpectation)?;
        let first = self.configuration(&first.situation).await?;
        let mut lease = self.pool.lease(cell.major, &first).await?;
        *facts = Some(lease.server().facts().clone());
        let result = match check_major(cell.major, lease.server().facts()) {
            Ok(()) => self.steps_on(cell, lease.server()).await,
            Err(error) => Err(error),
        };
        if result.as_ref().is_err_and(|error| error.verdict() == Verdict::EnvironmentError) {
            lease.discard();
        }
        result?.ok_or(CellError::NoExpectation)
    }

    /// Goes through the steps up to the first that is not as expected, or the last.
    async fn steps_on(&self, cell: &Cell, server: &mut Server) -> Result<Option<JudgedStep>, CellError> {
        check_openssl(cell, server.facts())?;
        let keeps_open = cell.case.steps.iter().any(|step| step.open_connection.is_some());
        let mut kept = None;
        let mut last = None;
        for (number, step) in cell.case.steps.iter().enumerate() {
            let configuration = self.configuration(&step.situation).await?;
            server
                .can_have(&configuration)
                .map_err(|error| CellError::Blocked(format!("{error}; run it as root, or with --runtime docker")))?;
            let context = StepContext { cell, step, number, configuration };
            let judged = if step.change == Change::ReadOnly {
                let mut second = self.pool.lease_beside(cell.major, &context.configuration).await?;
                self.step(&context, second.server(), false, &mut None).await?
            } else {
                self.step(&context, server, keeps_open && number == 0, &mut kept).await?
            };
            let goes_on = judged.as_ref().is_none_or(|judged| {
                judged.judgement.mismatches.is_empty() && judged.evidence.expected.known().is_some()
            });
            last = judged.or(last);
            if !goes_on {
                break;
            }
        }
        if let Some(connection) = kept {
            connection.open.close().await;
        }
        Ok(last)
    }

    /// In a thread of its own: certificates may have to be made, and an RSA key takes 100 ms of one core.
    async fn configuration(&self, situation: &Situation) -> Result<Configuration, CellError> {
        let (authority, situation) = (self.authority.clone(), situation.clone());
        Ok(tokio::task::spawn_blocking(move || materials::server(&authority, &situation)).await??)
    }

    /// One step. Returns nothing if the step only prepares the next.
    async fn step(
        &self,
        context: &StepContext<'_>,
        server: &mut Server,
        keep_open: bool,
        kept: &mut Option<Connection>,
    ) -> Result<Option<JudgedStep>, CellError> {
        let StepContext { cell, step, number, configuration } = context;
        let set_up = self.set_up(context, server).await?;
        let open_connection = match (&step.open_connection, kept.as_mut()) {
            (Some(_), Some(connection)) => Some(match connection.open.ask_again().await {
                Ok(()) => OpenConnection::Survives,
                Err(_) => OpenConnection::Broken,
            }),
            _ => None,
        };
        let open: Vec<_> = kept.iter().map(|connection| connection.pid).collect();
        let attempted = match (&step.expect, &step.blank) {
            (Some(_), _) | (_, Some(_)) => Some(self.attempt(context, &set_up, server, &open, keep_open).await?),
            (None, None) => None,
        };
        let (expected, documented) = self.expected(context, server, &set_up, attempted.as_ref());
        let answers = server.answers(step.queries.iter().map(|(question, _)| question.as_str())).await?;
        let SetUp { reload, remarks, .. } = set_up;
        let mut observed = Observation { reload, open_connection, answers, ..Observation::default() };
        match attempted {
            Some(ObservedAttempt { attempt, certificate, server, connection }) => {
                *kept = connection.or(kept.take());
                observed.attempt = attempt;
                observed.certificate = certificate;
                observed.server_log = server.log;
                observed.judged_log = server.relevant_lines;
            }
            None if step.change == Change::First && observed.answers.is_empty() => return Ok(None),
            None => {}
        }
        let difference = self.difference_of(cell, &expected, &observed.attempt);
        let (client, stack, step_number) = (cell.client, cell.stack, *number);
        let evidence = Evidence { client, stack, step: step_number, expected, observed, documented, difference };
        let files = materials::config_files(&step.situation, configuration);
        Ok(Some(JudgedStep { judgement: judge(&evidence), evidence, remarks, files }))
    }

    /// Applies the first configuration of a cell and returns Kong's settings, to connect more often than once. They
    /// are valid as long as the lease and the folder.
    ///
    /// # Errors
    /// If the server or Kong does not take the configuration.
    pub async fn prepare_client(&self, cell: &Cell) -> Result<(Lease, Settings, tempfile::TempDir), CellError> {
        let step = cell.case.steps.first().ok_or(CellError::NoExpectation)?;
        let configuration = self.configuration(&step.situation).await?;
        let mut lease = self.pool.lease(cell.major, &configuration).await?;
        let context = StepContext { cell, step, number: 0, configuration };
        let SetUp { failed_start, task, folder, .. } = self.set_up(&context, lease.server()).await?;
        match failed_start {
            None => Ok((lease, task?.settings, folder)),
            Some(log) => Err(CellError::NotStarted(log)),
        }
    }
}

/// Whether the server's version is of the major that was asked for.
fn check_major(wanted: Major, facts: &ServerFacts) -> Result<(), CellError> {
    let digits = facts.version.find(|character: char| !character.is_ascii_digit()).unwrap_or(facts.version.len());
    if facts.version[..digits].parse() == Ok(wanted.0) {
        return Ok(());
    }
    Err(CellError::WrongMajor { wanted, version: facts.version.clone() })
}

fn check_openssl(cell: &Cell, facts: &ServerFacts) -> Result<(), CellError> {
    let Some(only) = &cell.case.only else { return Ok(()) };
    let Some(range) = only.openssl else { return Ok(()) };
    match OpensslRelease::of(facts) {
        Some(release) if range.contains(release) => Ok(()),
        Some(release) => Err(CellError::Unsupported(format!("{} (OpenSSL {release})", only.because))),
        None => Err(CellError::Blocked(format!(
            "the case is about OpenSSL {range}, and which OpenSSL the server is linked with could not be found out"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("18.6", true)]
    #[case("18beta2", true)]
    #[case("18", true)]
    #[case("17.9", false)]
    #[case("180.1", false)]
    #[case("", false)]
    fn a_server_runs_only_as_the_major_that_it_is(#[case] version: &str, #[case] accepted: bool) {
        let facts = ServerFacts { major: Major(18), version: version.into(), openssl: None };
        assert_eq!(check_major(Major(18), &facts).is_ok(), accepted);
    }
}
