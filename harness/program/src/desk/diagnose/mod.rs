//! From messages of Kong or PostgreSQL to their causes, most likely first, each with what proves it.

mod render;
mod text;

use std::ops::Range;

use globset::Glob;
use indexmap::IndexMap;
use kong_pg_client::{Profile, Stack};
use postgres_tls_server::Major;
use schemars::JsonSchema;
use serde::Serialize;

pub use render::write_diagnosis;
use text::Line;

use crate::format::{Cause, CausesFile, ConnectionStep, Speaker, Symptom};

/// What is known of the situation besides its texts.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// The Kong release.
    pub release: Option<Profile>,
    /// The one of Kong's stacks that speaks.
    pub stack: Option<Stack>,
    /// The PostgreSQL major.
    pub major: Option<Major>,
}

/// What texts mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnosis {
    /// Who printed the most telling of them; nothing, if none is known.
    pub who: Option<Speaker>,
    /// The step at which it is printed.
    pub step: Option<ConnectionStep>,
    /// The one of Kong's TLS stacks that prints it, where only one does.
    pub stack: Option<Stack>,
    /// The lines in which symptoms were found, as they were given, each once.
    pub texts: Vec<String>,
    /// The causes, most likely first.
    pub causes: Vec<Suspect>,
}

/// A cause that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suspect {
    /// Its code.
    pub code: String,
    /// What is wrong.
    pub cause: String,
    /// What to change.
    pub fix: String,
    /// What is seen if it is this one.
    pub tell_apart: String,
    /// Whether it is about TLS.
    pub tls: bool,
    /// Cases in which it shows.
    pub failing: Vec<String>,
    /// Cases in which it is mended.
    pub passing: Vec<String>,
    /// Where it is known from, if no case shows it.
    pub source: Option<String>,
}

/// A symptom found in a line.
struct Found<'a> {
    symptom: &'a Symptom,
    line: usize,
    place: Range<usize>,
}

impl CausesFile {
    /// Finds the causes behind the lines of a text: a message, several, or a whole log.
    #[must_use]
    pub fn diagnose(&self, text: &str, circumstances: &Circumstances) -> Diagnosis {
        let mut lines: Vec<Line> = Vec::new();
        for line in text.lines().map(Line::new).filter(|line| !line.whole.is_empty()) {
            // A log repeats itself.
            if !lines.iter().any(|known| known.message == line.message) {
                lines.push(line);
            }
        }
        let found = self.find(&lines, circumstances);
        let telling = found.iter().max_by_key(|found| found.place.len());
        let mut texts: Vec<_> = found.iter().map(|found| found.line).collect();
        texts.sort_unstable();
        texts.dedup();
        Diagnosis {
            who: telling.map(|found| found.symptom.who),
            step: telling.map(|found| found.symptom.step),
            stack: telling.and_then(|found| found.symptom.stack),
            texts: texts.into_iter().map(|line| lines[line].given.clone()).collect(),
            causes: self.suspects(&found, &text.to_lowercase(), circumstances),
        }
    }

    fn find<'a>(&'a self, lines: &[Line], circumstances: &Circumstances) -> Vec<Found<'a>> {
        let mut all = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let speaks = |symptom: &Symptom| {
                let of_the_client = matches!(symptom.who, Speaker::Kong | Speaker::Nginx | Speaker::Libpq);
                !(of_the_client && line.is_of_the_server())
                    && (symptom.stack.is_none()
                        || circumstances.stack.is_none()
                        || symptom.stack == circumstances.stack)
            };
            let here: Vec<_> = self
                .symptoms
                .iter()
                .filter(|symptom| speaks(symptom))
                .filter_map(|symptom| {
                    Some(Found { symptom, line: number, place: line.find(&symptom.text, symptom.whole)? })
                })
                .collect();
            let places: Vec<_> = here.iter().map(|found| found.place.clone()).collect();
            // Of symptoms within each other the longest is the one that was meant.
            let is_part = |place: &Range<usize>| {
                places.iter().any(|other| other != place && other.start <= place.start && place.end <= other.end)
            };
            all.extend(here.into_iter().filter(|found| !is_part(&found.place)));
        }
        all
    }

    fn suspects(&self, found: &[Found<'_>], log: &str, circumstances: &Circumstances) -> Vec<Suspect> {
        let mut scores = IndexMap::<&str, u64>::new();
        for Found { symptom, place, .. } in found {
            // Longer texts say more; later causes are less likely.
            let weight = 1000 + 10 * u64::try_from(place.len()).unwrap_or_default();
            for (position, code) in (1..).zip(&symptom.causes) {
                *scores.entry(code).or_default() += weight / position;
            }
        }
        let mut ranked: Vec<_> = scores
            .into_iter()
            .filter_map(|(code, score)| {
                let cause = self.causes.get(code)?;
                let fit = cause.fit(log, circumstances)?;
                Some((score * fit, code, cause))
            })
            .collect();
        ranked.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
        ranked.into_iter().map(|(_, code, cause)| Suspect::new(code, cause)).collect()
    }
}

/// How much more likely a cause is that only some releases have, on one of them.
const OF_THE_RELEASE: u64 = 10;
/// How much more likely a cause is if the log names what it is about.
const MENTIONED: u64 = 3;

impl Cause {
    /// By which factor it is more likely in the circumstances; `None` if it is impossible there.
    fn fit(&self, log: &str, circumstances: &Circumstances) -> Option<u64> {
        let Circumstances { release, stack, major } = circumstances;
        if self.stack.is_some() && stack.is_some() && self.stack != *stack {
            return None;
        }
        if self.postgres.zip(*major).is_some_and(|(range, major)| !range.contains(major)) {
            return None;
        }
        let is_mentioned = self.mentions.iter().any(|word| log.contains(word.as_str()));
        let mentioned = if is_mentioned { MENTIONED } else { 1 };
        let Some(release) = release.as_ref().filter(|_| !self.releases.is_empty()) else { return Some(mentioned) };
        let is_named = |glob: &String| {
            let glob = Glob::new(glob).map(|glob| glob.compile_matcher());
            glob.is_ok_and(|glob| glob.is_match(release.to_string()))
        };
        self.releases.iter().any(is_named).then_some(mentioned * OF_THE_RELEASE)
    }
}

impl Suspect {
    fn new(code: &str, cause: &Cause) -> Self {
        let Cause { cause, fix, tell_apart, failing, passing, source, tls, .. } = cause.clone();
        Self { code: code.to_owned(), cause, fix, tell_apart, tls, failing, passing, source }
    }
}
