//! Whether there is what a scenario names: points of its axes, claims, Kong releases.

use super::points;
use crate::format::{AppliesTo, Case, ClaimUse, ClaimsFile, Documented, Except, Scenario};
use crate::load::{Problem, Segment, key, some_of};
use crate::vocabulary::Globs;
use kong_pg_client::{Profile, Releases};

/// Checks what the scenario itself names.
pub(super) fn check_scenario(scenario: &Scenario, claims: &ClaimsFile, releases: &Releases) -> Vec<Problem> {
    let mut problems = check_uses(&scenario.claims, scenario, claims);
    problems.extend(check_exceptions(&scenario.except, scenario, releases));
    problems.extend(check_versions(scenario.applies_to.as_ref(), releases));
    for (axis, points) in &scenario.axes {
        for (name, point) in points {
            let path = [key("axes"), key(axis), key(name), key("claims")];
            problems.extend(check_claims(&point.claims, claims).into_iter().map(|problem| problem.below(&path)));
        }
    }
    problems
}

/// Checks what a case names; paths are from the case.
pub(super) fn check_case(scenario: &Scenario, case: &Case, claims: &ClaimsFile, releases: &Releases) -> Vec<Problem> {
    let axes = &scenario.axes;
    let mut problems = check_uses(&case.claims, scenario, claims);
    problems.extend(check_exceptions(&case.except, scenario, releases));
    problems.extend(check_versions(case.applies_to.as_ref(), releases));
    problems.extend(points::check(axes, &case.at).into_iter().map(|problem| problem.below(&[key("at")])));
    for (number, rule) in case.rules.iter().enumerate() {
        let path = |name| [key("rules"), Segment::Index(number), key(name)];
        problems.extend(points::check(axes, &rule.at).into_iter().map(|problem| problem.below(&path("at"))));
        problems.extend(check_claims(&rule.claims, claims).into_iter().map(|problem| problem.below(&path("claims"))));
    }
    for (number, documented) in case.documented.iter().enumerate() {
        let path = [key("documented"), Segment::Index(number)];
        let found = check_documented(documented, scenario, claims);
        problems.extend(found.into_iter().map(|problem| problem.below(&path)));
    }
    if case.expect.is_some() && !case.rules.is_empty() {
        let help = "keep one of `expect` and `rules`";
        problems.push(Problem::key(vec![key("rules")], "the case has both `expect` and `rules`", help));
    }
    if case.otherwise.is_some() && case.rules.is_empty() {
        let message = "there are no `rules` for anything else";
        problems.push(Problem::key(vec![key("otherwise")], message, "write `expect`, or add `rules`"));
    }
    problems
}

fn check_documented(documented: &Documented, scenario: &Scenario, claims: &ClaimsFile) -> Vec<Problem> {
    let mut problems: Vec<_> = unknown_claim(&documented.claim, claims)
        .map(|problem| problem.below(&[key("claim")]))
        .into_iter()
        .chain(points::check(&scenario.axes, &documented.at).into_iter().map(|problem| problem.below(&[key("at")])))
        .collect();
    if documented.says.is_none() && documented.would.is_some() {
        let message = "the documents say nothing, and so nothing would happen";
        problems.push(Problem::value(vec![key("would")], message, "add `says`, or take it out"));
    }
    problems
}

fn check_uses(uses: &[ClaimUse], scenario: &Scenario, claims: &ClaimsFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, used) in uses.iter().enumerate() {
        let path = |field: Option<&str>| {
            [key("claims"), Segment::Index(number)].into_iter().chain(field.map(key)).collect::<Vec<_>>()
        };
        let field = used.at().is_some().then_some("claim");
        problems.extend(unknown_claim(used.id(), claims).map(|problem| problem.below(&path(field))));
        let at = used.at().map(|at| points::check(&scenario.axes, at)).unwrap_or_default();
        problems.extend(at.into_iter().map(|problem| problem.below(&path(Some("at")))));
    }
    problems
}

fn check_claims(ids: &[String], claims: &ClaimsFile) -> Vec<Problem> {
    let unknown = ids
        .iter()
        .enumerate()
        .filter_map(|(number, id)| unknown_claim(id, claims).map(|problem| problem.below(&[Segment::Index(number)])));
    unknown.collect()
}

fn unknown_claim(id: &str, claims: &ClaimsFile) -> Option<Problem> {
    if claims.has(id) {
        return None;
    }
    let known: Vec<_> = claims.claims().map(|(id, ..)| id).collect();
    let help = some_of(id, &known, "`kong-pg-tls claims` lists all");
    Some(Problem::value(Vec::new(), format!("no claim is called `{id}`"), help))
}

fn check_versions(applies_to: Option<&AppliesTo>, releases: &Releases) -> Vec<Problem> {
    let Some(applies_to) = applies_to else { return Vec::new() };
    let path = |inside: &[Segment]| [&[key("applies_to")], inside].concat();
    let unknown = applies_to.releases.iter().enumerate().filter_map(|(number, release)| {
        releases.find(release).err()?;
        let known: Vec<_> = all(releases).map(|profile| profile.to_string()).collect();
        let help = some_of(release, &known, "`kong-pg-tls env` lists all");
        let message = format!("no Kong release is called `{release}`");
        Some(Problem::value(path(&[key("releases"), Segment::Index(number)]), message, help))
    });
    let mut problems: Vec<_> = unknown.collect();
    if applies_to.is_limited() && applies_to.because.is_none() {
        let help = "expected `because` beside it";
        problems.push(Problem::value(path(&[]), "`applies_to` does not say why not elsewhere", help));
    }
    problems
}

fn check_exceptions(exceptions: &[Except], scenario: &Scenario, releases: &Releases) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, except) in exceptions.iter().enumerate() {
        let path = |name| [key("except"), Segment::Index(number), key(name)];
        let at = points::check(&scenario.axes, &except.at);
        problems.extend(at.into_iter().map(|problem| problem.below(&path("at"))));
        for (index, pattern) in except.releases.iter().enumerate() {
            if matching(std::slice::from_ref(pattern), releases).is_empty() {
                let message = format!("no Kong release is called `{pattern}`");
                let help = "expected 3.9-oss, 3.15-enterprise, or a pattern like *-oss";
                let problem = Problem::value(vec![Segment::Index(index)], message, help);
                problems.push(problem.below(&path("releases")));
            }
        }
    }
    problems
}

/// The releases whose names match one of the patterns.
pub(super) fn matching(patterns: &[String], releases: &Releases) -> Vec<Profile> {
    let Ok(globs) = Globs::new(patterns) else { return Vec::new() };
    all(releases).filter(|profile| globs.is_match(&profile.to_string())).collect()
}

fn all(releases: &Releases) -> impl Iterator<Item = Profile> {
    releases.all().into_iter().chain(releases.drivers().to_vec())
}
