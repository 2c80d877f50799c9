//! `check --live`: connects as Kong would, once on each of its stacks, and shows what the server sent.

mod attempts;
mod authorities;
mod json;
mod libpq;
mod log;
mod plan;
mod probe;
mod text;

use crate::desk::diagnose::{Circumstances, Diagnosis};
use crate::format::CausesFile;

pub use attempts::{Outcome, Stacked};
pub use json::LiveJson;
pub use libpq::Libpq;
pub use plan::{LiveError, Overrides, Plan, plan};
pub use probe::{Answer, HandshakeError, Sent};
pub use text::{write_announcement, write_result};

/// What came of it.
#[derive(Debug)]
pub struct LiveResult {
    /// What the server answers before anybody logs in.
    pub answer: Answer,
    /// The CAs whose certificates the server asks for, if it names them.
    pub authorities: Option<Vec<String>>,
    /// The logins.
    pub attempts: Vec<Stacked>,
    /// What the server has logged meanwhile, if its log was named.
    pub log: Option<Vec<String>>,
    /// What libpq makes of the same settings, if psql is here.
    pub libpq: Option<Libpq>,
}

impl LiveResult {
    /// Whether Kong connects on both stacks.
    #[must_use]
    pub fn connects(&self) -> bool {
        self.attempts.len() == 2 && self.attempts.iter().all(|attempt| matches!(attempt.outcome, Outcome::Connected))
    }
}

/// What the texts of both sides mean; nothing, if Kong connects.
#[must_use]
pub fn diagnose(plan: &Plan, result: &LiveResult, causes: &CausesFile) -> Option<Diagnosis> {
    if result.connects() {
        return None;
    }
    let kong = result.attempts.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Refused { text, .. } => Some(text.as_str()),
        Outcome::Hangs => Some("timeout"),
        Outcome::Connected => None,
    });
    let of_the_peer = match &result.answer {
        Answer::Unresolved(_) => Some("host not found"),
        Answer::Unreachable(why) => Some(why.as_str()),
        _ => None,
    };
    let log = result.log.iter().flatten().map(String::as_str);
    let text = kong.chain(of_the_peer).chain(log).collect::<Vec<_>>().join("\n");
    let circumstances = Circumstances { release: Some(plan.profile.clone()), ..Circumstances::default() };
    Some(causes.diagnose(&text, &circumstances))
}

/// Connects. Nothing is tried twice, and nothing takes longer than its limit.
pub async fn run(plan: &Plan) -> LiveResult {
    let answer = probe::probe(plan).await;
    if matches!(answer, Answer::Unresolved(_)) {
        return LiveResult { answer, authorities: None, attempts: Vec::new(), log: None, libpq: None };
    }
    let authorities = match &answer {
        Answer::Tls(_) => authorities::ask_for_authorities(plan).await,
        _ => None,
    };
    // What the handshakes before have left there is of no interest.
    let log = match &plan.log {
        Some(log) => Some(log.skip_to_end().await),
        None => None,
    };
    let attempts = attempts::both(plan).await;
    let log = match &log {
        Some(log) => Some(log.since().await),
        None => None,
    };
    let libpq = if matches!(answer, Answer::Unreachable(_)) { None } else { libpq::connect(plan).await };
    LiveResult { answer, authorities, attempts, log, libpq }
}
