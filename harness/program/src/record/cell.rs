//! The result of a cell as `results.json` and `events.jsonl` keep it. Its verdict can be decided again from it: see
//! [`CellRecord::evidence`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::IndexMap;
use kong_pg_client::{Stack, Stage};
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::{Major, RuntimeKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::certificates::{CertificatesRecord, KnownCertificates};
use super::time::{millis, rfc3339};
use crate::judge::{
    Attempt, Evidence, Expectation, Expected, Judgement, KnownDeviation, KnownDifference, Mismatch, Observation,
    Refusal, TlsSession, Verdict, judge,
};
use crate::leaks::Leak;
use crate::run::{Allowed, CellResult, ConfigFiles, Options};

/// The result of a cell.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CellRecord {
    /// `scenario/path::case-slug@pg17+kong-latest+kong-cosocket`
    pub id: Arc<str>,
    /// Its place in the plan, shards or not.
    pub number: usize,
    /// `scenario/path`
    pub scenario: String,
    /// The sentence that names the case.
    pub case: String,
    /// The file and line it is defined at.
    pub place: String,
    /// The claims of the documents that it checks.
    pub claims: Vec<String>,
    /// The server.
    pub postgres: PostgresRecord,
    /// Where the server ran.
    pub runtime: RuntimeKind,
    /// The client.
    pub client: ClientKind,
    /// On which of Kong's TLS stacks.
    pub stack: Stack,
    /// The Kong release: `3.15-enterprise`.
    pub kong: String,
    /// The Kong release as the id names it: `latest`, `3.15-enterprise`.
    pub release: Arc<str>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless it is `pass`.
    pub reason: Option<String>,
    /// The step that was judged, counted from 0.
    pub step: Option<usize>,
    /// What had to happen in that step.
    pub expected: Option<Arc<Expected>>,
    /// What happened in it.
    pub observed: Option<ObservedRecord>,
    /// Where the two differ.
    pub mismatches: Vec<Mismatch>,
    /// Where the documents are known to be wrong or silent about the cell.
    pub documented: Vec<KnownDeviation>,
    /// The entries of differences.yaml that are about the cell.
    pub may_differ: Vec<String>,
    /// The entry of differences.yaml that the cell confirms.
    pub difference: Option<KnownDifference>,
    /// Earlier attempts at the cell, with `--retries` and `--repeat`.
    pub earlier: Vec<EarlierRecord>,
    /// That it took too long, if it did.
    #[serde(default)]
    pub slow: Option<SlowRecord>,
    /// What it left behind.
    #[serde(default)]
    pub leaks: Vec<Leak>,
    /// Why the client may legitimately report something else next time, if it may.
    pub race: Option<String>,
    /// Settings of Kong that are ignored or misread.
    pub remarks: Vec<String>,
    /// The configuration files of the step, by name, without passwords. They are there also if the cell did not come to
    /// its end.
    pub files: Arc<FilesRecord>,
    /// The certificates of the step, if its files have any.
    #[serde(default)]
    pub certificates: Option<Arc<CertificatesRecord>>,
    /// Where evidence of the cell is kept, below the folder of the results.
    #[serde(default)]
    pub evidence: Option<String>,
    /// When the cell began (RFC 3339).
    pub started: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The command that runs only this cell again.
    pub command: String,
}

/// Configuration files by name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FilesRecord(pub IndexMap<String, String>);

// In their order, as they are shown.
impl PartialEq for FilesRecord {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice() == other.0.as_slice()
    }
}

impl Eq for FilesRecord {}

impl Hash for FilesRecord {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

/// An attempt at a cell that is not its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlierRecord {
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, unless it is `pass`.
    pub reason: Option<String>,
    /// When it began (RFC 3339).
    pub started: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl From<&CellResult> for EarlierRecord {
    fn from(result: &CellResult) -> Self {
        let CellResult { judgement, started, duration, .. } = result;
        let (started, duration_ms) = (rfc3339(*started), millis(*duration));
        Self { verdict: judgement.verdict, reason: judgement.reason.clone(), started, duration_ms }
    }
}

/// That a cell took longer than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlowRecord {
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How long it may take without being slow, in milliseconds.
    pub limit_ms: u64,
    /// How long it took in earlier runs, in milliseconds; `null` if there were none.
    pub usual_ms: Option<u64>,
}

impl SlowRecord {
    /// That of one attempt.
    fn of(attempt: &CellResult) -> Option<Self> {
        let Allowed { limit, usual } = attempt.slow?;
        Some(Self { took_ms: millis(attempt.duration), limit_ms: millis(limit), usual_ms: usual.map(millis) })
    }
}

impl fmt::Display for SlowRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took_ms, limit_ms, usual_ms } = self;
        match usual_ms {
            Some(usual_ms) => write!(f, "took {took_ms} ms, usually {usual_ms} ms"),
            None => write!(f, "took {took_ms} ms, more than {limit_ms} ms; it has no earlier run to compare with"),
        }
    }
}

/// A server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PostgresRecord {
    /// Its major version.
    pub major: Major,
    /// Its full version, if it ran.
    pub version: Option<String>,
    /// The version of the OpenSSL it is linked with, if that is known.
    pub openssl: Option<String>,
}

/// What happened in a step.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ObservedRecord {
    /// What can be the same in other cells.
    #[serde(flatten)]
    pub outcome: Arc<OutcomeRecord>,
    /// Everything that the server logged about the attempt, verbatim.
    pub server_log: Vec<Arc<str>>,
}

/// What came of a step: the observation, with what most readers look for beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeRecord {
    /// Whether Kong connected.
    pub connected: bool,
    /// What the server shows about the connection; `null` without TLS.
    pub tls: Option<TlsSession>,
    /// What Kong prints, character for character; `null` if it connected, hung, or made no attempt.
    pub error: Option<String>,
    /// The stage at which Kong was refused.
    pub stage: Option<Stage>,
    /// The verification error of the server's certificate, by OpenSSL's number.
    pub x509_code: Option<i32>,
    /// The TLS alert Kong received.
    pub alert: Option<String>,
    /// The SQLSTATE the server sent.
    pub sqlstate: Option<String>,
    /// What the verdict is derived from.
    #[serde(flatten)]
    pub observation: Observation,
}

/// A configuration file without the passwords in it.
pub(super) fn without_passwords(text: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim().to_lowercase().ends_with("password") => format!("{key}= ********\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

impl CellRecord {
    /// `scenario/path::case-slug`, without the axes.
    #[must_use]
    pub fn case_id(&self) -> &str {
        self.id.split_once('@').map_or(&self.id, |(case, _)| case)
    }

    /// Whether some attempts at it failed and others did not.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.earlier.iter().any(|attempt| attempt.verdict.is_failure() != self.verdict.is_failure())
    }

    /// What is remarkable about it besides its verdict: each with a word for it.
    pub fn marks(&self) -> impl Iterator<Item = (&'static str, String)> {
        let slow = self.slow.iter().map(|slow| ("slow", slow.to_string()));
        slow.chain(self.leaks.iter().map(|leak| ("leak", leak.to_string())))
    }

    /// The scenario on its major, as [`super::RunRecord::scenarios`] names it.
    #[must_use]
    pub fn scenario_and_major(&self) -> String {
        format!("{}@pg{}", self.scenario, self.postgres.major)
    }

    /// The file and line that the case is defined at.
    #[must_use]
    pub fn file_and_line(&self) -> (&str, u32) {
        let (file, line) = self.place.rsplit_once(':').unwrap_or((&self.place, ""));
        (file, line.parse().unwrap_or(1))
    }

    /// What was observed, if the cell came that far.
    #[must_use]
    pub fn observation(&self) -> Option<&Observation> {
        self.observed.as_ref().map(|observed| &observed.outcome.observation)
    }

    /// What was expected, if the cell came that far and the suite knows.
    #[must_use]
    pub fn expectation(&self) -> Option<&Expectation> {
        self.expected.as_deref().and_then(Expected::known)
    }

    /// The judgement that the record has.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        let (reason, mismatches, race) = (self.reason.clone(), self.mismatches.clone(), self.race.clone());
        Judgement { verdict: self.verdict, reason, mismatches, race }
    }

    /// The judgement on what was observed, decided again; nothing if the cell ended before anything was observed.
    #[must_use]
    pub fn judged_again(&self) -> Option<Judgement> {
        self.evidence().map(|evidence| judge(&evidence))
    }

    /// What the verdict was derived from; nothing if the cell ended before anything was observed.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        Some(Evidence {
            client: self.client,
            stack: self.stack,
            step: self.step?,
            expected: self.expected.as_deref()?.clone(),
            observed: self.observation()?.clone(),
            documented: self.documented.clone(),
            difference: self.difference.clone(),
        })
    }
}

impl CellRecord {
    /// The record of a result. `may_differ` has the places of the entries of differences.yaml that are about the cell.
    #[must_use]
    pub fn new(result: &CellResult, options: &Options, may_differ: Vec<String>, known: &mut KnownCertificates) -> Self {
        let CellResult { cell, judgement, runtime, evidence, difference, notes, started, duration, earlier, .. } =
            result;
        let attempts = || std::iter::once(result).chain(earlier);
        let server = notes.server.as_ref();
        let evidence = evidence.as_ref();
        let files = notes.files.iter().flat_map(ConfigFiles::named);
        let certificates = notes.step.and_then(|step| CertificatesRecord::new(cell, step, &notes.made, known));
        Self {
            id: cell.id.clone(),
            number: cell.number,
            scenario: cell.case.scenario.clone(),
            case: cell.case.name.clone(),
            place: cell.case.place.clone(),
            claims: cell.case.claims.clone(),
            postgres: PostgresRecord {
                major: cell.major,
                version: server.map(|server| server.version.clone()),
                openssl: server.and_then(|server| server.openssl.clone()),
            },
            runtime: *runtime,
            client: cell.client,
            stack: cell.stack,
            kong: cell.profile.to_string(),
            release: cell.release.clone(),
            verdict: judgement.verdict,
            reason: judgement.reason.clone(),
            step: evidence.map(|evidence| evidence.step),
            expected: evidence.map(|evidence| evidence.expected.clone().into()),
            observed: evidence.map(|evidence| ObservedRecord {
                outcome: OutcomeRecord::from(&evidence.observed).into(),
                server_log: notes.attempt_log.iter().map(|line| line.as_str().into()).collect(),
            }),
            mismatches: judgement.mismatches.clone(),
            documented: evidence.map(|evidence| evidence.documented.clone()).unwrap_or_default(),
            may_differ,
            difference: difference.clone(),
            earlier: earlier.iter().map(EarlierRecord::from).collect(),
            slow: attempts().find_map(SlowRecord::of),
            leaks: attempts().flat_map(|attempt| attempt.leaks.clone()).collect(),
            race: judgement.race.clone(),
            remarks: notes.remarks.clone(),
            files: FilesRecord(files.map(|(name, text)| (name.to_owned(), without_passwords(text))).collect()).into(),
            certificates: certificates.map(Arc::new),
            evidence: None,
            started: rfc3339(*started),
            duration_ms: millis(*duration),
            command: options.command_for(cell, *runtime),
        }
    }
}

impl From<&Observation> for OutcomeRecord {
    fn from(observed: &Observation) -> Self {
        let session = observed.attempt.connected();
        let refusal = observed.attempt.refusal();
        Self {
            connected: matches!(observed.attempt, Attempt::Connected(_)),
            tls: session.filter(|session| session.version.is_some()).cloned(),
            error: refusal.map(Refusal::printed),
            stage: refusal.map(|refusal| refusal.stage),
            x509_code: refusal.and_then(|refusal| refusal.x509_code),
            alert: refusal.and_then(|refusal| refusal.alert.clone()),
            sqlstate: refusal.and_then(|refusal| refusal.sqlstate.clone()),
            observation: observed.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_in_files_and_variables() {
        let text = "pg_ssl = on\npg_password = secret\nKONG_PG_PASSWORD=secret\npg_user = password\n";
        let masked = "pg_ssl = on\npg_password = ********\nKONG_PG_PASSWORD= ********\npg_user = password\n";
        assert_eq!(without_passwords(text), masked);
    }

    #[test]
    fn a_step_without_an_attempt_reports_nothing_of_kong_s() {
        let record = serde_json::to_value(OutcomeRecord::from(&Observation::default())).expect("JSON");
        assert_eq!(record["attempt"], "not-made");
        for key in ["error", "stage", "tls", "sqlstate"] {
            assert!(record[key].is_null(), "{key}: {record}");
        }
    }
}
