//! `results.json`: everything a run found out, for programs. `harness/schema/results.json` is made from these types.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Agreement, Report};
use crate::judge::{Expectation, Mismatch, Observation, Outcome, Verdict};
use crate::run::CellResult;
use crate::vocabulary::ClientKind;
use kong_pg_client::Stack;
use kong_pg_client::Stage;
use postgres_tls_server::RuntimeKind;

/// A result file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Results {
    /// The version of this format; it changes when something that was here goes or changes its meaning.
    pub format: u32,
    /// The program and its version.
    pub program: String,
    /// How many cells were planned; fewer have a result if the run was interrupted.
    pub planned: usize,
    /// Who connected: what they are, and of which version.
    pub clients: BTreeMap<ClientKind, String>,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
    /// What came of each cell.
    pub cells: Vec<CellJson>,
    /// How each witness agrees with `kong`, where both were run.
    pub agreement: Vec<Agreement>,
    /// Where in differences.yaml an entry is that no cell shows any more, although all of its cells were run.
    pub stale_differences: Vec<String>,
}

/// What came of a cell.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CellJson {
    /// `scenario/path::case-slug@pg17+kong-3.15-enterprise+kong-cosocket`
    pub id: String,
    /// `scenario/path`
    pub scenario: String,
    /// The sentence that names the case.
    pub case: String,
    /// The claims of the documents it bears on.
    pub claims: Vec<String>,
    /// The server it ran on.
    pub postgres: PostgresJson,
    /// Where the server ran.
    pub runtime: RuntimeKind,
    /// Who connected.
    pub client: ClientKind,
    /// On which of Kong's stacks.
    pub stack: Stack,
    /// The Kong release.
    pub kong: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless it is `pass`.
    pub reason: Option<String>,
    /// What had to happen.
    pub expected: Option<ExpectedJson>,
    /// What happened.
    pub observed: Option<ObservedJson>,
    /// Where the two differ.
    pub mismatches: Vec<MismatchJson>,
    /// What means something else in kong.conf than it looks like, or nothing.
    pub remarks: Vec<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// One thing that was not as expected.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MismatchJson {
    /// Whose words, or what.
    pub what: &'static str,
    /// What was expected: any of these, each line by line.
    pub expected: Vec<Vec<String>>,
    /// What was observed, line by line.
    pub observed: Vec<String>,
}

/// A server.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PostgresJson {
    /// Its major version.
    pub major: u16,
    /// Its full version, if it ran.
    pub version: Option<String>,
    /// The version of the OpenSSL it is linked with, if that is known.
    pub openssl: Option<String>,
}

/// What had to happen.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExpectedJson {
    /// Whether Kong had to connect.
    pub connected: bool,
    /// What `pg_stat_ssl` could show as the version; `off` for plaintext.
    pub tls: Vec<String>,
    /// The client certificate it had to show.
    pub client_dn: Option<String>,
    /// How far Kong had to come.
    pub stage: Option<&'static str>,
    /// What Kong could say, without its prefix.
    pub error: Vec<String>,
    /// What the server could log: any of these, each line by line.
    pub server_log: Vec<Vec<String>>,
}

/// What happened.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ObservedJson {
    /// Whether Kong connected.
    pub connected: bool,
    /// What `pg_stat_ssl` showed; nothing without TLS.
    pub tls: Option<TlsJson>,
    /// What Kong prints, character for character.
    pub error: Option<String>,
    /// How far Kong came.
    pub stage: Option<&'static str>,
    /// The verification error of the server's certificate, by OpenSSL's number.
    pub x509_code: Option<i32>,
    /// The TLS alert Kong received.
    pub alert: Option<&'static str>,
    /// The SQLSTATE the server gave.
    pub sqlstate: Option<String>,
    /// What the server logged about the connection, verbatim.
    pub server_log: Vec<String>,
}

/// What `pg_stat_ssl` showed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TlsJson {
    /// `TLSv1.3`
    pub version: String,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The subject of the client certificate.
    pub client_dn: Option<String>,
}

impl From<&CellResult> for CellJson {
    fn from(result: &CellResult) -> Self {
        let cell = &result.cell;
        let server = result.server.as_ref();
        Self {
            id: cell.id.clone(),
            scenario: cell.case.scenario.clone(),
            case: cell.case.name.clone(),
            claims: cell.case.claims.clone(),
            postgres: PostgresJson {
                major: cell.major.0,
                version: server.map(|server| server.version.clone()),
                openssl: server.and_then(|server| server.openssl.clone()),
            },
            runtime: result.runtime,
            client: cell.client,
            stack: cell.stack,
            kong: cell.profile.to_string(),
            verdict: result.verdict,
            reason: result.reason.clone(),
            expected: result.expected.as_ref().map(ExpectedJson::from),
            observed: result.observed.as_ref().map(ObservedJson::from),
            mismatches: result.mismatches.iter().map(MismatchJson::from).collect(),
            remarks: result.remarks.clone(),
            duration_ms: millis(result.duration),
        }
    }
}

impl From<&Mismatch> for MismatchJson {
    fn from(mismatch: &Mismatch) -> Self {
        let Mismatch { what, expected, observed } = mismatch.clone();
        Self { what, expected, observed }
    }
}

impl From<&Expectation> for ExpectedJson {
    fn from(expected: &Expectation) -> Self {
        let mut told = Self {
            connected: false,
            tls: Vec::new(),
            client_dn: None,
            stage: None,
            error: Vec::new(),
            server_log: expected.server.clone(),
        };
        match &expected.outcome {
            Some(Outcome::Connects { tls, client_dn, .. }) => {
                told.connected = true;
                told.tls.clone_from(tls);
                told.client_dn.clone_from(client_dn);
            }
            Some(Outcome::Refused { stage, kong, .. }) => {
                told.stage = stage.map(Stage::as_str);
                told.error.clone_from(kong);
            }
            Some(Outcome::Hangs) | None => {}
        }
        told
    }
}

impl From<&Observation> for ObservedJson {
    fn from(observed: &Observation) -> Self {
        let server_log = observed.server.log.clone();
        match &observed.outcome {
            Ok(connected) => {
                let proof = connected.proof.clone();
                let tls =
                    proof.version.map(|version| TlsJson { version, cipher: proof.cipher, client_dn: proof.client_dn });
                Self {
                    connected: true,
                    tls,
                    error: None,
                    stage: None,
                    x509_code: None,
                    alert: None,
                    sqlstate: None,
                    server_log,
                }
            }
            Err(refusal) => Self {
                connected: false,
                tls: None,
                error: Some(refusal.as_kong_prints_it()),
                stage: Some(refusal.stage.as_str()),
                x509_code: refusal.x509,
                alert: refusal.alert,
                sqlstate: refusal.sqlstate.clone(),
                server_log,
            },
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Report> for Results {
    fn from(report: &Report) -> Self {
        Self {
            format: 1,
            program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
            planned: report.planned,
            clients: report.clients.clone(),
            duration_ms: millis(report.duration),
            cells: report.results.iter().map(CellJson::from).collect(),
            agreement: report.agreements(),
            stale_differences: report.stale.iter().map(|difference| difference.place.clone()).collect(),
        }
    }
}

/// Writes `results.json` into a folder, all of it or nothing.
pub fn write_results(folder: &Path, report: &Report) -> std::io::Result<()> {
    let unfinished = folder.join("results.json.unfinished");
    std::fs::write(&unfinished, serde_json::to_vec_pretty(&Results::from(report))?)?;
    std::fs::rename(unfinished, folder.join("results.json"))
}
