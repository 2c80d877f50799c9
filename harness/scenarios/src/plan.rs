//! From axes to cells. Planning touches no server: it is a pure function of the suite and the request.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::{Documented, Scope};
use crate::suite::{Case, Difference, Suite};
use crate::vocabulary::{BadGlob, ClientKind, Globs};
use kong_pg_client::{Edition, Profile, ReleaseError, Releases, Stack};
use postgres_tls_server::Major;

/// A case at one point of the axes.
#[derive(Debug, Clone)]
pub struct Cell {
    /// `scenario/path::case-slug@pg17+kong-latest+kong-cosocket`. The release is `latest` where it is the default, so
    /// that a new default release changes no id.
    pub id: Arc<str>,
    /// Its place among all cells of the axes, whichever of them are selected.
    pub number: usize,
    /// The case.
    pub case: Arc<Case>,
    /// The PostgreSQL major.
    pub major: Major,
    /// The Kong release as the id names it: `latest`, `3.9-oss`.
    pub release: Arc<str>,
    /// What that release knows and defaults to.
    pub profile: Arc<Profile>,
    /// The client.
    pub client: ClientKind,
    /// On which of Kong's TLS stacks.
    pub stack: Stack,
}

impl Cell {
    /// Why the case has no meaning at this point of the axes, if it says so.
    #[must_use]
    pub fn excluded(&self) -> Option<String> {
        let Case { only, excluded, excluded_releases, releases, .. } = &*self.case;
        let only = only.as_ref().filter(|only| {
            only.postgres.is_some_and(|range| !range.contains(self.major))
                || !only.clients.is_empty() && !only.clients.contains(&self.client)
        });
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
    /// Kong releases. If there are none, each case runs on those that it is about, or else on the latest.
    pub releases: Vec<KongRelease>,
    /// Clients.
    pub clients: Vec<ClientKind>,
    /// Kong's stacks.
    pub stacks: Vec<Stack>,
}

impl Axes {
    /// The points that the end of a cell's id names: `pg17+kong-3.9-oss+kong-luasec`. What it leaves out is as in a run
    /// that names nothing: each case's own releases, this program's emulation of Kong, both stacks.
    ///
    /// # Errors
    /// If a part of it means nothing.
    pub fn of_id(end: &str, known: &Releases) -> Result<Self, PlanError> {
        let bad = || PlanError::CellId(end.to_owned());
        let mut parts = end.split('+');
        let major = parts.next().and_then(|part| part.strip_prefix("pg")?.parse().ok()).ok_or_else(bad)?;
        let releases = match parts.next().map(|part| part.strip_prefix("kong-").ok_or_else(bad)).transpose()? {
            Some(name) => KongRelease::named(name, known).map_err(PlanError::ReleaseOfId)?,
            None => Vec::new(),
        };
        let client = parts.next().map(|part| {
            let (client, stack) = part.rsplit_once('-')?;
            Some((client.parse().ok()?, stack.parse().ok()?))
        });
        if parts.next().is_some() || client == Some(None) {
            return Err(bad());
        }
        let (clients, stacks) = match client.flatten() {
            Some((client, stack)) => (vec![client], vec![stack]),
            None => (vec![ClientKind::Kong], Stack::ALL.to_vec()),
        };
        Ok(Self { majors: vec![major], releases, clients, stacks })
    }
}

/// A Kong release to run cells with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KongRelease {
    /// The newest of Kong Gateway Enterprise, whichever that is.
    Latest,
    /// This one.
    Named(Arc<Profile>),
}

impl KongRelease {
    /// The releases of a name: one, or several for `all`.
    ///
    /// # Errors
    /// If the name matches no release, or more than one.
    pub fn named(name: &str, known: &Releases) -> Result<Vec<Self>, ReleaseError> {
        let named = |profile: Profile| Self::Named(Arc::new(profile));
        Ok(match name {
            "latest" => vec![Self::Latest],
            "all" => known.all().into_iter().map(named).collect(),
            name => vec![named(known.find(name)?)],
        })
    }

    fn profile(&self, known: &Releases) -> Arc<Profile> {
        match self {
            Self::Latest => Arc::new(known.newest()),
            Self::Named(profile) => profile.clone(),
        }
    }
}

impl fmt::Display for KongRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Named(profile) => profile.fmt(f),
        }
    }
}

/// What is wrong with a request for cells.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A pattern that is not a glob.
    #[error(transparent)]
    Glob(#[from] BadGlob),
    /// A shard that is not one of several.
    #[error("`{0}` is not a shard; the second of four is 2/4")]
    Shard(String),
    /// An invalid end of a cell's id.
    #[error("`@{0}` is not the end of a cell's id; expected one like @pg17+kong-latest+kong-luasec")]
    CellId(String),
    /// A cell's id with a release that the program does not know.
    #[error("in the cell's id: {0}")]
    ReleaseOfId(#[source] ReleaseError),
    /// A release that the program does not know.
    #[error("--kong: {0}")]
    Release(#[from] ReleaseError),
}

/// Which cells are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    globs: Option<Globs>,
    shard: Option<Shard>,
}

/// One of several parts into which a suite is split. A case stays in its part when others are added or removed. All of
/// its cells are in the same part, where clients can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Shard {
    number: u64,
    of: u64,
}

impl FromStr for Shard {
    type Err = PlanError;
    fn from_str(text: &str) -> Result<Self, PlanError> {
        let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(PlanError::Shard(text.to_owned())),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl TryFrom<String> for Shard {
    type Error = PlanError;
    fn try_from(text: String) -> Result<Self, PlanError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl Shard {
    /// All shards of as many.
    pub fn siblings(self) -> impl Iterator<Item = Self> {
        (1..=self.of).map(move |number| Self { number, of: self.of })
    }

    fn contains(self, case: &str) -> bool {
        // FNV-1a: the same on every machine and in every release of the program.
        let hash = case
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        hash % self.of == self.number - 1
    }
}

impl Selection {
    /// Cells whose id, or its `scenario/path::case-slug`, matches one of the globs; all of them, if there is none.
    ///
    /// # Errors
    /// If one of them is not a glob.
    pub fn new(globs: &[String], shard: Option<Shard>) -> Result<Self, PlanError> {
        let set = Globs::new(globs)?;
        Ok(Self { globs: (!globs.is_empty()).then_some(set), shard })
    }

    /// Whether it has the cell.
    #[must_use]
    pub fn contains(&self, cell: &Cell) -> bool {
        let named = |globs: &Globs| globs.is_match(&cell.id) || globs.is_match(&cell.case.id);
        self.globs.as_ref().is_none_or(named) && self.shard.is_none_or(|shard| shard.contains(&cell.case.id))
    }
}

/// The cells of a suite; those of one case on one major are neighbours.
#[must_use]
pub fn plan(suite: &Suite, axes: &Axes, selection: &Selection) -> Vec<Cell> {
    let mut cells = Vec::new();
    for major in &axes.majors {
        for case in suite.cases() {
            for release in releases(axes, case) {
                for client in &axes.clients {
                    for stack in &axes.stacks {
                        let id = format!("{}@pg{major}+kong-{release}+{client}-{stack}", case.id);
                        let (case, profile) = (case.clone(), release.profile(&suite.releases));
                        let (number, major, client, stack) = (cells.len(), *major, *client, *stack);
                        let (id, release) = (id.into(), release.to_string().into());
                        cells.push(Cell { id, number, case, major, release, profile, client, stack });
                    }
                }
            }
        }
    }
    cells.retain(|cell| selection.contains(cell));
    cells
}

fn releases(axes: &Axes, case: &Case) -> Vec<KongRelease> {
    match (&axes.releases[..], &case.releases[..]) {
        ([], []) => vec![KongRelease::Latest],
        ([], own) => own.iter().cloned().map(Arc::new).map(KongRelease::Named).collect(),
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
    fn a_bad_shard_is_an_error(#[case] text: &str) {
        assert!(text.parse::<Shard>().is_err());
    }

    #[rstest]
    #[case("pg17", 1, 0, 2)]
    #[case("pg17+kong-3.9-oss", 1, 1, 2)]
    #[case("pg17+kong-latest+kong-image-cosocket", 1, 1, 1)]
    fn the_end_of_an_id_names_points(
        #[case] end: &str,
        #[case] majors: usize,
        #[case] releases: usize,
        #[case] stacks: usize,
    ) {
        let axes = Axes::of_id(end, Releases::built_in()).expect("axes");
        assert_eq!((axes.majors.len(), axes.releases.len(), axes.stacks.len()), (majors, releases, stacks));
    }

    #[rstest]
    #[case("17")]
    #[case("pgx")]
    #[case("pg17+latest")]
    #[case("pg17+kong-9.9")]
    #[case("pg17+kong-latest+kong")]
    #[case("pg17+kong-latest+kong-luasec+x")]
    fn the_end_of_no_id_is_an_error(#[case] end: &str) {
        assert!(Axes::of_id(end, Releases::built_in()).is_err());
    }

    /// Parts of a run are merged across releases of the program: a case never moves to another.
    #[test]
    fn a_case_stays_in_its_shard_for_ever() {
        let shard = |id: &str| (1..=4).find(|number| Shard { number: *number, of: 4 }.contains(id));
        assert_eq!(shard("tls/hba-lines::a-case"), Some(1));
    }

    #[test]
    fn every_case_is_in_exactly_one_shard() {
        let shards: Vec<Shard> = (1..=3).map(|number| Shard { number, of: 3 }).collect();
        for id in (0..100).map(|number| format!("scenario/a::case-{number}")) {
            assert_eq!(shards.iter().filter(|shard| shard.contains(&id)).count(), 1, "{id}");
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
        let majors = vec!["17".parse().expect("a major")];
        let axes = Axes {
            majors,
            releases: KongRelease::named(release, Releases::built_in()).expect("a release"),
            clients: vec![ClientKind::Kong],
            stacks: vec![Stack::Luasec],
        };
        let cells = plan(&suite, &axes, &Selection::default());
        assert_eq!(cells[0].documented().map(|entry| entry.happens.as_str()).collect::<Vec<_>>(), happens);
    }

    #[test]
    fn a_bad_glob_is_an_error() {
        let error = Selection::new(&["mtls/[".into()], None).expect_err("an error");
        assert!(error.to_string().starts_with("bad glob: "), "{error}");
    }
}
