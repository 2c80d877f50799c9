//! One cell, step by step, from its certificates to its verdict.

use kong_pg_scenarios::format::Divergence;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{Change, ClientOutcome, Only, Situation};
use kong_pg_scenarios::vocabulary::{ClientKind, OpenConnection, OpensslRelease};
use postgres_tls_server::{Configuration, Lease, Major, Server, ServerFacts};

use super::error::CellError;
use super::materials::{self, Made};
use super::notes::Notebook;
use super::runner::Runner;
use super::step::{Kept, ObservedAttempt, RunningKong, SetUp, StepContext};
use crate::client::{ClientError, Task};
use crate::judge::{
    Attempt, Evidence, Expected, ExpectedOutcome, Judgement, KnownDifference, Observation, Verdict, judge,
};

/// A cell that has been judged.
pub(super) struct JudgedCell {
    pub(super) judgement: Judgement,
    pub(super) evidence: Option<Evidence>,
    pub(super) difference: Option<KnownDifference>,
}

impl JudgedCell {
    pub(super) fn without_evidence(verdict: Verdict, reason: String) -> Self {
        let judgement = Judgement { verdict, reason: Some(reason), mismatches: Vec::new(), race: None };
        Self { judgement, evidence: None, difference: None }
    }
}

/// A step that has been judged.
struct JudgedStep {
    judgement: Judgement,
    evidence: Evidence,
}

impl Runner {
    pub(super) async fn cell(&self, cell: &Cell, notebook: &Notebook) -> JudgedCell {
        if let Some(because) = cell.excluded() {
            return JudgedCell::without_evidence(Verdict::Unsupported, because);
        }
        match self.steps(cell, notebook).await {
            Ok(JudgedStep { judgement, evidence }) => {
                let difference = evidence.difference.clone();
                JudgedCell { judgement, evidence: Some(evidence), difference }
            }
            Err(CellError::Client(ClientError::Unsupported(reason))) => self.client_unsupported(cell, reason),
            Err(error) => JudgedCell::without_evidence(error.verdict(), error.to_string()),
        }
    }

    /// What differences.yaml says about a client that did this.
    fn difference(&self, cell: &Cell, did: ClientOutcome<'_>) -> Option<KnownDifference> {
        let known = self.differences.iter().find(|known| cell.is_covered_by(known) && known.matches(did))?;
        let (does, because) = (known.entry.does, known.entry.because.clone());
        Some(KnownDifference { does, because, place: known.place.clone() })
    }

    fn difference_of(&self, cell: &Cell, expected: &Expected, attempt: &Attempt) -> Option<KnownDifference> {
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

    async fn steps(&self, cell: &Cell, notebook: &Notebook) -> Result<JudgedStep, CellError> {
        let first = cell.case.steps.first().ok_or(CellError::NoExpectation)?;
        notebook.begin(0, &first.situation);
        let first = self.make(&first.situation, notebook).await?.configuration;
        let mut lease = self.pool.lease(cell.major, &first).await?;
        // The caller may stop waiting at any time.
        lease.distrust();
        notebook.enter(lease.server());
        notebook.note(|notes| notes.server = Some(lease.server().facts().clone()));
        let result = match check_major(cell.major, lease.server().facts()) {
            Ok(()) => self.steps_on(cell, lease.server(), notebook).await,
            Err(error) => Err(error),
        };
        notebook.leave();
        if !result.as_ref().is_err_and(CellError::leaves_server_unknown) {
            lease.trust();
        }
        result?.ok_or(CellError::NoExpectation)
    }

    /// Goes through the steps up to the first that is not as expected, or the last.
    async fn steps_on(
        &self,
        cell: &Cell,
        server: &mut Server,
        notebook: &Notebook,
    ) -> Result<Option<JudgedStep>, CellError> {
        check_build(cell.case.only.as_ref(), server.facts())?;
        let keeps_first = cell.case.keeps_first_open();
        let kong_runs_on = cell.case.steps.iter().any(|step| step.change == Change::RunningKong);
        let mut kept = Kept::default();
        let mut last = None;
        for (number, step) in cell.case.steps.iter().enumerate() {
            notebook.begin(number, &step.situation);
            let made = self.make(&step.situation, notebook).await?;
            server
                .can_have(&made.configuration)
                .map_err(|error| CellError::Blocked(format!("{error}; run it as root, or with --runtime docker")))?;
            let context = StepContext { cell, step, number, made, kong_runs_on, notebook };
            let judged = if step.change == Change::ReadOnly {
                let mut second = self.pool.lease_beside(cell.major, &context.made.configuration).await?;
                second.distrust();
                notebook.enter(second.server());
                let judged = self.step(&context, second.server(), false, &mut Kept::default()).await;
                notebook.leave();
                let judged = judged?;
                second.trust();
                judged
            } else {
                let keep_open = keeps_first && number == 0 || step.change == Change::FromPool;
                self.step(&context, server, keep_open, &mut kept).await?
            };
            let goes_on = judged.as_ref().is_none_or(|judged| {
                judged.judgement.mismatches.is_empty() && judged.evidence.expected.known().is_some()
            });
            last = judged.or(last);
            if !goes_on {
                break;
            }
        }
        if let Some(connection) = kept.connection {
            connection.open.close().await;
        }
        Ok(last)
    }

    /// In a thread of its own: certificates may have to be made, and an RSA key takes 100 ms of one core.
    async fn make(&self, situation: &Situation, notebook: &Notebook) -> Result<Made, CellError> {
        let (authority, situation) = (self.authority.clone(), situation.clone());
        let made = tokio::task::spawn_blocking(move || materials::make(&authority, &situation)).await??;
        notebook.made(&made);
        Ok(made)
    }

    /// One step. Returns nothing if the step only prepares the next.
    async fn step(
        &self,
        context: &StepContext<'_>,
        server: &mut Server,
        keep_open: bool,
        kept: &mut Kept,
    ) -> Result<Option<JudgedStep>, CellError> {
        let StepContext { cell, step, number, kong_runs_on, .. } = context;
        let mark = server.mark();
        let set_up = self.set_up(context, server, kept.kong.take()).await?;
        let open_connection = match (&step.open_connection, kept.connection.as_mut()) {
            (Some(_), Some(connection)) => Some(match connection.open.ask_again().await {
                Ok(()) => OpenConnection::Survives,
                Err(_) => OpenConnection::Broken,
            }),
            _ => None,
        };
        let pooled = kept.connection.take_if(|_| step.change == Change::FromPool);
        let open: Vec<_> = kept.connection.iter().map(|connection| connection.pid).collect();
        let attempted = match (&step.expect, &step.blank) {
            (Some(_), _) | (_, Some(_)) => {
                Some(self.attempt(context, &set_up, server, &open, pooled, keep_open).await?)
            }
            (None, None) => None,
        };
        let (expected, documented) = self.expected(context, server, &set_up, attempted.as_ref());
        let reload = [set_up.start.clone(), server.reloaded().await?].concat();
        // The superuser's session knows of a reload once that is over.
        let answers = server.answers(step.queries.iter().map(|(question, _)| question.as_str())).await?;
        if *kong_runs_on {
            kept.kong = RunningKong::of(set_up)?;
        }
        let mut observed = Observation { reload, open_connection, answers, ..Observation::default() };
        match attempted {
            Some(ObservedAttempt { attempt, certificate, server, relay_log, connection }) => {
                kept.connection = connection.or(kept.connection.take());
                observed.attempt = attempt;
                observed.certificate = certificate;
                context.notebook.note(|notes| notes.attempt_log = server.log);
                observed.judged_log = server.relevant_lines;
                observed.relay_log = relay_log;
            }
            None if step.change == Change::First && observed.answers.is_empty() => return Ok(None),
            None => {}
        }
        let difference = self.difference_of(cell, &expected, &observed.attempt);
        let (client, stack, step_number) = (cell.client, cell.stack, *number);
        let evidence = Evidence { client, stack, step: step_number, expected, observed, documented, difference };
        let judgement = judge(&evidence);
        if !judgement.mismatches.is_empty() {
            // What a server that was killed makes of an attempt is no finding.
            server.check_undisturbed(mark).await?;
        }
        Ok(Some(JudgedStep { judgement, evidence }))
    }

    /// Applies the first configuration of a cell, to connect more often than once.
    ///
    /// # Errors
    /// If the server or Kong does not take the configuration.
    pub async fn prepare_client(&self, cell: &Cell) -> Result<Prepared, CellError> {
        let step = cell.case.steps.first().ok_or(CellError::NoExpectation)?;
        let notebook = &Notebook::default();
        let made = self.make(&step.situation, notebook).await?;
        let mut lease = self.pool.lease(cell.major, &made.configuration).await?;
        let context = StepContext { cell, step, number: 0, made, kong_runs_on: false, notebook };
        lease.distrust();
        let SetUp { failed_start, task, folder, .. } = self.set_up(&context, lease.server(), None).await?;
        lease.trust();
        match failed_start {
            None => Ok(Prepared { lease, task: task?, configuration: context.made.configuration, folder }),
            Some(log) => Err(CellError::NotStarted(log)),
        }
    }
}

/// A server that is ready for a client.
pub struct Prepared {
    /// The server.
    pub lease: Lease,
    /// What the client is asked to do.
    pub task: Task,
    /// What the server is configured with.
    pub configuration: Configuration,
    /// The folder with Kong's files, which goes with this value.
    pub folder: tempfile::TempDir,
}

/// Whether the server's version is of the major that was asked for.
fn check_major(wanted: Major, facts: &ServerFacts) -> Result<(), CellError> {
    let digits = facts.version.find(|character: char| !character.is_ascii_digit()).unwrap_or(facts.version.len());
    if facts.version[..digits].parse() == Ok(wanted.0) {
        return Ok(());
    }
    Err(CellError::WrongMajor { wanted, version: facts.version.clone() })
}

/// Whether the case is about a server that was built like this one.
fn check_build(only: Option<&Only>, facts: &ServerFacts) -> Result<(), CellError> {
    let unsupported = |only: &Only, server| Err(CellError::Unsupported(format!("{} ({server})", only.because)));
    match only.filter(|only| only.built_without_tls) {
        Some(only) if facts.has_tls => return unsupported(only, "this one is built with TLS".to_owned()),
        None if !facts.has_tls => {
            let reason = "PostgreSQL is built without TLS here; install another, or name it with PGBIN";
            return Err(CellError::Blocked(reason.into()));
        }
        _ => {}
    }
    let Some((only, range)) = only.and_then(|only| Some((only, only.openssl?))) else { return Ok(()) };
    match OpensslRelease::of(facts) {
        Some(release) if range.contains(release) => Ok(()),
        Some(release) => unsupported(only, format!("OpenSSL {release}")),
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
        let facts = ServerFacts { major: Major(18), version: version.into(), openssl: None, has_tls: true };
        assert_eq!(check_major(Major(18), &facts).is_ok(), accepted);
    }

    #[rstest]
    #[case(true, false, None)]
    #[case(false, false, Some(Verdict::Blocked))]
    #[case(true, true, Some(Verdict::Unsupported))]
    #[case(false, true, None)]
    fn a_case_runs_only_on_a_server_that_was_built_as_it_needs(
        #[case] has_tls: bool,
        #[case] built_without_tls: bool,
        #[case] expected: Option<Verdict>,
    ) {
        let facts = ServerFacts { major: Major(18), version: "18.6".into(), openssl: None, has_tls };
        let only =
            Only { postgres: None, openssl: None, built_without_tls, clients: Vec::new(), because: "why".into() };
        let verdict = check_build(Some(&only), &facts).err().map(|error| error.verdict());
        assert_eq!(verdict, expected);
    }

    #[rstest]
    #[case(Some("3.5.7"), Some(Verdict::Unsupported))]
    #[case(Some("3.5.9"), None)]
    #[case(None, Some(Verdict::Blocked))]
    fn a_case_about_an_openssl_runs_only_on_that(#[case] openssl: Option<&str>, #[case] expected: Option<Verdict>) {
        let openssl = openssl.map(str::to_owned);
        let facts = ServerFacts { major: Major(17), version: "17.12".into(), openssl, has_tls: true };
        let range = Some("3.5.9+".parse().expect("a range"));
        let only = Only {
            postgres: None,
            openssl: range,
            built_without_tls: false,
            clients: Vec::new(),
            because: "why".into(),
        };
        assert_eq!(check_build(Some(&only), &facts).err().map(|error| error.verdict()), expected);
    }
}
