//! Parts of a run, put together: shards, or runs of different machines, majors, releases or clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kong_pg_scenarios::plan::Shard;

use super::cell::CellRecord;
use super::run::{Results, RunEnd, RunRecord};
use crate::run::{EvidenceRequest, Options};

/// What may be wrong with the parts and is accepted on request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tolerance {
    /// Cells may be in more than one part: the newest result is taken.
    pub overlapping: bool,
    /// Cells may be missing: the result is a partial run.
    pub missing: bool,
}

/// Why parts cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There is none.
    #[error("there is nothing to merge")]
    Nothing,
    /// They are of different scenarios.
    #[error("the parts are of different commits of the scenarios: {}", .0.join(", "))]
    Commits(Vec<String>),
    /// A cell is in several.
    #[error("{count} cells are in more than one part, such as {first}; --overlapping takes the newest result of each")]
    Overlapping {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
    /// Cells are missing.
    #[error("{what}; --missing merges what there is, and marks it as a partial run")]
    Missing {
        /// What is missing.
        what: String,
    },
}

/// Puts parts together. The order of the parts does not matter.
///
/// # Errors
/// If they overlap, are not all there, or are of different scenarios.
pub fn merge(parts: Vec<Results>, tolerance: Tolerance) -> Result<Results, MergeError> {
    let commits: BTreeSet<_> = parts.iter().filter_map(|part| part.run.commit.clone()).collect();
    if commits.len() > 1 {
        return Err(MergeError::Commits(commits.into_iter().collect()));
    }
    let runs: Vec<_> = parts.iter().map(|part| &part.run).collect();
    let mut run = together(&runs).ok_or(MergeError::Nothing)?;
    let (planned, missing_shards) = (planned(&runs), missing_shards(&runs));
    let leaks = parts.iter().flat_map(|part| part.leaks.clone()).collect();
    let duration_ms = parts.iter().map(|part| part.duration_ms).max().unwrap_or_default();
    let mut cells = BTreeMap::<Arc<str>, CellRecord>::new();
    let mut twice = BTreeSet::new();
    // Evidence stays where it was kept.
    let all = parts.into_iter().flat_map(|part| part.cells).map(|cell| CellRecord { evidence: None, ..cell });
    for cell in all {
        match cells.get(&cell.id) {
            Some(other) => {
                twice.insert(cell.id.clone());
                if other.started < cell.started {
                    cells.insert(cell.id.clone(), cell);
                }
            }
            None => drop(cells.insert(cell.id.clone(), cell)),
        }
    }
    if let (Some(first), false) = (twice.first(), tolerance.overlapping) {
        return Err(MergeError::Overlapping { count: twice.len(), first: first.to_string() });
    }
    run.planned = planned.max(cells.len());
    let is_missing = cells.len() < run.planned;
    if is_missing && !tolerance.missing {
        let shards = missing_shards.iter().map(|shard| format!("; no part is the shard {shard}")).collect::<String>();
        let what = format!("{} of {} cells are in the parts{shards}", cells.len(), run.planned);
        return Err(MergeError::Missing { what });
    }
    run.scenarios.clear();
    for cell in cells.values() {
        *run.scenarios.entry(cell.scenario_and_major()).or_default() += 1;
    }
    let end = if is_missing { RunEnd::PartsMissing } else { RunEnd::Finished };
    Ok(Results { leaks, ..Results::new(run, cells.into_values().collect(), end, duration_ms) })
}

/// The record of all parts: what they share as it is, and what they do not side by side.
fn together(runs: &[&RunRecord]) -> Option<RunRecord> {
    let (first, others) = runs.split_first()?;
    let mut all = (*first).clone();
    all.options.cells.shard = None;
    for run in others {
        let (mine, its) = (&mut all.options.cells, &run.options.cells);
        add(&mut mine.globs, &its.globs);
        add(&mut mine.majors, &its.majors);
        add(&mut mine.releases, &its.releases);
        add(&mut mine.clients, &its.clients);
        add(&mut mine.stacks, &its.stacks);
        add(&mut all.hosts, &run.hosts);
        add(&mut all.releases, &run.releases);
        all.started = all.started.min(run.started.clone());
        all.clients.extend(run.clients.clone());
        all.claims.extend(run.claims.clone());
        for (place, count) in &run.differences {
            let known = all.differences.entry(place.clone()).or_default();
            *known = (*known).max(*count);
        }
    }
    Some(all)
}

fn add<T: PartialEq + Clone>(all: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

/// What a run was asked for, its shard left out.
fn whole(run: &RunRecord) -> Options {
    let mut options = run.options.clone();
    options.cells.shard = None;
    options.evidence = EvidenceRequest::default();
    options
}

/// How many cells there are in all: of shards of one run, those of the run.
fn planned(runs: &[&RunRecord]) -> usize {
    let mut counted = Vec::new();
    let mut planned = 0;
    for run in runs {
        let options = whole(run);
        if !counted.contains(&options) {
            planned += run.planned_unsharded;
            counted.push(options);
        }
    }
    planned
}

/// The shards that no part is.
fn missing_shards(runs: &[&RunRecord]) -> Vec<Shard> {
    let there: Vec<_> = runs.iter().filter_map(|run| run.options.cells.shard).collect();
    let all: BTreeSet<_> = there.iter().flat_map(|shard| shard.siblings()).collect();
    all.into_iter().filter(|shard| !there.contains(shard)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{cell, run};
    use super::*;
    use crate::judge::Verdict;

    /// A shard of a run of four cells.
    fn shard(shard: &str, cells: &[usize]) -> Results {
        let mut run = run(cells.len());
        run.planned_unsharded = 4;
        run.options.cells.shard = Some(shard.parse().expect("a shard"));
        Results::new(run, cells.iter().map(|number| cell(*number, "pass", "")).collect(), RunEnd::Finished, 1)
    }

    fn message(parts: Vec<Results>) -> String {
        merge(parts, Tolerance::default()).expect_err("an error").to_string()
    }

    #[test]
    fn shards_in_any_order_are_the_whole_run() {
        let all = merge(vec![shard("2/2", &[1, 2]), shard("1/2", &[0, 3])], Tolerance::default()).expect("a run");
        assert_eq!(all.cells.iter().map(|cell| cell.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(all.complete && all.run.options.cells.shard.is_none());
    }

    #[test]
    fn a_missing_shard_is_named_and_tolerated_only_on_request() {
        let error = message(vec![shard("1/3", &[0, 3]), shard("3/3", &[1])]);
        assert!(error.starts_with("3 of 4 cells are in the parts; no part is the shard 2/3; "), "{error}");
        let tolerance = Tolerance { missing: true, ..Tolerance::default() };
        let partial = merge(vec![shard("1/3", &[0, 3])], tolerance).expect("a run");
        assert_eq!(partial.partial().as_deref(), Some("2 of 4 cells were run: parts of it are missing"));
    }

    #[test]
    fn a_shard_that_was_not_run_to_its_end_is_missing_cells() {
        let mut part = shard("1/2", &[0, 3]);
        part.cells.pop();
        assert!(message(vec![part, shard("2/2", &[1, 2])]).starts_with("3 of 4 cells"));
    }

    #[test]
    fn a_cell_in_two_parts_is_tolerated_only_on_request_and_then_the_newest_counts() {
        let mut again = shard("1/2", &[0, 3]);
        (again.cells[0].verdict, again.cells[0].started) = (Verdict::Fail, "2026-01-02T00:00:00Z".into());
        let parts = || vec![again.clone(), shard("1/2", &[0, 3]), shard("2/2", &[1, 2])];
        assert!(message(parts()).starts_with("2 cells are in more than one part, such as a::case-0@"));
        let tolerance = Tolerance { overlapping: true, ..Tolerance::default() };
        assert_eq!(merge(parts(), tolerance).expect("a run").cells[0].verdict, Verdict::Fail);
    }

    #[test]
    fn runs_on_different_majors_add_up() {
        let mut other = Results::new(run(1), vec![cell(0, "pass", "")], RunEnd::Finished, 1);
        other.run.options.cells.majors = vec![postgres_tls_server::Major(18)];
        other.cells[0].id = "a::case-0@pg18+kong-latest+kong-luasec".into();
        let first = Results::new(run(1), vec![cell(0, "pass", "")], RunEnd::Finished, 1);
        assert_eq!(merge(vec![first, other], Tolerance::default()).expect("a run").run.planned, 2);
    }

    #[test]
    fn parts_of_different_commits_are_refused() {
        let [mut one, mut other] = [shard("1/2", &[0, 3]), shard("2/2", &[1, 2])];
        (one.run.commit, other.run.commit) = (Some("a".into()), Some("b".into()));
        assert_eq!(message(vec![one, other]), "the parts are of different commits of the scenarios: a, b");
    }
}
