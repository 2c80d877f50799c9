//! The result of connecting, for programs.

use openssl::x509::X509;
use serde::Serialize;

use super::super::material;
use super::{Answer, LiveResult, Outcome, Plan, ServerSide};
use crate::desk::diagnose::Diagnosis;

/// The `live` part of `check --live --json`. Passwords and keys are not in it.
#[derive(Debug, Serialize)]
pub struct LiveJson<'a> {
    host: String,
    port: u16,
    connects: bool,
    /// Why there is no TLS, if there is none.
    problem: Option<String>,
    version: Option<String>,
    cipher: Option<String>,
    chain: Vec<Certificate>,
    authorities: Option<Vec<String>>,
    attempts: Vec<Attempt>,
    log: Option<Vec<String>>,
    server: Option<&'a ServerSide>,
    /// Why the server's side is not there, if it was asked for.
    server_problem: Option<String>,
    libpq: Option<String>,
    diagnosis: Option<Diagnosis>,
}

#[derive(Debug, Serialize)]
struct Certificate {
    subject: String,
    issuer: String,
    not_before: String,
    not_after: String,
}

#[derive(Debug, Serialize)]
struct Attempt {
    stack: String,
    /// `connected`, `refused` or `hangs`.
    outcome: &'static str,
    step: Option<&'static str>,
    text: Option<String>,
    /// What the server shows of the connection.
    seen: Option<String>,
}

impl<'a> LiveJson<'a> {
    /// What there is to say.
    #[must_use]
    pub fn new(plan: &Plan, result: &'a LiveResult, diagnosis: Option<Diagnosis>) -> Self {
        let (sent, problem) = match &result.answer {
            Answer::Tls(sent) => (Some(sent), None),
            Answer::No => (None, Some("the server has no TLS".to_owned())),
            Answer::Unresolved(why) | Answer::Unreachable(why) | Answer::Strange(why) => (None, Some(why.clone())),
            Answer::NoHandshake(error) => (None, Some(error.to_string())),
        };
        let attempts = result.attempts.iter().map(|attempt| {
            let (outcome, step, text) = match &attempt.outcome {
                Outcome::Connected => ("connected", None, None),
                Outcome::Refused { step, text } => ("refused", Some(*step), Some(text.clone())),
                Outcome::Hangs => ("hangs", None, None),
            };
            Attempt { stack: attempt.stack.to_string(), outcome, step, text, seen: attempt.seen.clone() }
        });
        Self {
            host: plan.settings.host.clone(),
            port: plan.settings.port,
            connects: result.connects(),
            problem,
            version: sent.map(|sent| sent.version.clone()),
            cipher: sent.map(|sent| sent.cipher.clone()),
            chain: sent.into_iter().flat_map(|sent| &sent.chain).map(Certificate::from).collect(),
            authorities: result.authorities.clone(),
            attempts: attempts.collect(),
            log: result.log.clone(),
            server: result.server.as_ref().and_then(|side| side.as_ref().ok()),
            server_problem: result.server.as_ref().and_then(|side| Some(side.as_ref().err()?.to_string())),
            libpq: result.libpq.as_ref().map(|libpq| libpq.output.clone()),
            diagnosis,
        }
    }
}

impl From<&X509> for Certificate {
    fn from(certificate: &X509) -> Self {
        Self {
            subject: material::subject(certificate),
            issuer: certificate_trees::oneline(certificate.issuer_name()),
            not_before: certificate.not_before().to_string(),
            not_after: certificate.not_after().to_string(),
        }
    }
}
