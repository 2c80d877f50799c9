//! The compatibility matrix: which release of Kong connects to which PostgreSQL major how, as proved by cells, beside what
//! Kong supports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use kong_pg_client::{Profile, Releases, Stack};
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::Major;
use serde::Serialize;

use super::reporter::{Reporter, Write, replace_file};
use crate::judge::{Attempt, Verdict};
use crate::record::{CellRecord, Results};

/// The page, beside the results.
pub(super) const PAGE: &str = "compatibility.md";
/// The same for programs.
pub(super) const MATRIX: &str = "matrix.json";

/// The page of a run that has all of the matrix.
pub(super) struct CompatibilityReport {
    pub(super) page: PathBuf,
}

impl Reporter for CompatibilityReport {
    fn finish(&mut self, run: &Results) -> io::Result<()> {
        Compatibility::of_run(run).map_or(Ok(()), |matrix| matrix.write(&self.page, replace_file).map(drop))
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.page.clone())
    }
}

/// A way to connect, with the cases that show it: of several, the one that is about the release.
struct Mode {
    title: &'static str,
    cases: &'static [&'static str],
}

/// The modes, in the order of the columns.
const MODES: [Mode; 8] = [
    Mode { title: "TLS", cases: &["tls/on-and-off::kong-connects.ssl-on.pg_ssl-on.not-required.not-verifying"] },
    Mode { title: "verified", cases: &["tls/on-and-off::kong-connects.ssl-on.pg_ssl-on.required.verifying"] },
    Mode { title: "`cert`", cases: &["mtls/cert::a-certificate.the-users.default"] },
    Mode { title: "`verify-full`", cases: &["mtls/clientcert-verify-full::a-certificate.trust.the-users"] },
    Mode {
        title: "SCRAM, RSA",
        cases: &[
            "passwords/methods::a-role-with-a-scram-secret.over-tls.scram-sha-256.correct",
            "passwords/kong-3.6::kong-3-6.scram-sha-256",
        ],
    },
    Mode { title: "SCRAM, P-256", cases: &["passwords/channel-binding::correct-password.ecdsa-with-p-256"] },
    Mode { title: "CRL, valid", cases: &["crl/revocation::a-crl.revoking-no-certificate.clientcert.default"] },
    Mode { title: "CRL, revoked", cases: &["crl/revocation::a-crl.revoking-kongs-certificate.clientcert.default"] },
];

/// What a cell has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
enum Shown {
    /// It connects, as expected.
    #[strum(serialize = "yes")]
    Connects,
    /// It is refused, as expected.
    #[strum(serialize = "no")]
    Refused,
    /// Something else than expected, or nothing.
    #[strum(serialize = "not proved")]
    NotProved,
}

/// One entry of the matrix.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    kong: String,
    postgres: Major,
    postgres_version: Option<String>,
    openssl: Option<String>,
    stack: Stack,
    mode: &'static str,
    shown: Shown,
    /// Kong's text, if it is refused.
    says: Option<String>,
    verdict: String,
    /// The cell that shows it.
    cell: String,
    /// Whether Kong's documents list this major for the release, if they list any.
    supported: Option<bool>,
}

/// The matrix.
#[derive(Debug, Serialize)]
pub struct Compatibility {
    /// The last day on which a run began.
    day: String,
    entries: Vec<Entry>,
    /// The releases, oldest first; those that are not known come last.
    #[serde(skip)]
    releases: Vec<(String, Option<Profile>)>,
}

/// The cases that the matrix is made of.
pub fn cases() -> impl Iterator<Item = &'static str> {
    MODES.iter().flat_map(|mode| mode.cases).copied()
}

impl Compatibility {
    /// The matrix of runs. Other clients than the emulated Kong are left out, and so are cases that are not about a
    /// release.
    #[must_use]
    pub fn new(runs: &[Results], known: &Releases) -> Self {
        let is_about_kong =
            |cell: &&CellRecord| cell.client == ClientKind::Kong && cell.verdict != Verdict::Unsupported;
        let mut entries = Vec::new();
        for cell in runs.iter().flat_map(|run| &run.cells).filter(is_about_kong) {
            let case = cell.id.split('@').next().unwrap_or_default();
            let Some(mode) = MODES.iter().find(|mode| mode.cases.contains(&case)) else { continue };
            let profile = known.find(&cell.kong).ok();
            let supported =
                profile.and_then(|profile| Some(profile.postgres_majors()?.contains(&cell.postgres.major.0)));
            entries.push(Entry::new(cell, mode, supported));
        }
        let mut used: BTreeSet<_> = entries.iter().map(|entry| entry.kong.clone()).collect();
        let named = known.all().into_iter().map(|profile| (profile.to_string(), Some(profile)));
        let mut releases: Vec<_> = named.filter(|(name, _)| used.remove(name)).collect();
        releases.extend(used.into_iter().map(|name| (name, None)));
        let days = runs.iter().filter_map(|run| run.run.started.split('T').next());
        Self { day: days.max().unwrap_or_default().to_owned(), entries, releases }
    }

    /// The matrix of one run, if it has several releases and every mode.
    pub(super) fn of_run(run: &Results) -> Option<Self> {
        let matrix = Self::new(std::slice::from_ref(run), Releases::built_in());
        let has = |mode: &Mode| matrix.entries.iter().any(|entry| entry.mode == mode.title);
        (matrix.releases.len() > 1 && MODES.iter().all(has)).then_some(matrix)
    }

    /// Writes the page into a file with `write`, and the matrix for programs beside it, whose path is returned.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn write(&self, page: &Path, write: Write) -> io::Result<PathBuf> {
        let json = page.with_file_name(MATRIX);
        write(page, &|out| out.write_all(self.page().as_bytes()))?;
        write(&json, &|out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            writeln!(out)
        })?;
        Ok(json)
    }

    /// Whether it has any entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The matrix as a page.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = INTRODUCTION.to_owned();
        let majors: BTreeSet<_> = self.entries.iter().map(|entry| entry.postgres).collect();
        let _ = writeln!(page, "\n{} cells, run on {} on:\n", self.entries.len(), self.day);
        let versions = self.entries.iter().filter_map(|entry| {
            Some((entry.postgres, entry.postgres_version.as_ref()?, entry.openssl.as_deref().unwrap_or("unknown")))
        });
        for (_, version, openssl) in versions.collect::<BTreeSet<_>>() {
            let _ = writeln!(page, "- PostgreSQL {version} with OpenSSL {openssl}");
        }
        let not_proved = self.entries.iter().filter(|entry| entry.shown == Shown::NotProved).count();
        let _ = writeln!(page, "\n{not_proved} of them did not end as expected.\n");
        let titles: Vec<_> = MODES.iter().map(|mode| mode.title).collect();
        let _ = writeln!(page, "| Kong | PostgreSQL supported | end of life | {} |", titles.join(" | "));
        let _ = writeln!(page, "|{}", "---|".repeat(3 + MODES.len()));
        for (name, profile) in &self.releases {
            let supported = profile.as_ref().and_then(Profile::postgres_majors);
            let supported = supported.map(|range| format!("{} to {}", range.start(), range.end()));
            let end = profile.as_ref().and_then(Profile::end_of_life).unwrap_or("not known");
            let modes: Vec<_> = MODES.iter().map(|mode| self.summary(name, mode, &majors)).collect();
            let supported = supported.as_deref().unwrap_or("not listed");
            let _ = writeln!(page, "| {name} | {supported} | {end} | {} |", modes.join(" | "));
        }
        let _ = writeln!(page, "\n## Evidence\n\nThe cell of an entry is `CASE@pgMAJOR+kong-RELEASE+kong-STACK`.\n");
        let _ = writeln!(page, "| mode | case |\n|---|---|");
        for Mode { title, cases } in &MODES {
            let _ = writeln!(page, "| {title} | `{}` |", cases.join("`<br>`"));
        }
        page
    }

    /// What a release shows in a mode: one word, or one for each stack or major where they differ.
    fn summary(&self, kong: &str, mode: &Mode, majors: &BTreeSet<Major>) -> String {
        let mut by_stack = IndexMap::<Stack, BTreeMap<Major, Shown>>::new();
        for entry in self.entries.iter().filter(|entry| entry.kong == kong && entry.mode == mode.title) {
            by_stack.entry(entry.stack).or_default().insert(entry.postgres, entry.shown);
        }
        let words = |on: &BTreeMap<Major, Shown>| {
            let mut alike = BTreeMap::<Shown, Vec<String>>::new();
            for (major, shown) in on {
                alike.entry(*shown).or_default().push(major.to_string());
            }
            let is_all = alike.len() == 1 && on.len() == majors.len();
            let parts = alike
                .iter()
                .map(|(shown, on)| if is_all { shown.to_string() } else { format!("{shown} on {}", on.join(", ")) });
            parts.collect::<Vec<_>>().join("; ")
        };
        let stacks: IndexMap<_, _> = by_stack.iter().map(|(stack, on)| (stack, words(on))).collect();
        let different: BTreeSet<_> = stacks.values().collect();
        match (different.len(), different.first()) {
            (0, _) | (_, None) => "not run".to_owned(),
            (1, Some(words)) => (*words).clone(),
            _ => stacks.iter().map(|(stack, words)| format!("{stack}: {words}")).collect::<Vec<_>>().join("<br>"),
        }
    }
}

impl Entry {
    fn new(cell: &CellRecord, mode: &Mode, supported: Option<bool>) -> Self {
        let attempt = cell.observation().map(|observed| &observed.attempt);
        let shown = match attempt {
            Some(Attempt::Connected(_)) if cell.verdict.is_proof() => Shown::Connects,
            Some(Attempt::Refused(_)) if cell.verdict.is_proof() => Shown::Refused,
            _ => Shown::NotProved,
        };
        Self {
            kong: cell.kong.clone(),
            postgres: cell.postgres.major,
            postgres_version: cell.postgres.version.clone(),
            openssl: cell.postgres.openssl.clone(),
            stack: cell.stack,
            mode: mode.title,
            shown,
            says: attempt.and_then(Attempt::refusal).map(|refusal| refusal.text.clone()),
            verdict: cell.verdict.to_string(),
            cell: cell.id.to_string(),
            supported,
        }
    }
}

const INTRODUCTION: &str = "\
# Which Kong connects to which PostgreSQL, and how

<!-- Made by kong-pg-tls, for docs by `ci/compatibility`; do not edit. -->

Each release of Kong, emulated, was run on both of its TLS stacks against real PostgreSQL servers. `yes`: it connects. `no`:
it is refused, as the scenario expects and explains (`kong-pg-tls explain CASE`). An entry names the stack or the majors if
they differ. `not run`: the case does not apply to the release. The second column is what Kong's documentation lists as
supported, whether or not it was run. With SCRAM, the server offers channel binding to its certificate, which has an RSA key
or an ECDSA key on P-256.
";

#[cfg(test)]
mod tests {
    use kong_pg_scenarios::suite::Suite;

    use super::Shown::{Connects, NotProved, Refused};
    use super::*;
    use crate::record::RunEnd;
    use crate::record::sample::{cell, run};
    use Stack::{Cosocket, Luasec};

    #[test]
    fn every_mode_is_shown_by_a_case_of_the_suite() {
        let suite = Suite::built_in().expect("a suite");
        let unknown: Vec<_> = cases().filter(|case| suite.cases().all(|known| known.id != *case)).collect();
        assert_eq!(unknown, [""; 0]);
    }

    /// One of which the program does not know, as it comes from a file.
    #[test]
    fn a_run_of_several_releases_with_every_mode_has_a_page_of_its_own() {
        let results = |cases: &[&str]| {
            let at = |kong: &str, case: &str| {
                let id = format!("{case}@pg17+kong-{kong}+kong-luasec").into();
                CellRecord { id, kong: kong.to_owned(), ..cell(0, "pass", "") }
            };
            let cells = cases.iter().flat_map(|case| ["3.99-enterprise", "3.9-oss"].map(|kong| at(kong, case)));
            Results::new(run(2 * cases.len()), cells.collect(), RunEnd::Finished, 1)
        };
        let all: Vec<_> = cases().collect();
        let page = Compatibility::of_run(&results(&all)).expect("a matrix").page();
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| 3.")).collect();
        assert!(rows[0].starts_with("| 3.9-oss | 13 to 17 |"), "{page}");
        assert!(rows[1].starts_with("| 3.99-enterprise | not listed | not known |"), "{page}");
        assert!(Compatibility::of_run(&results(&all[1..])).is_none(), "a mode is missing");
    }

    #[test]
    fn entries_that_differ_name_their_stack_or_major() {
        let entry = |postgres, stack, shown| Entry {
            kong: "3.9-oss".into(),
            postgres: Major(postgres),
            postgres_version: None,
            openssl: None,
            stack,
            mode: "TLS",
            shown,
            says: None,
            verdict: "pass".into(),
            cell: String::new(),
            supported: None,
        };
        let summary = |entries: Vec<Entry>| {
            let majors = entries.iter().map(|entry| entry.postgres).collect();
            let matrix = Compatibility { day: String::new(), entries, releases: Vec::new() };
            matrix.summary("3.9-oss", &MODES[0], &majors)
        };
        assert_eq!(summary(Vec::new()), "not run");
        assert_eq!(summary(vec![entry(15, Luasec, Connects), entry(15, Cosocket, Connects)]), "yes");
        let stacks = summary(vec![entry(15, Luasec, Connects), entry(15, Cosocket, Refused)]);
        assert_eq!(stacks, "luasec: yes<br>cosocket: no");
        let majors = summary(vec![entry(15, Luasec, Connects), entry(17, Luasec, NotProved)]);
        assert_eq!(majors, "yes on 15; not proved on 17");
        let missing = summary(vec![entry(15, Luasec, Connects), entry(17, Cosocket, Connects)]);
        assert_eq!(missing, "luasec: yes on 15<br>cosocket: yes on 17");
    }
}
