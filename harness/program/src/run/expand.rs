//! Expectations in the words of a cell: its PostgreSQL, the OpenSSL on either side, its certificates, its address.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use certificate_trees::{Authority, PkiError, Tree};
use kong_pg_client::{Edition, Stack};
use kong_pg_scenarios::format::{Connects, Documented, KongText, ServerLog, Would};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{Change, Expected, Step, TextContext, TextError, Texts};
use kong_pg_scenarios::vocabulary::{TlsVersion, openssl_line_of};
use postgres_tls_server::ServerFacts;
use serde_json::{Value, json};
use thiserror::Error;

use crate::judge::{Attempt, Delivery, Expectation, ExpectedOutcome, KnownDeviation, Templates, silent};

/// What the texts of a cell depend on.
pub struct Words<'a> {
    /// The texts of the suite.
    pub texts: &'a Texts,
    /// What makes the certificates.
    pub authority: &'a Authority,
    /// The cell.
    pub cell: &'a Cell,
    /// The server's version and OpenSSL.
    pub facts: &'a ServerFacts,
    /// The certificates.
    pub tree: &'a Tree,
    /// The address Kong comes from, as the server names it.
    pub host: Option<&'a str>,
    /// The server's data directory.
    pub data_directory: &'a str,
    /// The folder of Kong's files.
    pub kong: &'a Path,
}

/// An expectation that cannot be expanded for a cell.
#[derive(Debug, Error)]
pub enum ExpandError {
    /// One of its texts.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A certificate that it names.
    #[error(transparent)]
    Certificate(#[from] PkiError),
}

/// Who says a text, and so whose OpenSSL decides how it reads.
#[derive(Debug, Clone, Copy)]
enum Speaker {
    Server,
    Kong,
}

/// Makes the lines of a template.
type Expander<'a> = dyn Fn(&str, Speaker) -> Result<Vec<String>, TextError> + 'a;
/// Names a certificate as people tell it from others.
type Describer<'a> = dyn Fn(&str) -> Result<String, PkiError> + 'a;

/// The expectation of a step on a server, with the names of the values that only the run knows in the place of these.
///
/// # Errors
/// If one of its texts is not there for these versions.
pub fn unresolved(texts: &Texts, cell: &Cell, facts: &ServerFacts, step: &Step) -> Result<Expectation, ExpandError> {
    let value = |name: &str| is_value(name).then(|| format!("{{{name}}}"));
    let server = TextContext { major: cell.major, openssl: openssl_line_of(facts), value: &value };
    let kong = TextContext { openssl: Some(cell.profile.openssl), ..server };
    let expand = |template: &str, speaker: Speaker| match speaker {
        Speaker::Server => texts.expand(template, &server),
        Speaker::Kong => texts.expand(template, &kong),
    };
    expectation(cell, step, &expand, &|file| Ok(format!("{{{file}}}")))
}

/// Whether a placeholder is one whose value only the run knows.
fn is_value(name: &str) -> bool {
    let of_certificate = |(what, _): (&str, &str)| matches!(what, "subject" | "issuer" | "serial");
    matches!(name, "host" | "datadir" | "kong") || name.split_once(" of ").is_some_and(of_certificate)
}

/// The text of `texts.yaml` for a TLS connection that the client closes without close_notify.
const ABRUPT_END: &str = "{TLS connection closed without close_notify}";

impl Words<'_> {
    /// The expectation of a step for the cell.
    ///
    /// # Errors
    /// If one of its texts or certificates is not there for these versions.
    pub fn expand(&self, step: &Step) -> Result<Expectation, ExpandError> {
        let value = |name: &str| self.value(name);
        let server = TextContext { major: self.cell.major, openssl: openssl_line_of(self.facts), value: &value };
        let kong = TextContext { openssl: Some(self.cell.profile.openssl), ..server };
        let expand = |template: &str, speaker: Speaker| match speaker {
            Speaker::Server => self.texts.expand(template, &server),
            Speaker::Kong => self.texts.expand(template, &kong),
        };
        expectation(self.cell, step, &expand, &|file| self.describe(file))
    }

    /// The same with the templates as they are, and the values of everything that any version has in their place.
    pub(super) fn templates(&self, step: &Step) -> Option<Templates> {
        let values = RefCell::new(BTreeMap::new());
        let collect = |template: &str, _| {
            for name in self.texts.values(template)? {
                if let Some(value) = self.value(&name) {
                    values.borrow_mut().insert(name, value);
                }
            }
            Ok(vec![template.to_owned()])
        };
        let expectation = expectation(self.cell, step, &collect, &|file| self.describe(file)).ok()?;
        let openssl = self.cell.profile.openssl.to_string();
        Some(Templates { expectation, values: values.into_inner(), openssl })
    }

    /// What was observed, as a scenario would expect it; `None` if that cannot be expected.
    pub(super) fn would_be(&self, step: &Step, attempt: &Attempt, log: &[String], relay: &[String]) -> Option<Value> {
        let templates = |log: &[String]| log.iter().map(|line| self.as_template(line)).collect::<Option<Vec<_>>>();
        let (mut log, relay) = (templates(log)?, templates(relay)?);
        let relay = (!relay.is_empty()).then(|| ("relay".to_owned(), json!(relay)));
        Some(match attempt {
            Attempt::NotMade | Attempt::Unconfirmed { .. } => return None,
            Attempt::Hung => {
                let mut hangs = json!({ "postgres": log });
                hangs.as_object_mut()?.extend(relay);
                json!({ "hangs": hangs })
            }
            Attempt::Refused(refusal) => {
                let key = if refusal.delivery == Delivery::Raised { "raises" } else { "kong" };
                let (stage, text) = (refusal.stage.as_str(), self.as_template(&refusal.text)?);
                let mut refused = json!({ "stage": stage, key: text, "postgres": log });
                refused.as_object_mut()?.extend(relay);
                json!({ "refused": refused })
            }
            Attempt::Connected(session) => {
                let mut connects = serde_json::Map::from_iter([("tls".to_owned(), json!(session.version()))]);
                connects.extend(session.client_dn.as_ref().map(|subject| ("client_dn".to_owned(), json!(subject))));
                let expected = serde_json::from_value(Value::Object(connects.clone())).ok()?;
                // This end is expected of every such connection.
                if closes_without_notify(step, &expected, self.cell) {
                    let context =
                        TextContext { major: self.cell.major, openssl: openssl_line_of(self.facts), value: &|_| None };
                    let end = self.texts.expand(ABRUPT_END, &context).ok()?;
                    log.truncate(log.strip_suffix(&end[..])?.len());
                }
                connects.extend((!log.is_empty()).then(|| ("postgres".to_owned(), json!(log))));
                connects.extend(relay);
                json!({ "connects": connects })
            }
        })
    }

    /// A text in which everything that only this run knows is a placeholder; `None` if it has braces of its own.
    fn as_template(&self, text: &str) -> Option<String> {
        if text.contains(['{', '}']) {
            return None;
        }
        let kong = self.kong.to_string_lossy();
        let host = self.host.unwrap_or("127.0.0.1");
        let text = text.replace(&*kong, "{kong}").replace(self.data_directory, "{datadir}");
        Some(text.replace(&format!("\"{host}\""), "\"{host}\""))
    }

    /// Where the documents are known to be wrong or silent about a cell.
    pub(super) fn known_deviations(&self) -> Result<Vec<KnownDeviation>, ExpandError> {
        let value = |name: &str| self.value(name);
        let server = TextContext { major: self.cell.major, openssl: openssl_line_of(self.facts), value: &value };
        let kong = TextContext { openssl: Some(self.cell.profile.openssl), ..server };
        let text = |text: &Option<String>, speaker: &TextContext<'_>| {
            let lines = text.as_ref().map(|text| self.texts.expand(text, speaker)).transpose();
            lines.map(|lines| lines.map(|lines| lines.join("\n")))
        };
        let known = |documented: &Documented| {
            let would = documented.would.as_ref().map(|would| {
                let (kong, postgres) = (text(&would.kong, &kong)?, text(&would.postgres, &server)?);
                Ok::<_, TextError>(Would { kong, postgres, ..would.clone() })
            });
            let Documented { claim, says, happens, instead, .. } = documented.clone();
            Ok(KnownDeviation { claim, says, happens, instead, would: would.transpose()? })
        };
        self.cell.documented().map(known).collect()
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "host" => return Some(self.host.unwrap_or("127.0.0.1").to_owned()),
            "datadir" => return Some(self.data_directory.to_owned()),
            "kong" => return Some(self.kong.display().to_string()),
            _ => {}
        }
        let (what, certificate) = name.split_once(" of ")?;
        let certificate = self.authority.certificate(self.tree, certificate).ok()?;
        match what {
            "subject" => Some(certificate.subject()),
            "issuer" => Some(certificate.issuer()),
            "serial" => certificate.serial().ok(),
            _ => None,
        }
    }

    /// A certificate as people tell it from others.
    fn describe(&self, file: &str) -> Result<String, PkiError> {
        let pem = self.authority.file(self.tree, file)?;
        let certificate = openssl::x509::X509::from_pem(&pem)?;
        Ok(describe(&certificate))
    }
}

fn expectation(
    cell: &Cell,
    step: &Step,
    expand: &Expander<'_>,
    describe: &Describer<'_>,
) -> Result<Expectation, ExpandError> {
    let reload = step.log.as_ref().map(|log| expand_log(log, expand)).transpose()?;
    let mut relay_log = silent();
    let (outcome, log) = match step.expect.as_ref().map(|expected| expected.on(cell.stack, cell.profile.edition)) {
        None => (None, vec![Vec::new()]),
        Some(Expected::Hangs { postgres, relay }) => {
            relay_log = expand_log(relay, expand)?;
            (Some(ExpectedOutcome::Hangs), expand_log(postgres, expand)?)
        }
        Some(Expected::Connects(connects)) => {
            let mut log = expand_log(&connects.postgres, expand)?;
            relay_log = expand_log(&connects.relay, expand)?;
            if closes_without_notify(step, connects, cell) {
                let end = expand(ABRUPT_END, Speaker::Server)?;
                // A connection of any kind may be one in plaintext, which has no such end.
                let plain = if connects.tls.accepted().is_empty() { log.clone() } else { Vec::new() };
                for lines in &mut log {
                    lines.extend(end.iter().cloned());
                }
                log.extend(plain);
            }
            let certificate = connects.certificate.as_deref().filter(|_| cell.client.is_transparent());
            let certificate = certificate.map(describe);
            let outcome = ExpectedOutcome::Connects {
                tls: connects.tls.accepted().iter().map(|version| version.as_str().to_owned()).collect(),
                cipher: connects.cipher.clone(),
                client_dn: connects.client_dn.clone().filter(|_| cell.client.is_transparent()),
                certificate: certificate.transpose()?,
            };
            (Some(outcome), log)
        }
        Some(Expected::Refused { stage, kong: says, postgres, relay }) => {
            relay_log = expand_log(relay, expand)?;
            let all = |texts: &[String]| {
                let texts = texts.iter().map(|text| Ok(expand(text, Speaker::Kong)?.join("\n")));
                texts.collect::<Result<_, TextError>>()
            };
            let outcome = ExpectedOutcome::Refused {
                stage: stage.filter(|_| cell.client.is_transparent()),
                kong: all(says.text().accepted())?,
                raised: says.is_raised(),
                raised_instead: all(says.text().raised_instead())?,
                because: match says.text() {
                    KongText::AnyOf(any) => Some(any.because.clone()),
                    KongText::One(_) => None,
                },
            };
            (Some(outcome), expand_log(postgres, expand)?)
        }
    };
    let open_connection = step.open_connection.clone().filter(|_| !is_kept_out(cell));
    let answers = step.queries.clone();
    Ok(Expectation { reload, open_connection, outcome, server_log: log, relay_log, answers })
}

/// Whether the open-source edition is rejected at first where Enterprise is accepted: it has no connection to keep open.
fn is_kept_out(cell: &Cell) -> bool {
    let first = cell.case.steps.first().and_then(|step| step.expect.as_ref());
    let let_in = |edition| first.is_some_and(|expect| matches!(expect.on(cell.stack, edition), Expected::Connects(_)));
    cell.profile.edition == Edition::Oss && let_in(Edition::Enterprise) && !let_in(Edition::Oss)
}

/// Whether the server is going to complain of how Kong ends a connection: a cosocket just closes, and so does
/// Enterprise's driver, where the open-source one says goodbye first.
fn closes_without_notify(step: &Step, connects: &Connects, cell: &Cell) -> bool {
    let in_tls = !connects.tls.accepted().contains(&TlsVersion::Off);
    // What stands in between may end it otherwise.
    let situation = &step.situation;
    let direct = situation.kong.proxy.as_ref().is_none_or(|proxy| proxy.does.hands_on())
        && situation.relay.as_ref().is_none_or(|relay| relay.program.hands_on());
    // A connection that is kept open has not ended.
    let kept = match step.change {
        Change::First => cell.case.keeps_first_open(),
        change => change == Change::FromPool,
    };
    in_tls && direct && !kept && cell.stack == Stack::Cosocket && !cell.profile.sends_terminate()
}

/// A certificate as people tell it from others: subject, and what is the beginning of its SHA-256 fingerprint.
pub(super) fn describe(certificate: &openssl::x509::X509Ref) -> String {
    let digest = certificate.digest(openssl::hash::MessageDigest::sha256());
    let fingerprint: String =
        digest.iter().flat_map(|digest| digest[..8].iter()).map(|byte| format!("{byte:02x}")).collect();
    format!("{} (SHA-256 {fingerprint})", certificate_trees::oneline(certificate.subject_name()))
}

fn expand_log(log: &ServerLog, expand: &Expander<'_>) -> Result<Vec<Vec<String>>, TextError> {
    let alternative = |lines: Vec<&str>| {
        lines.into_iter().try_fold(Vec::new(), |mut all, line| {
            all.extend(expand(line, Speaker::Server)?);
            Ok(all)
        })
    };
    log.accepted().into_iter().map(alternative).collect()
}
