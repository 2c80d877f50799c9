//! All releases that are known, read from `releases.toml` and files like it.

mod file;

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::LazyLock;

use toml::Spanned;

use self::file::{File, Row, Version};
pub use self::file::{Problem, ReleasesError};
use crate::profile::{Edition, Profile};

/// The releases of Kong.
#[derive(Debug, Clone, Default)]
pub struct Releases {
    patches: Vec<Patch>,
    drivers: Vec<Profile>,
    /// What later rows may build on, by the name of each row.
    rows: BTreeMap<String, Row>,
    sources: BTreeMap<String, String>,
}

/// A release from one of its patches on.
#[derive(Debug, Clone)]
struct Patch {
    line: Version,
    since: Version,
    profile: Profile,
}

/// Why a name does not stand for a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// Both editions have such a version.
    #[error("`{name}` may be {}", candidates.join(" or "))]
    Ambiguous {
        /// What was given.
        name: String,
        /// The releases it may stand for.
        candidates: Vec<String>,
    },
    /// No release has this name.
    #[error("no Kong release is known as `{name}`{}", hint(suggestion.as_deref(), range))]
    Unknown {
        /// What was given.
        name: String,
        /// The release whose name is most like it.
        suggestion: Option<String>,
        /// The oldest and the newest release.
        range: (String, String),
    },
}

fn hint(suggestion: Option<&str>, (oldest, newest): &(String, String)) -> String {
    let did_you_mean = suggestion.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    let separator = if did_you_mean.is_empty() { "; " } else { " " };
    format!(
        "{did_you_mean}{separator}releases run from {oldest} to {newest}, and a patch is written like 3.10.0.9-enterprise"
    )
}

static BUILT_IN: LazyLock<Releases> = LazyLock::new(|| {
    let built_in = Releases::default().with_text(Path::new("releases.toml"), include_str!("../releases.toml"));
    built_in.unwrap_or_else(|error| unreachable!("releases.toml is tested: {error}"))
});

impl Releases {
    /// Those that this crate knows.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The same with those of a file, which takes the form of the crate's own `releases.toml` and may build on the rows
    /// and sources that are known. A row takes the place of one of its name.
    ///
    /// # Errors
    /// If the file cannot be read, or is not one of releases.
    pub fn with_file(self, path: &Path) -> Result<Self, ReleasesError> {
        self.with_text(path, &file::read(path)?)
    }

    fn with_text(self, path: &Path, text: &str) -> Result<Self, ReleasesError> {
        let file = toml::from_str(text).map_err(|error| ReleasesError::of_toml(path, text, error))?;
        self.with(file).map_err(|problem| ReleasesError::of_problem(path, text, problem))
    }

    fn with(mut self, File { sources, release, driver }: File) -> Result<Self, Spanned<Problem>> {
        self.sources.extend(sources);
        for row in driver {
            let name = row.name.get_ref().clone();
            let profile = self.complete(&name, row)?.into_profile(name, Edition::Driver)?;
            self.drivers.retain(|known| known.name != profile.name);
            self.drivers.push(profile);
        }
        for row in release {
            let edition = row.edition()?;
            let (line, since) = (row.line()?, row.since()?);
            let first = if since.is_empty() { &line } else { &since };
            let name = format!("{}-{edition}", written(first));
            let profile = self.complete(&name, row)?.into_profile(format!("{}-{edition}", written(&line)), edition)?;
            let new = Patch { line, since, profile };
            self.patches.retain(|known| known.key() != new.key());
            self.patches.push(new);
        }
        self.patches.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(self)
    }

    /// A row with the facts of the one that it is like. Later rows may be like it, by its name.
    fn complete(&mut self, name: &str, row: Row) -> Result<Row, Spanned<Problem>> {
        let is_unknown = |source: &Spanned<String>| !self.sources.contains_key(source.get_ref());
        if let Some((fact, source)) = row.sources().find(|(_, source)| is_unknown(source)) {
            let problem = Problem::Source { fact, source_name: source.get_ref().clone() };
            return Err(Spanned::new(source.span(), problem));
        }
        let row = match &row.like {
            None => row,
            Some(like) => {
                let no_such = || Spanned::new(like.span(), Problem::Like(like.get_ref().clone()));
                let base = self.rows.get(like.get_ref()).ok_or_else(no_such)?.clone();
                row.or(base)
            }
        };
        self.rows.insert(name.to_owned(), row.clone());
        Ok(row)
    }

    /// All releases at their newest patches, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Profile> {
        let newest = |row: &&Patch| {
            self.patches.iter().rfind(|other| row.is_of_release(other)).is_some_and(|last| last.since == row.since)
        };
        self.patches.iter().filter(newest).map(|row| row.profile.clone()).collect()
    }

    /// The drivers that were measured by themselves.
    #[must_use]
    pub fn drivers(&self) -> &[Profile] {
        &self.drivers
    }

    /// The newest Enterprise release, at its newest patch.
    ///
    /// # Panics
    /// Never: there is always an Enterprise release, as the built-in ones are never taken away.
    #[must_use]
    pub fn newest(&self) -> Profile {
        let newest = self.patches.iter().rfind(|row| row.profile.edition == Edition::Enterprise);
        newest.map(|row| row.profile.clone()).expect("an Enterprise release")
    }

    /// The release of a name: `3.9-oss` at its newest patch, `3.10.0.9-enterprise` at that one, `3.10` where only one
    /// edition has such a version, or a driver's.
    ///
    /// # Errors
    /// If the name matches no release, or more than one.
    pub fn find(&self, name: &str) -> Result<Profile, ReleaseError> {
        if let Some(driver) = self.drivers.iter().find(|driver| driver.name == name) {
            return Ok(driver.clone());
        }
        let (version, edition) =
            name.split_once('-').map_or((name, None), |(version, edition)| (version, Some(edition)));
        let Some(version) = file::numbers(version) else { return Err(self.unknown(name)) };
        let is_meant = |row: &&Patch| {
            let of_edition = edition.is_none_or(|edition| row.profile.edition.to_string() == edition);
            of_edition && version.starts_with(&row.line) && (version == row.line || row.since <= version)
        };
        let rows: Vec<_> = self.patches.iter().filter(is_meant).collect();
        let Some(row) = rows.last() else { return Err(self.unknown(name)) };
        if rows.iter().any(|other| !row.is_of_release(other)) {
            let of = |edition: &Edition| format!("{name}-{edition}");
            let candidates = [Edition::Oss, Edition::Enterprise].iter().map(of).collect();
            return Err(ReleaseError::Ambiguous { name: name.to_owned(), candidates });
        }
        let mut profile = row.profile.clone();
        if version != row.line {
            profile.name = format!("{}-{}", written(&version), profile.edition);
        }
        Ok(profile)
    }

    /// The release of an exact version, `3.9.1-oss`: under the name of its line, `3.9-oss`, if nothing has changed in the
    /// line since.
    ///
    /// # Errors
    /// If the name matches no release, or more than one.
    pub fn of_patch(&self, name: &str) -> Result<Profile, ReleaseError> {
        let exact = self.find(name)?;
        let line = self.all().into_iter().find(|newest| {
            is_patch_of(&exact.name, &newest.name) && Profile { name: newest.name.clone(), ..exact.clone() } == *newest
        });
        Ok(line.unwrap_or(exact))
    }

    fn unknown(&self, name: &str) -> ReleaseError {
        let names =
            self.patches.iter().map(|row| &row.profile.name).chain(self.drivers.iter().map(|driver| &driver.name));
        let likeness = |known: &&String| strsim::jaro_winkler(name, known);
        let suggestion = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|known| likeness(known) > 0.8);
        let name_of = |row: Option<&Patch>| row.map(|row| row.profile.name.clone()).unwrap_or_default();
        let range = (name_of(self.patches.first()), name_of(self.patches.last()));
        ReleaseError::Unknown { name: name.to_owned(), suggestion: suggestion.cloned(), range }
    }
}

impl Patch {
    fn key(&self) -> (&[u32], bool, &[u32]) {
        (&self.line, self.profile.edition == Edition::Enterprise, &self.since)
    }

    fn is_of_release(&self, other: &Self) -> bool {
        (&self.line, self.profile.edition) == (&other.line, other.profile.edition)
    }
}

/// Whether an exact version, `3.9.1-oss`, is of a release: `3.9.1-oss`, `3.9-oss`, or `3.9` of either edition.
#[must_use]
pub fn is_patch_of(exact: &str, release: &str) -> bool {
    let parts = |name| str::split_once(name, '-').map_or((name, None), |(version, edition)| (version, Some(edition)));
    let ((exact, exact_edition), (version, edition)) = (parts(exact), parts(release));
    (edition.is_none() || edition == exact_edition) && format!("{exact}.").starts_with(&format!("{version}."))
}

/// A version as it is written: `3.10.0.9`.
fn written(version: &[u32]) -> String {
    version.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

impl Profile {
    /// All built-in releases at their newest patches, oldest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Releases::built_in().all()
    }

    /// The newest built-in Enterprise release.
    #[must_use]
    pub fn newest() -> Self {
        Releases::built_in().newest()
    }
}

impl FromStr for Profile {
    type Err = ReleaseError;
    fn from_str(name: &str) -> Result<Self, ReleaseError> {
        Releases::built_in().find(name)
    }
}

#[cfg(test)]
mod tests;
