//! A cell that failed because a text is missing, and which wordings explain what was observed in it.

use std::collections::BTreeMap;

use kong_pg_client::OpensslLine;
use kong_pg_scenarios::format::Wording;
use kong_pg_scenarios::suite::{TextContext, TextError, TextVersion, Texts};
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::Major;

use super::gap::{self, New, Place};
use crate::judge::{Attempt, Expectation, ExpectedOutcome, Observation};

/// A text on a version that it is not known for.
pub(super) type Missing = (String, TextVersion);

/// What can be learned from a cell.
pub(super) struct Lesson<'a> {
    pub(super) id: &'a str,
    pub(super) client: ClientKind,
    pub(super) major: Major,
    /// The OpenSSL lines of both sides, as far as they are known.
    pub(super) server: Option<OpensslLine>,
    pub(super) kong: Option<OpensslLine>,
    pub(super) templates: &'a Expectation,
    pub(super) values: &'a BTreeMap<String, String>,
    pub(super) observed: &'a Observation,
}

/// Wordings with which a cell is as expected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Explanation {
    /// Those that the texts have on other versions.
    pub(super) known: Vec<(Missing, Wording)>,
    /// One that they do not have.
    pub(super) new: Option<(Missing, New)>,
}

/// Texts that are accepted in one place, and what was observed there.
struct Compared {
    accepted: Vec<Vec<String>>,
    observed: Vec<String>,
}

impl Lesson<'_> {
    /// Whether the cell is as expected with these texts.
    pub(super) fn is_met(&self, texts: &Texts) -> bool {
        self.explain(texts, false).is_some_and(|explanation| explanation == Explanation::default())
    }

    /// The first explanation: with known wordings only, or with a single one that is new.
    pub(super) fn explain(&self, texts: &Texts, may_be_new: bool) -> Option<Explanation> {
        self.search(texts, None, may_be_new)
    }

    fn search(&self, texts: &Texts, new: Option<&Missing>, may_be_new: bool) -> Option<Explanation> {
        let compared = match self.compared(texts) {
            Ok(compared) => compared,
            Err((of_kong, TextError::NoWording { text, version })) => {
                // The emulation has the texts of the versions that it knows: a wording of its own proves nothing.
                if of_kong && self.client == ClientKind::Kong {
                    return None;
                }
                let missing = (text, version);
                return self.try_known(texts, new, may_be_new, &missing).or_else(|| {
                    let gap = gap::wording(&texts.0.get(&missing.0)?.arguments);
                    let with_gap = texts.clone().with(&missing.0, missing.1, gap);
                    may_be_new.then(|| self.search(&with_gap, Some(&missing), false))?
                });
            }
            Err(_) => return None,
        };
        let mut found = None;
        for Compared { accepted, observed } in compared {
            let place = accepted.iter().find_map(|lines| gap::fit(&lines.join("\n"), &observed.join("\n")))?;
            if let Place::Gap(new) = place {
                if found.as_ref().is_some_and(|other| *other != new) {
                    return None;
                }
                found = Some(new);
            }
        }
        Some(Explanation { known: Vec::new(), new: new.cloned().zip(found) })
    }

    /// Tries the wordings of other versions, the newest first; whole lines may also be missing altogether.
    fn try_known(
        &self,
        texts: &Texts,
        new: Option<&Missing>,
        may_be_new: bool,
        missing: &Missing,
    ) -> Option<Explanation> {
        let text = texts.0.get(&missing.0)?;
        let mut wordings: Vec<_> = text.wordings().rev().cloned().collect();
        if gap::is_of_lines(text) {
            wordings.push(Wording::Lines(Vec::new()));
        }
        wordings.into_iter().find_map(|wording| {
            let with_wording = texts.clone().with(&missing.0, missing.1, wording.clone());
            let mut explanation = self.search(&with_wording, new, may_be_new)?;
            explanation.known.push((missing.clone(), wording));
            Some(explanation)
        })
    }

    /// Everything that is compared, with the templates expanded; of an error, whether it is about what Kong says.
    fn compared(&self, texts: &Texts) -> Result<Vec<Compared>, (bool, TextError)> {
        let value = |name: &str| self.values.get(name).cloned();
        let server = TextContext { major: self.major, openssl: self.server, value: &value };
        let kong = TextContext { openssl: self.kong, ..server };
        let expand = |lines: &[String], of_kong: bool| {
            lines.iter().try_fold(Vec::new(), |mut all, line| {
                let speaker = if of_kong { &kong } else { &server };
                all.extend(texts.expand(line, speaker).map_err(|error| (of_kong, error))?);
                Ok(all)
            })
        };
        let log =
            |accepted: &[Vec<String>]| accepted.iter().map(|lines| expand(lines, false)).collect::<Result<_, _>>();
        let Expectation { reload, outcome, server_log, .. } = self.templates;
        let mut compared = Vec::new();
        if let Some(reload) = reload {
            compared.push(Compared { accepted: log(reload)?, observed: self.observed.reload.clone() });
        }
        if outcome.is_some() {
            compared.push(Compared { accepted: log(server_log)?, observed: self.observed.judged_log.clone() });
        }
        match (outcome, &self.observed.attempt) {
            (Some(ExpectedOutcome::Refused { kong, raised_instead, .. }), Attempt::Refused(refusal)) => {
                let texts = kong.iter().chain(raised_instead);
                let accepted = texts.map(|text| expand(std::slice::from_ref(text), true)).collect::<Result<_, _>>()?;
                compared.push(Compared { accepted, observed: refusal.text.lines().map(str::to_owned).collect() });
            }
            (Some(ExpectedOutcome::Connects { .. }), Attempt::Connected(_))
            | (Some(ExpectedOutcome::Hangs), Attempt::Hung)
            | (None, Attempt::NotMade) => {}
            // The outcome differs, not only its text.
            _ => compared.push(Compared { accepted: Vec::new(), observed: Vec::new() }),
        }
        Ok(compared)
    }
}
