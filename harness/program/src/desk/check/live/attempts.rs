//! The logins, one on each of Kong's stacks.

use kong_pg_client::{Kong, Refusal, Stack};

use super::Plan;
use super::superuser::{Row, Superuser, SuperuserError};

/// A login on a stack.
#[derive(Debug)]
pub struct Stacked {
    /// The stack.
    pub stack: Stack,
    /// The result.
    pub outcome: Outcome,
    /// What the server shows of the connection, if it was asked.
    pub seen: Option<String>,
}

/// The result of a login.
#[derive(Debug)]
pub enum Outcome {
    /// Kong is connected.
    Connected,
    /// What Kong says, character for character, and at which step.
    Refused {
        /// `handshake`, `auth` and so on.
        step: &'static str,
        /// The text.
        text: String,
    },
    /// There was no result within the limit; Kong would wait longer.
    Hangs,
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { step: refusal.stage.as_str(), text: refusal.as_kong_prints_it() }
    }
}

/// First as nginx starts, then as a worker or the command line.
pub(super) async fn both(plan: &Plan, superuser: Option<&Superuser>) -> Vec<Stacked> {
    let mut attempts = Vec::new();
    for &stack in Stack::ALL {
        let mut seen = None;
        let outcome = one(plan, stack, superuser, &mut seen).await;
        attempts.push(Stacked { stack, outcome, seen });
    }
    attempts
}

/// What the server shows of a connection.
fn describe(shown: &Result<Option<Row>, SuperuserError>) -> String {
    match shown.as_ref().map(|row| row.as_deref()) {
        Ok(Some([version, cipher, subject, user, address])) => {
            let tls = match (version, cipher) {
                (Some(version), Some(cipher)) => format!("{version}, {cipher}"),
                _ => "no TLS".into(),
            };
            let certificate = subject.as_ref().map_or("no client certificate".into(), |it| format!("certificate {it}"));
            let [user, address] = [user, address].map(|it| it.as_deref().unwrap_or("unknown"));
            format!("{tls}, {certificate}, user {user}, from {address}")
        }
        Ok(_) => "the superuser's server has no such connection: Kong has reached another one, or a pooler".into(),
        Err(error) => error.to_string(),
    }
}

async fn one(plan: &Plan, stack: Stack, superuser: Option<&Superuser>, seen: &mut Option<String>) -> Outcome {
    let kong = match Kong::start(plan.settings.clone(), plan.profile.clone(), stack) {
        Ok(kong) => kong,
        Err(refusal) => return refusal.into(),
    };
    // Kong has a limit for each read, and LuaSec none in the handshake: this one is for the whole.
    let attempt = tokio::time::timeout(plan.limit.saturating_mul(2), kong.connect());
    match attempt.await.map(|attempt| attempt.result) {
        Ok(Ok(connection)) => {
            if let Some(superuser) = superuser {
                *seen = Some(describe(&superuser.session(connection.pid).await));
            }
            // A server that is slow to take the end of a connection has let Kong in all the same.
            let _ = tokio::time::timeout(plan.limit, connection.close()).await;
            Outcome::Connected
        }
        Ok(Err(refusal)) => refusal.into(),
        Err(_) => Outcome::Hangs,
    }
}
