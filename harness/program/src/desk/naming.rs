//! The one cell that a user means: by its id, or by a case with the rest left to defaults.

use kong_pg_client::Stack;
use kong_pg_scenarios::load::some_of;
use kong_pg_scenarios::plan::{Axes, Cell, KongRelease, PlanError, Selection, plan};
use kong_pg_scenarios::suite::{Case, Suite};
use kong_pg_scenarios::vocabulary::{BadGlob, ClientKind, Globs};
use postgres_tls_server::Major;

/// How many cases an error lists.
const LISTED: usize = 10;

/// A cell as a user names it.
#[derive(Debug, Clone)]
pub struct NamedCell {
    /// `mtls/cert::a-case`, a glob for one case, or the id of a cell: `mtls/cert::a-case@pg15+kong-latest+kong-luasec`.
    pub name: String,
    /// The PostgreSQL major, if not that of the id.
    pub major: Option<Major>,
    /// The major where neither says one.
    pub default_major: Major,
    /// The release of Kong; that of the id, or else the case's own, or else the latest.
    pub release: Option<String>,
}

/// Why there is not one cell of this name.
#[derive(Debug, thiserror::Error)]
pub enum NamingError {
    /// No case has this name.
    #[error("no case is called {name}: {help}")]
    Nothing {
        /// The name.
        name: String,
        /// What may have been meant.
        help: String,
    },
    /// More than one has it.
    #[error("{name} matches {count} cases; name one of them:\n  {}", .first.join("\n  "))]
    Several {
        /// The name.
        name: String,
        /// How many cases it matches.
        count: usize,
        /// The first of them.
        first: Vec<String>,
    },
    /// The case has no meaning at its point.
    #[error("{id} is not run: {because}")]
    Excluded {
        /// The case.
        id: String,
        /// Why not.
        because: String,
    },
    /// The name is not a glob.
    #[error(transparent)]
    Glob(#[from] BadGlob),
    /// What is behind `@`, or the release, means nothing.
    #[error(transparent)]
    Point(#[from] PlanError),
}

impl NamedCell {
    fn parts(&self) -> (&str, &str) {
        self.name.split_once('@').unwrap_or((&self.name, ""))
    }

    /// The points that the id leaves.
    fn axes(&self, suite: &Suite) -> Result<Axes, PlanError> {
        let mut axes = match self.parts().1 {
            "" => {
                Axes { majors: Vec::new(), releases: Vec::new(), clients: vec![ClientKind::Kong], stacks: Vec::new() }
            }
            end => Axes::of_id(end, &suite.releases)?,
        };
        axes.majors = self.major.map_or(axes.majors, |major| vec![major]);
        if let Some(name) = &self.release {
            axes.releases = KongRelease::named(name, &suite.releases)?;
        }
        // Settings and files are the same on both.
        if axes.stacks.len() != 1 {
            axes.stacks = vec![Stack::Cosocket];
        }
        Ok(axes)
    }

    /// The major that is asked for, if one is.
    ///
    /// # Errors
    /// If what is behind `@` is no point.
    pub fn asked_major(&self, suite: &Suite) -> Result<Option<Major>, NamingError> {
        Ok(self.axes(suite)?.majors.first().copied())
    }

    /// The case, by its id or as the only one that the name matches as a glob.
    ///
    /// # Errors
    /// If the name matches none or several.
    pub fn case<'s>(&self, suite: &'s Suite) -> Result<&'s Case, NamingError> {
        let name = self.parts().0;
        if let Some(case) = suite.cases().find(|case| case.id == name) {
            return Ok(case);
        }
        let globs = Globs::new(&[name.to_owned()])?;
        let matches: Vec<_> =
            suite.cases().filter(|case| globs.is_match(&case.id) || globs.is_match(&case.scenario)).collect();
        match matches[..] {
            [] => {
                let known: Vec<_> = suite.cases().map(|case| case.id.clone()).collect();
                let help = some_of(name, &known, "`kong-pg-tls list` lists all");
                Err(NamingError::Nothing { name: name.to_owned(), help })
            }
            [case] => Ok(case),
            _ => {
                let first = matches.iter().take(LISTED).map(|case| case.id.clone()).collect();
                Err(NamingError::Several { name: name.to_owned(), count: matches.len(), first })
            }
        }
    }

    /// Finds the cell in a suite.
    ///
    /// # Errors
    /// If the name matches none or several.
    pub fn find(&self, suite: &Suite) -> Result<Cell, NamingError> {
        let case = self.case(suite)?;
        let mut axes = self.axes(suite)?;
        if axes.majors.is_empty() {
            axes.majors.push(self.default_major);
        }
        let cells = plan(suite, &axes, &Selection::new(std::slice::from_ref(&case.id), None)?);
        let id = || case.id.clone();
        let first = cells.into_iter().next();
        let cell = first.ok_or_else(|| NamingError::Excluded { id: id(), because: "it has no cells".into() })?;
        match cell.excluded() {
            Some(because) => Err(NamingError::Excluded { id: cell.id.to_string(), because }),
            None => Ok(cell),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SCENARIO: &str = "\
title: a scenario
pki: root-only
postgres: { conf: { ssl: on }, hba: [hostssl all all all trust] }
kong: { pg_ssl: on, pg_ssl_version: tlsv1_3 }
cases:
  - name: one
    expect: { connects: { tls: TLSv1.3 } }
  - name: one more
    applies_to: { releases: [3.9-oss], postgres: 13-15, because: that is so }
    expect: { connects: { tls: TLSv1.3 } }
";

    fn find(name: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.yaml"), SCENARIO).expect("a file");
        let suite = Suite::of_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
        let named = NamedCell { name: name.into(), major: None, default_major: Major(18), release: None };
        named.find(&suite).map(|cell| cell.id.to_string()).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case("a::one", "a::one@pg18+kong-latest+kong-cosocket")]
    #[case("a::one@pg15", "a::one@pg15+kong-latest+kong-cosocket")]
    #[case("*more@pg15+kong-3.9-oss+kong-luasec", "a::one-more@pg15+kong-3.9-oss+kong-luasec")]
    #[case("*more@pg15", "a::one-more@pg15+kong-3.9-oss+kong-cosocket")]
    #[case("a::one@pg13+kong-latest+libpq-luasec", "a::one@pg13+kong-latest+libpq-luasec")]
    fn a_cell_is_found_by_its_id_or_by_its_case(#[case] name: &str, #[case] id: &str) {
        assert_eq!(find(name).as_deref(), Ok(id));
    }

    #[rstest]
    #[case("b::one", "no case is called b::one: did you mean `a::one`?")]
    #[case("a::*", "a::* matches 2 cases; name one of them:\n  a::one\n  a::one-more")]
    #[case("a::one-more", "a::one-more@pg18+kong-3.9-oss+kong-cosocket is not run: that is so")]
    #[case("a::one@pgx", "`@pgx` is not the end of a cell's id; expected one like @pg17+kong-latest+kong-luasec")]
    fn a_name_that_does_not_stand_for_one_cell_is_an_error(#[case] name: &str, #[case] message: &str) {
        assert_eq!(find(name), Err(message.to_owned()));
    }
}
