//! `results.json`: everything a run has found out, for other programs. `harness/schema/results.json` is made from these
//! types, and a verdict can be decided again from a cell's record: see [`CellRecord::evidence`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kong_pg_client::{Stack, Stage};
use postgres_tls_server::RuntimeKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::reporter::{Report, Reporter, without_passwords, write_file};
use crate::judge::{
    Attempt, Evidence, Expected, KnownDeviation, KnownDifference, Mismatch, Observation, Refusal, TlsSession, Verdict,
};
use crate::run::{Agreement, CellResult, ConfigFiles, RunInfo};
use crate::vocabulary::ClientKind;

/// The version of the format.
const FORMAT: u32 = 2;

/// A result file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// The version of this format; it changes when a key disappears or changes its meaning.
    pub format: u32,
    /// The program and its version.
    pub program: String,
    /// When the run began (RFC 3339).
    pub started: String,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
    /// How many cells were planned.
    pub planned: usize,
    /// Whether all of them have a result; otherwise the run was interrupted.
    pub complete: bool,
    /// The clients, with their versions.
    pub clients: BTreeMap<ClientKind, String>,
    /// The results.
    pub cells: Vec<CellRecord>,
    /// How far each other client agrees with `kong`, if both were run.
    pub agreement: Vec<Agreement>,
    /// The places of entries in differences.yaml that no cell confirms although all of their cells were run.
    pub stale_differences: Vec<String>,
}

/// The result of a cell.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CellRecord {
    /// `scenario/path::case-slug@pg17+kong-latest+kong-cosocket`
    pub id: String,
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
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless it is `pass`.
    pub reason: Option<String>,
    /// The step that was judged, counted from 0.
    pub step: Option<usize>,
    /// What had to happen in that step.
    pub expected: Option<Expected>,
    /// What happened in it.
    pub observed: Option<ObservedRecord>,
    /// Where the two differ.
    pub mismatches: Vec<Mismatch>,
    /// Where the documents are known to be wrong or silent about the cell.
    pub documented: Vec<KnownDeviation>,
    /// The entry of differences.yaml that the cell confirms.
    pub difference: Option<KnownDifference>,
    /// Why the client may legitimately report something else next time, if it may.
    pub race: Option<String>,
    /// Settings of Kong that are ignored or misread.
    pub remarks: Vec<String>,
    /// The configuration files of the step, by name, without passwords.
    pub files: BTreeMap<String, String>,
    /// When the cell began (RFC 3339).
    pub started: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// A server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PostgresRecord {
    /// Its major version.
    pub major: u16,
    /// Its full version, if it ran.
    pub version: Option<String>,
    /// The version of the OpenSSL it is linked with, if that is known.
    pub openssl: Option<String>,
}

/// What happened in a step: the observation, with what most readers look for beside it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ObservedRecord {
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

impl CellRecord {
    /// What the verdict was derived from; nothing if the cell ended before anything was observed.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        Some(Evidence {
            client: self.client,
            stack: self.stack,
            step: self.step?,
            expected: self.expected.clone()?,
            observed: self.observed.as_ref()?.observation.clone(),
            documented: self.documented.clone(),
            difference: self.difference.clone(),
        })
    }
}

impl From<&CellResult> for CellRecord {
    fn from(result: &CellResult) -> Self {
        let CellResult { cell, judgement, runtime, server, evidence, difference, remarks, files, started, duration } =
            result;
        let server = server.as_ref();
        let evidence = evidence.as_ref();
        let files = files.iter().flat_map(ConfigFiles::named);
        Self {
            id: cell.id.clone(),
            scenario: cell.case.scenario.clone(),
            case: cell.case.name.clone(),
            place: cell.case.place.clone(),
            claims: cell.case.claims.clone(),
            postgres: PostgresRecord {
                major: cell.major.0,
                version: server.map(|server| server.version.clone()),
                openssl: server.and_then(|server| server.openssl.clone()),
            },
            runtime: *runtime,
            client: cell.client,
            stack: cell.stack,
            kong: cell.profile.to_string(),
            verdict: judgement.verdict,
            reason: judgement.reason.clone(),
            step: evidence.map(|evidence| evidence.step),
            expected: evidence.map(|evidence| evidence.expected.clone()),
            observed: evidence.map(|evidence| ObservedRecord::from(&evidence.observed)),
            mismatches: judgement.mismatches.clone(),
            documented: evidence.map(|evidence| evidence.documented.clone()).unwrap_or_default(),
            difference: difference.clone(),
            race: judgement.race.clone(),
            remarks: remarks.clone(),
            files: files.map(|(name, text)| (name.to_owned(), without_passwords(text))).collect(),
            started: rfc3339(*started),
            duration_ms: millis(*duration),
        }
    }
}

impl From<&Observation> for ObservedRecord {
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

impl From<&Report> for Results {
    fn from(report: &Report) -> Self {
        let RunInfo { planned, clients, started, .. } = &report.info;
        Self {
            format: FORMAT,
            program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
            started: rfc3339(*started),
            duration_ms: millis(report.duration),
            planned: *planned,
            complete: report.results.len() == *planned,
            clients: clients.clone(),
            cells: report.results.iter().map(CellRecord::from).collect(),
            agreement: report.agreement.clone(),
            stale_differences: report.stale.iter().map(|difference| difference.place.clone()).collect(),
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let to_the_millisecond = time.replace_millisecond(time.millisecond()).unwrap_or(time);
    to_the_millisecond.format(&Rfc3339).unwrap_or_default()
}

/// The result file in a folder, or the file itself.
#[must_use]
pub fn results_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("results.json") } else { path.to_owned() }
}

/// `results.json` in a folder.
pub(super) struct ResultsFile(PathBuf);

impl ResultsFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join("results.json"))
    }
}

impl Reporter for ResultsFile {
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        write_file(&self.0, &serde_json::to_vec_pretty(&Results::from(report))?)
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_an_attempt_reports_nothing_of_kong_s() {
        let record = serde_json::to_value(ObservedRecord::from(&Observation::default())).expect("JSON");
        assert_eq!(record["attempt"], "not-made");
        for key in ["error", "stage", "tls", "sqlstate"] {
            assert!(record[key].is_null(), "{key}: {record}");
        }
    }

    #[test]
    fn a_time_is_written_to_the_millisecond() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::new(86_400, 123_456_789);
        assert_eq!(rfc3339(time), "1970-01-02T00:00:00.123Z");
    }
}
