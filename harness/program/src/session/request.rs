//! The request for cells, and the plan it leads to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kong_pg_client::{ReleaseError, Releases, ReleasesError, Stack};
use kong_pg_scenarios::format::CausesFile;
use kong_pg_scenarios::plan::{Axes, Cell, KongRelease, PlanError, Selection, plan};
use kong_pg_scenarios::suite::{Difference, Suite};
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::{Major, Runtime, RuntimeError};

use super::error::SessionError;
use crate::run::CellRequest;

/// Reads the suite of a folder, or the built-in one.
///
/// # Errors
/// If the scenarios have mistakes.
pub fn load_suite(folder: Option<&Path>) -> Result<Suite, SessionError> {
    folder.map_or_else(Suite::built_in, Suite::of_folder).map_err(SessionError::Scenarios)
}

/// The built-in releases of Kong and those of files.
///
/// # Errors
/// If one of the files is not one of releases.
pub fn load_releases(files: &[PathBuf]) -> Result<Releases, ReleasesError> {
    files.iter().try_fold(Releases::built_in().clone(), |known, file| known.with_file(file))
}

/// What `diagnose` knows, without the rest of the suite.
///
/// # Errors
/// If the file of causes does not hold.
pub fn load_causes() -> Result<CausesFile, SessionError> {
    Suite::built_in_causes().map_err(SessionError::Scenarios)
}

impl CellRequest {
    /// The suite that the cells are of: of the built-in scenarios or those of a folder, the ones that its globs need.
    ///
    /// # Errors
    /// If the scenarios have mistakes, or a file of releases has, or a release is asked for that is not known.
    pub fn suite(&self) -> Result<Suite, SessionError> {
        let releases = load_releases(&self.release_files)?;
        // What is said about clients other than Kong counts the cells of the whole suite.
        let is_kong = self.clients.iter().all(|client| *client == ClientKind::Kong);
        let globs = if is_kong { &self.globs[..] } else { &[] };
        let suite = Suite::for_globs(self.scenarios.as_deref(), releases, globs).map_err(SessionError::Scenarios)?;
        // Reported before anything is searched for.
        self.kongs(&suite).map_err(PlanError::from)?;
        Ok(suite)
    }

    /// The releases that are asked for.
    fn kongs(&self, suite: &Suite) -> Result<Vec<KongRelease>, ReleaseError> {
        let named = self.releases.iter().map(|name| KongRelease::named(name, &suite.releases));
        Ok(named.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The selection among the cells of the axes.
    ///
    /// # Errors
    /// If a glob is not one.
    pub fn selection(&self) -> Result<Selection, PlanError> {
        Selection::new(&self.globs, self.shard)
    }

    /// The cells on these majors.
    ///
    /// # Errors
    /// If a glob is not one, a release is not known, or nothing matches: not one of several globs, which may be misspelt.
    pub fn cells(&self, suite: &Suite, majors: &[Major]) -> Result<Vec<Cell>, SessionError> {
        let axes = Axes {
            majors: majors.to_vec(),
            releases: self.kongs(suite).map_err(PlanError::from)?,
            clients: self.clients.clone(),
            stacks: self.stacks.clone(),
        };
        let mut cells = plan(suite, &axes, &Selection::new(&self.globs, None)?);
        let mut unmatched = Vec::new();
        for glob in &self.globs {
            let selection = Selection::new(std::slice::from_ref(glob), None)?;
            if !cells.iter().any(|cell| selection.contains(cell)) {
                unmatched.push(glob.as_str());
            }
        }
        if !unmatched.is_empty() {
            return Err(SessionError::NothingMatched(unmatched.join(" ")));
        }
        let selection = self.selection()?;
        cells.retain(|cell| selection.contains(cell));
        if cells.is_empty() { Err(SessionError::NothingMatched(self.globs.join(" "))) } else { Ok(cells) }
    }

    /// The majors to run on: those asked for, which must be there, or all there are.
    pub(super) fn majors_of(&self, runtime: &dyn Runtime) -> Result<Vec<Major>, RuntimeError> {
        let offered = runtime.offers();
        if self.majors.is_empty() {
            return Ok(offered.into_iter().map(|offer| offer.major).collect());
        }
        match self.majors.iter().find(|major| offered.iter().all(|offer| offer.major != **major)) {
            None => Ok(self.majors.clone()),
            Some(&major) => Err(RuntimeError::MajorUnavailable { major, offered }),
        }
    }

    /// The entries of differences.yaml about these clients, each with the number of cells it is about on these majors.
    /// The entries describe the releases that run by default.
    pub(super) fn differences(&self, suite: &Suite, majors: &[Major]) -> Vec<(Arc<Difference>, usize)> {
        if !self.releases.is_empty() {
            return Vec::new();
        }
        let axes = Axes {
            majors: majors.to_vec(),
            releases: Vec::new(),
            clients: self.clients.clone(),
            stacks: Stack::ALL.to_vec(),
        };
        let all = plan(suite, &axes, &Selection::default());
        let about = |difference: &Arc<Difference>| all.iter().filter(|cell| cell.is_covered_by(difference)).count();
        suite.differences.iter().map(|difference| (difference.clone(), about(difference))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "\
title: a scenario
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_version: tlsv1_3 }
cases:
  - name: a case
    expect: { connects: { tls: TLSv1.3 } }
";

    fn suite(scenario: &str) -> Result<Suite, SessionError> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.yaml"), scenario).expect("a file");
        load_suite(Some(folder.path()))
    }

    fn request(globs: &[&str]) -> CellRequest {
        CellRequest { globs: globs.iter().map(|glob| (*glob).to_owned()).collect(), ..CellRequest::default() }
    }

    #[test]
    fn a_request_plans_a_cell_for_each_major_and_stack() {
        let suite = suite(SCENARIO).expect("a suite");
        let cells = request(&["a::*"]).cells(&suite, &[Major(15), Major(17)]).expect("cells");
        let planned: Vec<_> = cells.iter().map(|cell| (cell.major.0, cell.stack)).collect();
        let [first, second] = *Stack::ALL else { panic!("two stacks") };
        assert_eq!(planned, [(15, first), (15, second), (17, first), (17, second)]);
    }

    #[test]
    fn a_request_that_matches_nothing_names_its_globs() {
        let suite = suite(SCENARIO).expect("a suite");
        let error = request(&["b::*", "c::*"]).cells(&suite, &[Major(15)]).expect_err("no cell");
        assert!(matches!(&error, SessionError::NothingMatched(globs) if globs == "b::* c::*"), "{error}");
    }

    #[test]
    fn a_glob_that_is_not_one_is_a_wrong_request() {
        assert!(request(&["a["]).selection().is_err());
    }

    #[test]
    fn mistakes_in_the_scenarios_are_counted() {
        let error = suite(&SCENARIO.replace("title:", "titel:")).expect_err("a mistake");
        assert!(error.to_string().contains("in the scenarios; nothing was run"), "{error}");
    }
}
