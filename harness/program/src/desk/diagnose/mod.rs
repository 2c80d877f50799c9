//! From messages of Kong or PostgreSQL to their causes, most likely first, each with what proves it.

mod render;
mod text;

use std::ops::Range;

use globset::Glob;
use indexmap::IndexMap;
use kong_pg_client::{Profile, Stack};
use kong_pg_scenarios::format::{Cause, CausesFile, ConnectionStep, Speaker, Symptom};
use postgres_tls_server::Major;
use schemars::JsonSchema;
use serde::Serialize;

pub use render::write_diagnosis;
use text::{Line, Translation};

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
    /// What the text is about, if not about PostgreSQL.
    pub unrelated: Option<String>,
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
    /// Cases in which it is fixed.
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

/// A symptom and its text in lower case.
type Pattern<'a> = (&'a Symptom, String);

/// Finds the known causes behind the lines of a text: a message, several, or a whole log.
#[must_use]
pub fn find_causes(known: &CausesFile, text: &str, circumstances: &Circumstances) -> Diagnosis {
    let translations = translations(known);
    let (lines, about) = without_unrelated(known, text::lines(text, &translations));
    let possible = |symptom: &&Symptom| {
        symptom.stack.is_none() || circumstances.stack.is_none() || symptom.stack == circumstances.stack
    };
    let patterns = known.symptoms.iter().filter(possible).map(|symptom| (symptom, symptom.text.to_lowercase()));
    let found = find(&lines, &patterns.collect::<Vec<_>>(), &translations);
    let telling = found.iter().max_by_key(|found| found.place.len());
    let mut texts: Vec<_> = found.iter().map(|found| found.line).collect();
    texts.sort_unstable();
    texts.dedup();
    let unrelated = about.filter(|_| found.is_empty());
    Diagnosis {
        who: telling.map(|found| found.symptom.who),
        step: telling.map(|found| found.symptom.step),
        stack: telling.and_then(|found| found.symptom.stack),
        texts: texts.into_iter().map(|line| lines[line].given.clone()).collect(),
        causes: suspects(known, &found, &text.to_lowercase(), circumstances),
        unrelated,
    }
}

/// The translations in lower case. Longer ones come first, as they may have shorter ones in them.
fn translations(known: &CausesFile) -> Vec<Translation> {
    let all = known.translations.values().flatten();
    let mut all: Vec<_> = all.map(|(from, to)| (from.to_lowercase(), to.to_lowercase())).collect();
    all.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    all
}

/// The lines that may be about PostgreSQL, and what one of the others is about.
fn without_unrelated(known: &CausesFile, lines: Vec<Line>) -> (Vec<Line>, Option<String>) {
    let mut about = None;
    let patterns: Vec<_> = known.unrelated.iter().map(|entry| (entry.text.to_lowercase(), &entry.about)).collect();
    let is_about = |line: &Line| {
        let found = patterns.iter().find(|(pattern, _)| line.find(pattern, false).is_some());
        found.filter(|_| !line.names_postgresql()).map(|(_, about)| (*about).clone())
    };
    let kept = lines.into_iter().filter(|line| {
        let of_this_line = is_about(line);
        let keep = of_this_line.is_none();
        about = about.take().or(of_this_line);
        keep
    });
    (kept.collect(), about)
}

fn suspects(known: &CausesFile, found: &[Found<'_>], log: &str, circumstances: &Circumstances) -> Vec<Suspect> {
    let mut scores = IndexMap::<&str, u64>::new();
    for Found { symptom, place, .. } in found {
        // Longer texts say more, and so do those with few causes; later causes are less likely.
        let certainty = match symptom.causes.len() {
            1 => 3,
            2 => 2,
            _ => 1,
        };
        let weight = certainty * (1000 + 10 * u64::try_from(place.len()).unwrap_or_default());
        for (position, code) in (1..).zip(&symptom.causes) {
            *scores.entry(code).or_default() += weight / position;
        }
    }
    let mut ranked: Vec<_> = scores
        .into_iter()
        .filter_map(|(code, score)| {
            let cause = known.causes.get(code)?;
            let fit = fit(cause, log, circumstances)?;
            Some((score * fit, code, cause))
        })
        .collect();
    ranked.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
    ranked.into_iter().map(|(_, code, cause)| Suspect::new(code, cause)).collect()
}

/// The symptoms in the lines, and in two lines together where neither has one by itself.
fn find<'a>(lines: &[Line], patterns: &[Pattern<'a>], translations: &[Translation]) -> Vec<Found<'a>> {
    let mut all: Vec<_> = lines.iter().map(|line| find_in(line, patterns)).collect();
    for (number, pair) in lines.windows(2).enumerate() {
        if all[number].is_empty() && all[number + 1].is_empty() && pair[1].may_be_a_rest() {
            let joined = pair[0].joined(&pair[1], translations);
            let found = joined.iter().map(|line| find_in(line, patterns)).find(|found| !found.is_empty());
            all[number] = found.unwrap_or_default();
        }
    }
    let of_line = |(line, found): (usize, Vec<(&'a Symptom, Range<usize>)>)| {
        found.into_iter().map(move |(symptom, place)| Found { symptom, line, place })
    };
    all.into_iter().enumerate().flat_map(of_line).collect()
}

/// The symptoms in a line. Of those within each other the longest is the one that was meant.
fn find_in<'a>(line: &Line, patterns: &[Pattern<'a>]) -> Vec<(&'a Symptom, Range<usize>)> {
    let of_the_server = line.is_of_the_server();
    let here: Vec<_> = patterns
        .iter()
        .filter(|(symptom, _)| {
            !(of_the_server && matches!(symptom.who, Speaker::Kong | Speaker::Nginx | Speaker::Libpq))
        })
        .filter_map(|(symptom, pattern)| Some((*symptom, line.find(pattern, symptom.whole)?)))
        .collect();
    let is_part = |place: &Range<usize>| {
        here.iter().any(|(_, other)| other != place && other.start <= place.start && place.end <= other.end)
    };
    here.iter().filter(|(_, place)| !is_part(place)).cloned().collect()
}

/// Whether a log has a word, and not merely as a part of another one.
fn mentions(log: &str, word: &str) -> bool {
    let is_bare = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let is_word = |start: usize| {
        let (before, after) = (log[..start].chars().next_back(), log[start + word.len()..].chars().next());
        (is_bare(before) || is_bare(word.chars().next())) && is_bare(after)
    };
    log.match_indices(word).any(|(start, _)| is_word(start))
}

/// How much more likely a cause is that only some releases have, on one of them.
const OF_THE_RELEASE: u64 = 10;
/// How much more likely a cause is if the log names what it is about.
const MENTIONED: u64 = 4;

/// By which factor a cause is more likely in the circumstances; `None` if it is impossible there.
fn fit(cause: &Cause, log: &str, circumstances: &Circumstances) -> Option<u64> {
    let Circumstances { release, stack, major } = circumstances;
    if cause.stack.is_some() && stack.is_some() && cause.stack != *stack {
        return None;
    }
    if cause.postgres.zip(*major).is_some_and(|(range, major)| !range.contains(major)) {
        return None;
    }
    let is_mentioned = cause.mentions.iter().any(|word| mentions(log, word));
    let mentioned = if is_mentioned { MENTIONED } else { 1 };
    let Some(release) = release.as_ref().filter(|_| !cause.releases.is_empty()) else { return Some(mentioned) };
    let is_named = |glob: &String| {
        let glob = Glob::new(glob).map(|glob| glob.compile_matcher());
        glob.is_ok_and(|glob| glob.is_match(release.to_string()))
    };
    // What a whole edition has is nothing special in one of its releases.
    let special = cause.releases.iter().any(|glob| !glob.starts_with('*'));
    let factor = if special { OF_THE_RELEASE } else { 1 };
    cause.releases.iter().any(is_named).then_some(mentioned * factor)
}

impl Suspect {
    fn new(code: &str, cause: &Cause) -> Self {
        let Cause { cause, fix, tell_apart, failing, passing, source, tls, .. } = cause.clone();
        Self { code: code.to_owned(), cause, fix, tell_apart, tls, failing, passing, source }
    }
}
