//! New versions of texts, from runs in which they were missing: each failed cell has what was observed, and the templates
//! that a text is missing in.

mod edit;
mod gap;
mod lesson;
mod render;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use kong_pg_scenarios::format::Wording;
use kong_pg_scenarios::suite::{TextVersion, Texts};

pub use edit::{EditError, write};
use lesson::{Lesson, Missing};
pub use render::write_learned;

use crate::judge::{Expected, Verdict};
use crate::record::{CellRecord, Results};

/// What was learned.
#[derive(Debug)]
pub struct Learned {
    /// The wordings that were found, by text and version.
    pub wordings: Vec<LearnedWording>,
    /// Cells in which a text is missing and that nothing explains, each with the reason it failed for.
    pub unexplained: Vec<(String, String)>,
    /// Cells that failed for something else than a missing text.
    pub other_failures: usize,
    /// What the cells ran on, by version: `PostgreSQL 19.1 with OpenSSL 4.0.3, 2026-11-24`.
    pub sources: Vec<(TextVersion, String)>,
}

/// A wording of a text on a version.
#[derive(Debug, Clone)]
pub struct LearnedWording {
    /// The name of the text.
    pub text: String,
    /// The version.
    pub version: TextVersion,
    /// The wording.
    pub wording: Wording,
    /// In how many cells it was seen.
    pub cells: usize,
    /// Whether no other version has it.
    pub is_new: bool,
}

impl CellRecord {
    /// What can be learned from it, if it failed because a text is missing.
    fn lesson(&self) -> Option<Lesson<'_>> {
        let Some(Expected::Unknown { templates: Some(templates), .. }) = self.expected.as_deref() else { return None };
        Some(Lesson {
            id: &self.id,
            client: self.client,
            major: self.postgres.major,
            server: self.postgres.openssl.as_deref().and_then(|version| version.parse().ok()),
            kong: templates.openssl.parse().ok(),
            templates: &templates.expectation,
            values: &templates.values,
            observed: self.observation()?,
        })
    }
}

/// Learns what the texts lack for the versions of runs.
#[must_use]
pub fn learn(runs: &[Results], texts: &Texts) -> Learned {
    let cells = || runs.iter().flat_map(|run| &run.cells);
    let lessons: Vec<_> = cells().filter_map(CellRecord::lesson).collect();
    let mut found = Found { texts: texts.clone(), wordings: Vec::new() };
    found.take_known(&lessons);
    while found.take_new(&lessons) {}
    let wordings = found.wordings;
    let unexplained: Vec<_> = lessons.iter().filter(|lesson| !lesson.is_met(&found.texts)).collect();
    let reason =
        |id: &str| cells().find(|cell| *cell.id == *id).and_then(|cell| cell.reason.clone()).unwrap_or_default();
    let is_failure = |cell: &&CellRecord| cell.verdict == Verdict::Fail && cell.lesson().is_none();
    let versions: BTreeSet<_> = wordings.iter().map(|learned| learned.version).collect();
    Learned {
        sources: versions.into_iter().map(|version| (version, source(runs, version))).collect(),
        unexplained: unexplained.into_iter().map(|lesson| (lesson.id.to_owned(), reason(lesson.id))).collect(),
        other_failures: cells().filter(is_failure).count(),
        wordings,
    }
}

/// The texts with what was learned.
struct Found {
    texts: Texts,
    wordings: Vec<LearnedWording>,
}

impl Found {
    /// Takes the wordings of other versions with which most cells are as expected.
    fn take_known(&mut self, lessons: &[Lesson<'_>]) {
        let mut votes = IndexMap::<Missing, Vec<(Wording, usize)>>::new();
        for (missing, wording) in
            lessons.iter().filter_map(|lesson| lesson.explain(&self.texts, false)).flat_map(|it| it.known)
        {
            let of_missing = votes.entry(missing).or_default();
            match of_missing.iter_mut().find(|(known, _)| *known == wording) {
                Some((_, count)) => *count += 1,
                None => of_missing.push((wording, 1)),
            }
        }
        for ((text, version), wordings) in votes {
            let Some((wording, cells)) = wordings.into_iter().max_by_key(|(_, count)| *count) else { continue };
            self.take(LearnedWording { text, version, wording, cells, is_new: false });
        }
    }

    /// Takes one wording that no version has, if there is one; of the forms that it may have, the one that fits most
    /// cells.
    fn take_new(&mut self, lessons: &[Lesson<'_>]) -> bool {
        let open: Vec<_> = lessons.iter().filter(|lesson| !lesson.is_met(&self.texts)).collect();
        let explained = open.iter().find_map(|lesson| Some((lesson, lesson.explain(&self.texts, true)?)));
        let Some((lesson, explanation)) = explained else { return false };
        for ((text, version), wording) in explanation.known {
            let is_new = self.texts.0.get(&text).is_none_or(|text| text.wordings().all(|known| *known != wording));
            self.take(LearnedWording { text, version, wording, cells: 1, is_new });
        }
        let Some(((text, version), new)) = explanation.new else { return true };
        let Some(known) = self.texts.0.get(&text) else { return false };
        let fits = |wording: &Wording| {
            let texts = self.texts.clone().with(&text, version, wording.clone());
            open.iter().filter(|lesson| lesson.is_met(&texts)).count()
        };
        let counted = new.wordings(known, lesson.values).into_iter().map(|wording| (fits(&wording), wording));
        // Of several that fit as many, the first: it has the most placeholders.
        let best = counted.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((cells, wording)) = best else { return false };
        self.take(LearnedWording { text, version, wording, cells, is_new: true });
        true
    }

    fn take(&mut self, learned: LearnedWording) {
        let LearnedWording { text, version, wording, .. } = &learned;
        self.texts = std::mem::take(&mut self.texts).with(text, *version, wording.clone());
        self.wordings.push(learned);
    }
}

/// What the cells of a version ran on, and when.
fn source(runs: &[Results], version: TextVersion) -> String {
    let mut servers = BTreeSet::new();
    for run in runs {
        let day = run.run.started.split('T').next().unwrap_or_default();
        for postgres in run.cells.iter().map(|cell| &cell.postgres) {
            let (Some(server), Some(openssl)) = (&postgres.version, &postgres.openssl) else { continue };
            let is_of = match version {
                TextVersion::Postgres(major) => major == postgres.major,
                TextVersion::Openssl(line) => openssl.parse() == Ok(line),
            };
            if is_of {
                servers.insert(format!("PostgreSQL {server} with OpenSSL {openssl}, {day}"));
            }
        }
    }
    servers.into_iter().collect::<Vec<_>>().join("; ")
}
