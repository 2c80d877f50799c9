//! All releases that are known, read from `releases.toml` and files like it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::{Table, Value};

use crate::generation::{Generation, X509Library};
use crate::openssl_line::OpensslLine;
use crate::profile::{AnyStartsAt, Edition, Profile};
use crate::stack::Stack;
use crate::words::UnknownWord;

/// The releases of Kong.
#[derive(Debug, Clone, Default)]
pub struct Releases {
    rows: Vec<Row>,
    drivers: Vec<Profile>,
    /// What later rows may build on, by the name of each row.
    tables: BTreeMap<String, Table>,
    sources: BTreeMap<String, String>,
}

/// A release from one of its patches on.
#[derive(Debug, Clone)]
struct Row {
    line: Vec<u32>,
    since: Vec<u32>,
    profile: Profile,
}

/// Why a file of releases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleasesError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It is not TOML, or has keys or values that are none of a release.
    #[error("not a file of releases")]
    Parse(#[from] toml::de::Error),
    /// A row has no name.
    #[error("a release has no name")]
    NoName,
    /// A row is of an edition that does not exist.
    #[error("the release {row}")]
    Edition {
        /// The row.
        row: String,
        /// What is wrong with its edition.
        source: UnknownWord,
    },
    /// A row lacks a fact, or has one of the wrong kind.
    #[error("the release {row}")]
    Facts {
        /// The row.
        row: String,
        /// What is wrong with it.
        source: toml::de::Error,
    },
    /// A row builds on another one that is not there.
    #[error("the release {row} is like {like}, which is no release before it")]
    Like {
        /// The row.
        row: String,
        /// What it names.
        like: String,
    },
    /// A fact comes from a source that is not in the list of sources.
    #[error("the release {row} has {fact} from `{source_name}`, which is not in [sources]")]
    Source {
        /// The row.
        row: String,
        /// The fact.
        fact: String,
        /// What it names.
        source_name: String,
    },
    /// A version is not one.
    #[error("`{0}` is not a version of Kong; one looks like 3.9 or 3.10.0.9")]
    Version(String),
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

/// The files' own form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    sources: BTreeMap<String, String>,
    #[serde(default)]
    release: Vec<Table>,
    #[serde(default)]
    driver: Vec<Table>,
}

/// A fact and where it is from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fact<T> {
    is: T,
    #[serde(rename = "from")]
    _from: String,
}

/// The facts of a row and those of the rows that it is like.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    openssl: Fact<OpensslLine>,
    command_line: Fact<Stack>,
    driver: Fact<Generation>,
    x509_library: Fact<X509Library>,
    finds_tls_session: Fact<bool>,
    pg_ssl_verify: Fact<bool>,
    pg_ssl_version: Fact<String>,
    pg_ssl_version_values: Fact<Vec<String>>,
    any_starts_at: Fact<AnyStartsAt>,
    lua_ssl_trusted_certificate: Fact<String>,
    lua_ssl_protocols: Fact<String>,
    lua_ssl_verify_depth: Fact<u32>,
    ignored: Fact<Vec<String>>,
    not_inherited: Fact<Vec<String>>,
    postgres: Option<Fact<(u16, u16)>>,
    end_of_life: Option<Fact<String>>,
}

impl Facts {
    fn into_profile(self, name: String, edition: Edition) -> Profile {
        Profile {
            name,
            edition,
            openssl: self.openssl.is,
            command_line: self.command_line.is,
            driver: self.driver.is,
            x509_library: self.x509_library.is,
            finds_tls_session: self.finds_tls_session.is,
            ssl_verify: self.pg_ssl_verify.is,
            ssl_version: self.pg_ssl_version.is,
            ssl_version_values: self.pg_ssl_version_values.is,
            any_starts_at: self.any_starts_at.is,
            trusted: self.lua_ssl_trusted_certificate.is,
            protocols: self.lua_ssl_protocols.is,
            verify_depth: self.lua_ssl_verify_depth.is,
            ignored: self.ignored.is,
            not_inherited: self.not_inherited.is,
            postgres: self.postgres.map(|fact| fact.is),
            end_of_life: self.end_of_life.map(|fact| fact.is).filter(|day| !day.is_empty()),
        }
    }
}

static BUILT_IN: LazyLock<Releases> = LazyLock::new(|| {
    let built_in = Releases::default().with_text(include_str!("../releases.toml"));
    built_in.unwrap_or_else(|error| unreachable!("releases.toml is tested: {error}"))
});

impl Releases {
    /// Those that this crate knows.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The built-in releases and those of a file, which takes the form of the crate's own `releases.toml` and may build
    /// on its rows and sources.
    ///
    /// # Errors
    /// If the file cannot be read, or is not one of releases.
    pub fn with_file(path: &Path) -> Result<Self, ReleasesError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ReleasesError::Read { path: path.to_owned(), source })?;
        Self::built_in().clone().with_text(&text)
    }

    /// The same with the rows of a text, each of which replaces one of its name.
    fn with_text(mut self, text: &str) -> Result<Self, ReleasesError> {
        let File { sources, release, driver } = toml::from_str(text)?;
        self.sources.extend(sources);
        for mut table in driver {
            let name = take(&mut table, "name").ok_or(ReleasesError::NoName)?;
            let profile = self.facts(&name, table)?.into_profile(name, Edition::Driver);
            self.drivers.retain(|known| known.name != profile.name);
            self.drivers.push(profile);
        }
        for mut table in release {
            let version = take(&mut table, "name").ok_or(ReleasesError::NoName)?;
            let edition = take(&mut table, "edition").unwrap_or_default();
            let since = take(&mut table, "since");
            let row = format!("{}-{edition}", since.as_ref().unwrap_or(&version));
            let edition = edition.parse().map_err(|source| ReleasesError::Edition { row: row.clone(), source })?;
            let (line, since) = (numbers(&version)?, since.as_deref().map(numbers).transpose()?.unwrap_or_default());
            let profile = self.facts(&row, table)?.into_profile(format!("{version}-{edition}"), edition);
            let new = Row { line, since, profile };
            self.rows.retain(|known| known.key() != new.key());
            self.rows.push(new);
        }
        self.rows.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(self)
    }

    /// The facts of a row, and those of the one that it is like.
    fn facts(&mut self, row: &str, mut table: Table) -> Result<Facts, ReleasesError> {
        for (fact, value) in &table {
            let from = value.get("from").and_then(Value::as_str);
            if let Some(name) = from.filter(|name| !self.sources.contains_key(*name)) {
                let (row, fact, source_name) = (row.to_owned(), fact.clone(), name.to_owned());
                return Err(ReleasesError::Source { row, fact, source_name });
            }
        }
        if let Some(like) = take(&mut table, "like") {
            let Some(base) = self.tables.get(&like) else {
                return Err(ReleasesError::Like { row: row.to_owned(), like });
            };
            let mut all = base.clone();
            all.extend(table);
            table = all;
        }
        self.tables.insert(row.to_owned(), table.clone());
        table.try_into().map_err(|source| ReleasesError::Facts { row: row.to_owned(), source })
    }

    /// All releases at their newest patches, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Profile> {
        let newest = |row: &&Row| {
            self.rows.iter().rfind(|other| row.is_of_release(other)).is_some_and(|last| last.since == row.since)
        };
        self.rows.iter().filter(newest).map(|row| row.profile.clone()).collect()
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
        let newest = self.rows.iter().rfind(|row| row.profile.edition == Edition::Enterprise);
        newest.map(|row| row.profile.clone()).expect("an Enterprise release")
    }

    /// The release of a name: `3.9-oss` at its newest patch, `3.10.0.9-enterprise` at that one, `3.10` where only one
    /// edition has such a version, or a driver's.
    ///
    /// # Errors
    /// If the name stands for no release, or for more than one.
    pub fn find(&self, name: &str) -> Result<Profile, ReleaseError> {
        if let Some(driver) = self.drivers.iter().find(|driver| driver.name == name) {
            return Ok(driver.clone());
        }
        let (version, edition) =
            name.split_once('-').map_or((name, None), |(version, edition)| (version, Some(edition)));
        let Ok(version) = numbers(version) else { return Err(self.unknown(name)) };
        let is_meant = |row: &&Row| {
            let of_edition = edition.is_none_or(|edition| row.profile.edition.to_string() == edition);
            of_edition && version.starts_with(&row.line) && (version == row.line || row.since <= version)
        };
        let rows: Vec<_> = self.rows.iter().filter(is_meant).collect();
        let Some(row) = rows.last() else { return Err(self.unknown(name)) };
        if rows.iter().any(|other| !row.is_of_release(other)) {
            let of = |edition: &Edition| format!("{name}-{edition}");
            let candidates = [Edition::Oss, Edition::Enterprise].iter().map(of).collect();
            return Err(ReleaseError::Ambiguous { name: name.to_owned(), candidates });
        }
        let mut profile = row.profile.clone();
        if version != row.line {
            let version: Vec<_> = version.iter().map(u32::to_string).collect();
            profile.name = format!("{}-{}", version.join("."), profile.edition);
        }
        Ok(profile)
    }

    fn unknown(&self, name: &str) -> ReleaseError {
        let names = self.rows.iter().map(|row| &row.profile.name).chain(self.drivers.iter().map(|driver| &driver.name));
        let likeness = |known: &&String| strsim::jaro_winkler(name, known);
        let suggestion = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|known| likeness(known) > 0.8);
        let name_of = |row: Option<&Row>| row.map(|row| row.profile.name.clone()).unwrap_or_default();
        let range = (name_of(self.rows.first()), name_of(self.rows.last()));
        ReleaseError::Unknown { name: name.to_owned(), suggestion: suggestion.cloned(), range }
    }
}

impl Row {
    fn key(&self) -> (&[u32], bool, &[u32]) {
        (&self.line, self.profile.edition == Edition::Enterprise, &self.since)
    }

    fn is_of_release(&self, other: &Self) -> bool {
        (&self.line, self.profile.edition) == (&other.line, other.profile.edition)
    }
}

/// Takes a text out of a table.
fn take(table: &mut Table, key: &str) -> Option<String> {
    table.remove(key)?.as_str().map(str::to_owned)
}

/// The numbers of a version.
fn numbers(version: &str) -> Result<Vec<u32>, ReleasesError> {
    let numbers: Result<Vec<_>, _> = version.split('.').map(str::parse).collect();
    numbers.ok().filter(|numbers| numbers.len() > 1).ok_or_else(|| ReleasesError::Version(version.to_owned()))
}

impl Profile {
    /// All built-in releases at their newest patches, oldest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Releases::built_in().all()
    }

    /// The drivers that were measured by themselves.
    #[must_use]
    pub fn drivers() -> Vec<Self> {
        Releases::built_in().drivers().to_vec()
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
