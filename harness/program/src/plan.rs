//! Axes to cells. Planning touches no server: it is a pure function of the suite and of what was asked for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::format::{Documented, Scope};
use crate::suite::{Case, Difference, Suite};
use crate::vocabulary::{BadGlob, ClientKind, Globs};
use kong_pg_client::{Edition, Profile, Stack};
use postgres_tls_server::Major;

/// A case at one point of the axes.
#[derive(Debug, Clone)]
pub struct Cell {
    /// `scenario/path::case-slug@pg17+kong-3.15-enterprise+kong-cosocket`.
    pub id: String,
    /// The case.
    pub case: Arc<Case>,
    /// The PostgreSQL major.
    pub major: Major,
    /// The Kong release.
    pub profile: Arc<Profile>,
    /// Who connects.
    pub client: ClientKind,
    /// On which of Kong's stacks.
    pub stack: Stack,
}

impl Cell {
    /// Why the cell has no meaning, where its case says so.
    #[must_use]
    pub fn excluded(&self) -> Option<String> {
        let Case { only, excluded, excluded_releases, releases, .. } = &*self.case;
        let only = only.as_ref().filter(|only| only.postgres.is_some_and(|range| !range.contains(self.major)));
        let release = || {
            let named: Vec<_> = releases.iter().map(ToString::to_string).collect();
            let is_about = named.is_empty() || releases.contains(&self.profile);
            (!is_about).then(|| format!("the case is about Kong {}", named.join(", ")))
        };
        let excepted = || excluded_releases.iter().find(|(releases, _)| releases.contains(&self.profile));
        let excepted = || excepted().map(|(_, because)| because.clone());
        excluded.clone().or_else(|| Some(only?.because.clone())).or_else(release).or_else(excepted)
    }

    /// Whether an entry of `differences.yaml` covers the cell.
    #[must_use]
    pub fn is_covered_by(&self, difference: &Difference) -> bool {
        let entry = &difference.entry;
        difference.client == self.client
            && entry.stack.is_none_or(|stack| stack == self.stack)
            && entry.postgres.is_none_or(|range| range.contains(self.major))
            && difference.covers(&self.case)
    }

    /// Where the documents are wrong or silent about the cell.
    pub fn documented(&self) -> impl Iterator<Item = &Documented> {
        let is_here = |at: &Scope| {
            let is_oss = |edition| edition == Edition::Oss;
            at.stack.is_none_or(|stack| stack == self.stack)
                && at.edition.is_none_or(|edition| is_oss(edition) == is_oss(self.profile.edition))
                && at.postgres.is_none_or(|range| range.contains(self.major))
        };
        self.case.documented.iter().map(AsRef::as_ref).filter(move |documented| is_here(&documented.applies_to))
    }
}

/// The points at which every case is run.
#[derive(Debug, Clone)]
pub struct Axes {
    /// PostgreSQL majors.
    pub majors: Vec<Major>,
    /// Kong releases; those that each case is about, if none is named, or else the newest.
    pub profiles: Vec<Arc<Profile>>,
    /// Who connects.
    pub clients: Vec<ClientKind>,
    /// Kong's stacks.
    pub stacks: Vec<Stack>,
}

/// Which cells are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    globs: Option<Globs>,
    shard: Option<Shard>,
}

/// One of several parts of a suite that are run apart. A cell stays in its part when others come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u64,
    of: u64,
}

impl FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(format!("`{text}` is not a shard; the second of four is 2/4")),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    fn has(self, id: &str) -> bool {
        // FNV-1a: the same on every machine and in every release of the program.
        let hash = id
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        hash % self.of == self.number - 1
    }
}

impl Selection {
    /// Cells whose id, or its `scenario/path::case-slug`, matches one of the globs; all of them, if there is none.
    ///
    /// # Errors
    /// What is wrong with a glob.
    pub fn new(globs: &[String], shard: Option<Shard>) -> Result<Self, BadGlob> {
        let set = Globs::new(globs)?;
        Ok(Self { globs: (!globs.is_empty()).then_some(set), shard })
    }

    fn has(&self, cell: &Cell) -> bool {
        let named = |globs: &Globs| globs.is_match(&cell.id) || globs.is_match(&cell.case.id);
        self.globs.as_ref().is_none_or(named) && self.shard.is_none_or(|shard| shard.has(&cell.id))
    }
}

/// The cells of a suite, those of one case on one major beside each other.
#[must_use]
pub fn plan(suite: &Suite, axes: &Axes, selection: &Selection) -> Vec<Cell> {
    let mut cells = Vec::new();
    for major in &axes.majors {
        for case in suite.cases() {
            for profile in &releases(axes, case) {
                for client in &axes.clients {
                    for stack in &axes.stacks {
                        let id = format!("{}@pg{major}+kong-{profile}+{client}-{stack}", case.id);
                        let (case, profile) = (case.clone(), profile.clone());
                        cells.push(Cell { id, case, major: *major, profile, client: *client, stack: *stack });
                    }
                }
            }
        }
    }
    cells.retain(|cell| selection.has(cell));
    cells
}

fn releases(axes: &Axes, case: &Case) -> Vec<Arc<Profile>> {
    match (&axes.profiles[..], &case.releases[..]) {
        ([], []) => vec![Arc::new(Profile::newest())],
        ([], own) => own.iter().cloned().map(Arc::new).collect(),
        (named, _) => named.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0/4")]
    #[case("5/4")]
    #[case("1")]
    #[case("a/b")]
    fn what_is_no_shard_is_refused(#[case] text: &str) {
        assert!(text.parse::<Shard>().is_err());
    }

    #[test]
    fn every_cell_is_in_exactly_one_shard() {
        let shards: Vec<Shard> = (1..=3).map(|number| Shard { number, of: 3 }).collect();
        for id in (0..100).map(|number| format!("scenario/a::case-{number}@pg17")) {
            assert_eq!(shards.iter().filter(|shard| shard.has(&id)).count(), 1, "{id}");
        }
    }

    #[rstest]
    #[case("3.15-enterprise", ["everywhere", "in Enterprise"])]
    #[case("3.9-oss", ["everywhere", "in the open-source edition"])]
    #[case("pgmoon-kong-2.2.0", ["everywhere", "in Enterprise"])]
    fn documents_that_are_wrong_about_one_edition_are_right_about_the_other(
        #[case] release: &str,
        #[case] happens: [&str; 2],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let entry = |happens, at| {
            format!("{{ claim: it/works, happens: {happens}, since: ever, instead: nothing, applies_to: {{ {at} }} }}")
        };
        let entries = [
            entry("everywhere", ""),
            entry("in Enterprise", "edition: enterprise"),
            entry("in the open-source edition", "edition: oss"),
        ];
        let scenario = format!(
            "title: a scenario\ncases: [{{ name: a case, expect: {{ connects: {{ tls: off }} }}, documented: [{}] }}]",
            entries.join(", ")
        );
        std::fs::write(folder.path().join("a.yaml"), scenario).expect("a file");
        let claims = "documents: { it: { title: It, source: here, claims: { works: { under: all, says: so } } } }";
        std::fs::write(folder.path().join("claims.yaml"), claims).expect("a file");

        let suite = Suite::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
        let profile: Profile = release.parse().expect("a release");
        let majors = vec!["17".parse().expect("a major")];
        let axes = Axes {
            majors,
            profiles: vec![profile.into()],
            clients: vec![ClientKind::Kong],
            stacks: vec![Stack::Luasec],
        };
        let cells = plan(&suite, &axes, &Selection::default());
        assert_eq!(cells[0].documented().map(|entry| entry.happens.as_str()).collect::<Vec<_>>(), happens);
    }

    #[test]
    fn a_bad_glob_is_refused() {
        let error = Selection::new(&["mtls/[".into()], None).expect_err("a fault").to_string();
        assert!(error.starts_with("bad glob: "), "{error}");
    }
}
