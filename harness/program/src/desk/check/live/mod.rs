//! `check --live`: connects as Kong would, once on each of its stacks, and shows what the server sent.

mod attempts;
mod authorities;
mod json;
mod libpq;
mod log;
mod plan;
mod probe;
mod server_side;
mod superuser;
mod text;

use kong_pg_scenarios::format::CausesFile;

use crate::desk::diagnose::{Circumstances, Diagnosis, find_causes};

pub use attempts::{Outcome, Stacked};
pub use json::LiveJson;
pub use libpq::Libpq;
pub use plan::{LiveError, Overrides, Plan, plan};
pub use probe::{Answer, HandshakeError, Sent};
pub use server_side::{Rule, ServerSetting, ServerSide};
use superuser::Superuser;
pub use superuser::SuperuserError;
pub use text::{write_announcement, write_result};

/// The result.
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
    /// The server's side, if a superuser was named.
    pub server: Option<Result<ServerSide, SuperuserError>>,
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
    Some(find_causes(causes, &text, &circumstances))
}

/// The log that the server writes to a file of its own, read through SQL.
struct OwnLog<'a> {
    superuser: &'a Superuser,
    begins: Result<Option<(String, u64)>, SuperuserError>,
}

impl<'a> OwnLog<'a> {
    async fn begin(superuser: &'a Superuser) -> Self {
        tokio::time::sleep(log::PATIENCE).await;
        Self { superuser, begins: superuser.log().await }
    }

    /// The lines since then, or why there are none to see.
    async fn end(self) -> Result<Vec<String>, String> {
        tokio::time::sleep(log::PATIENCE).await;
        let why = |error: &SuperuserError| format!("the log: {error}; name it with --log");
        match &self.begins {
            Ok(Some(begins)) => self.superuser.lines(begins).await.map_err(|error| why(&error)),
            Ok(None) => Err("the log: logging_collector is off; name the log with --log".into()),
            Err(error) => Err(why(error)),
        }
    }
}

/// Connects. Nothing is tried twice, and nothing takes longer than its limit.
pub async fn run(plan: &Plan) -> LiveResult {
    let answer = probe::probe(plan).await;
    if matches!(answer, Answer::Unresolved(_)) {
        let attempts = Vec::new();
        return LiveResult { answer, authorities: None, attempts, log: None, server: None, libpq: None };
    }
    let authorities = match &answer {
        Answer::Tls(_) => authorities::ask_for_authorities(plan).await,
        _ => None,
    };
    let superuser = match &plan.superuser {
        Some(dsn) => Some(Superuser::connect(dsn, plan.limit).await),
        None => None,
    };
    // What the handshakes before have left there is of no interest.
    let log = match &plan.log {
        Some(log) => Some(log.skip_to_end().await),
        None => None,
    };
    let connected = superuser.as_ref().and_then(|superuser| superuser.as_ref().ok());
    let asked = match connected {
        Some(superuser) if log.is_none() => Some(OwnLog::begin(superuser).await),
        _ => None,
    };
    let attempts = attempts::both(plan, connected).await;
    let (log, no_log) = match (&log, asked) {
        (Some(log), _) => (Some(log.since().await), None),
        (None, Some(asked)) => asked.end().await.map_or_else(|why| (None, Some(why)), |lines| (Some(lines), None)),
        (None, None) => (None, None),
    };
    let server = match superuser {
        Some(Ok(superuser)) => Some(server_side::read(&superuser, plan).await.map(|mut side| {
            side.unseen.extend(no_log);
            side
        })),
        Some(Err(error)) => Some(Err(error)),
        None => None,
    };
    let libpq = if matches!(answer, Answer::Unreachable(_)) { None } else { libpq::connect(plan).await };
    LiveResult { answer, authorities, attempts, log, server, libpq }
}
