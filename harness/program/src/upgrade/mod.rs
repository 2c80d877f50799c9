//! What an upgrade changes for a configuration: from the facts of both releases, and from cells that try it with
//! servers under both.

mod data;
mod render;
mod servers;

use std::future::Future;

use indexmap::IndexMap;
use kong_pg_client::Stack;
use kong_pg_scenarios::suite::Suite;
use postgres_tls_server::Major;
use serde::Serialize;

pub use data::{ChangedText, Fact};
pub use render::write_upgrade;

use crate::desk::diagnose::{Circumstances, find_causes};
use crate::judge::{Attempt, TlsSession};
use crate::record::{CellRecord, RunEnd};
use crate::run::{CellRequest, Options, RuntimeRequest};
use crate::session::{Session, SessionError, load_causes};

/// An upgrade, and the configuration that it is about.
#[derive(Debug, Clone)]
pub struct Request {
    /// Kong's settings by name.
    pub settings: Vec<(String, String)>,
    /// The old release and the new one, by name.
    pub releases: (String, String),
    /// Files of releases beside the built-in ones.
    pub release_files: Vec<std::path::PathBuf>,
    /// The old PostgreSQL major and the new one; the newest here, if there are none.
    pub postgres: Option<(Major, Major)>,
    /// Where servers run.
    pub runtime: RuntimeRequest,
}

/// What an upgrade changes.
#[derive(Debug, Clone, Serialize)]
pub struct Upgrade {
    /// The old release.
    pub from: String,
    /// The new one.
    pub to: String,
    /// What changes by the facts of both.
    pub facts: Vec<Fact>,
    /// The texts that differ.
    pub texts: Vec<ChangedText>,
    /// What was tried; nothing, if only the facts were asked for.
    pub tried: Vec<Tried>,
    /// Whether something changes for the worse.
    pub worse: bool,
}

/// The configuration with one server, on one of Kong's stacks, under both releases.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The server: `a server with TLS 1.2 only`.
    pub server: String,
    /// The stack.
    pub stack: Stack,
    /// Under the old release.
    pub before: Outcome,
    /// Under the new one.
    pub after: Outcome,
    /// How the two differ.
    pub effect: Effect,
    /// What to do about it, if it is worse.
    pub fix: Option<String>,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The cell.
    pub cell: String,
    /// PostgreSQL, in full.
    pub postgres: Option<String>,
    /// How Kong connects, `TLSv1.3` or `plaintext`; nothing, if it does not.
    pub connects: Option<String>,
    /// What is to be read: `connects in TLSv1.3`, or Kong's text.
    pub says: String,
}

/// How the outcomes under both releases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Effect {
    /// It connected, and does not any more, or not in TLS any more.
    Worse,
    /// It did not connect, and does now.
    Better,
    /// It connects in another way, or is refused in other words.
    Different,
    /// Nothing differs.
    Same,
}

/// Why an upgrade cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// A release is not known.
    #[error(transparent)]
    Release(#[from] kong_pg_client::ReleaseError),
    /// The cells cannot be run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The scenario of the configuration cannot be written.
    #[error("cannot write a scenario for the configuration: {0}")]
    Folder(#[from] std::io::Error),
    /// Not every cell was run.
    #[error("interrupted")]
    Interrupted,
}

impl Upgrade {
    /// What changes by the facts of both releases.
    ///
    /// # Errors
    /// If a release is not known.
    pub fn of_facts(request: &Request, suite: &Suite) -> Result<Self, UpgradeError> {
        let (from, to) = (suite.releases.find(&request.releases.0)?, suite.releases.find(&request.releases.1)?);
        let facts = data::facts(&request.settings, &from, &to);
        let texts = data::texts(&suite.texts, (&from, &to), request.postgres);
        let worse = facts.iter().any(|fact| fact.worse);
        Ok(Self { from: from.to_string(), to: to.to_string(), facts, texts, tried: Vec::new(), worse })
    }

    /// Tries the configuration with servers under both releases, which proves what the facts only let expect.
    ///
    /// # Errors
    /// If the cells cannot be run.
    pub async fn prove(&mut self, request: &Request, cancelled: impl Future<Output = ()>) -> Result<(), UpgradeError> {
        let folder = tempfile::Builder::new().prefix("kong-pg-tls-upgrade-").tempdir()?;
        std::fs::write(folder.path().join("upgrade.yaml"), servers::scenario(&request.settings).to_string())?;
        let cells = CellRequest {
            scenarios: Some(folder.path().to_owned()),
            majors: request.postgres.map(|(from, to)| vec![from, to]).unwrap_or_default(),
            releases: vec![self.from.clone(), self.to.clone()],
            release_files: request.release_files.clone(),
            ..CellRequest::default()
        };
        let session = Session::open(&Options { cells, runtime: request.runtime.clone(), ..Options::default() }).await?;
        let newest = session.cells.iter().map(|cell| cell.major).max();
        let Some((old, new)) = request.postgres.or(newest.zip(newest)) else { return Ok(()) };
        let wanted = session.cells.iter().filter(|cell| {
            let release = cell.profile.to_string();
            release == self.from && cell.major == old || release == self.to && cell.major == new
        });
        let results = session.run(wanted.cloned().collect(), Vec::new(), &mut [], cancelled).await;
        session.close().await;
        if results.end != RunEnd::Finished {
            return Err(UpgradeError::Interrupted);
        }
        let causes = load_causes()?;
        let to = self.to.clone();
        let fix = |stack, outcome: &Outcome| {
            let release = crate::session::load_releases(&request.release_files).ok()?.find(&to).ok();
            let circumstances = Circumstances { release, stack: Some(stack), major: Some(new) };
            find_causes(&causes, &outcome.says, &circumstances).causes.first().map(|cause| cause.fix.clone())
        };
        let mut pairs = IndexMap::<(&str, Stack), (Option<&CellRecord>, Option<&CellRecord>)>::new();
        for cell in &results.cells {
            let pair = pairs.entry((point(cell), cell.stack)).or_default();
            if cell.kong == self.from && cell.postgres.major == old && pair.0.is_none() {
                pair.0 = Some(cell);
            }
            if cell.kong == self.to && cell.postgres.major == new {
                pair.1 = Some(cell);
            }
        }
        for ((server, stack), pair) in pairs {
            let (Some(before), Some(after)) = pair else { continue };
            let (before, after) = (Outcome::of(before), Outcome::of(after));
            let effect = Effect::of(&before, &after);
            let fix = if effect == Effect::Worse { fix(stack, &after) } else { None };
            self.tried.push(Tried { server: servers::describe(server).to_owned(), stack, before, after, effect, fix });
        }
        self.tried.sort_by_key(|tried| tried.effect);
        self.worse |= self.tried.iter().any(|tried| tried.effect == Effect::Worse);
        Ok(())
    }
}

/// The server of a cell, as its id has it: `only-tls-1-2`.
fn point(cell: &CellRecord) -> &str {
    let case = cell.id.split('@').next().unwrap_or_default();
    case.split_once('.').map_or(case, |(_, point)| point)
}

impl Outcome {
    fn of(cell: &CellRecord) -> Self {
        let attempt = cell.observation().map(|observed| &observed.attempt);
        let connects = attempt.and_then(Attempt::connected).map(TlsSession::version);
        let connects = connects.map(|version| if version == "off" { "plaintext" } else { version }.to_owned());
        let says = match (&connects, attempt) {
            (Some(version), _) => format!("connects in {version}"),
            (None, Some(Attempt::Refused(refusal))) => refusal.text.clone(),
            (None, Some(Attempt::Hung)) => "waits without end".to_owned(),
            _ => cell.reason.clone().unwrap_or_else(|| cell.verdict.to_string()),
        };
        Self { cell: cell.id.to_string(), postgres: cell.postgres.version.clone(), connects, says }
    }
}

impl Effect {
    fn of(before: &Outcome, after: &Outcome) -> Self {
        let in_tls = |outcome: &Outcome| outcome.connects.as_deref().is_some_and(|version| version != "plaintext");
        match (&before.connects, &after.connects) {
            (Some(_), None) => Self::Worse,
            (Some(_), Some(_)) if in_tls(before) && !in_tls(after) => Self::Worse,
            (None, Some(_)) => Self::Better,
            _ if before.says == after.says => Self::Same,
            _ => Self::Different,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Some("TLSv1.3"), None, Effect::Worse)]
    #[case(Some("TLSv1.3"), Some("plaintext"), Effect::Worse)]
    #[case(Some("TLSv1.2"), Some("TLSv1.3"), Effect::Different)]
    #[case(None, Some("plaintext"), Effect::Better)]
    #[case(Some("plaintext"), Some("plaintext"), Effect::Same)]
    fn a_connection_that_is_lost_or_loses_tls_is_worse(
        #[case] before: Option<&str>,
        #[case] after: Option<&str>,
        #[case] expected: Effect,
    ) {
        let outcome = |connects: Option<&str>| Outcome {
            cell: String::new(),
            postgres: None,
            connects: connects.map(str::to_owned),
            says: connects.unwrap_or("closed").to_owned(),
        };
        assert_eq!(Effect::of(&outcome(before), &outcome(after)), expected);
    }
}
