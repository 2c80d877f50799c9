//! From a scenario file to its cases: each case at each point of the axes, with what must happen there.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::case::{Blank, Case, Change, Only, Step};
use super::expectation::{self, Expectation, Vocabulary};
use super::names;
use super::outcomes::Outcomes;
use super::points::{self, Point, is_at};
use super::situation::{self, Layer, Situation};
use super::texts::Texts;
use super::trees::Trees;
use crate::format::{
    AppliesTo, Case as CaseFile, ClaimUse, ClaimsFile, Documented, Except, Expect, Scenario as ScenarioFile,
    Step as StepFile,
};
use crate::load::{Fault, Problem, Segment, Source, key};
use crate::vocabulary::TlsVersion;
use kong_pg_client::{Profile, Releases};

/// What the scenarios of a suite share.
pub(super) struct Shared {
    pub(super) trees: Trees,
    pub(super) texts: Texts,
    pub(super) outcomes: Outcomes,
    pub(super) claims: ClaimsFile,
    pub(super) releases: Releases,
    /// Whether the scenarios are of a folder: those may leave open what must happen, and name files beside them.
    pub(super) is_of_folder: bool,
}

/// Compiles the cases of a scenario.
pub(super) fn compile(
    id: &str,
    source: &Source,
    scenario: &ScenarioFile,
    shared: &Shared,
) -> Result<Vec<Arc<Case>>, Vec<Fault>> {
    let mut cases = Vec::new();
    let mut ids = HashSet::new();
    let mut problems = names::check_scenario(scenario, &shared.claims, &shared.releases);
    let layers = Layers::of(scenario);
    for (index, case) in scenario.cases.iter().enumerate() {
        let here = vec![key("cases"), Segment::Index(index)];
        let place = format!("{}:{}", source.path.display(), source.locate(&here).line);
        let own = Rc::new(Layer::new(here.clone(), &case.setup));
        let exceptions = case.except.iter().chain(&scenario.except);
        let exceptions = exceptions.map(|except| (except, names::matching(&except.releases, &shared.releases)));
        let mut compiler = Compiler {
            id,
            source,
            place,
            scenario,
            case,
            exceptions: exceptions.collect(),
            shared,
            layers: &layers,
            own,
            here,
            problems: Vec::new(),
        };
        for case in compiler.cases() {
            if !ids.insert(case.id.clone()) {
                let message = format!("two cases of this scenario have the id `{}`", case.id);
                compiler.problem(Problem::value(vec![key("name")], message, "give one of them another name"));
            }
            cases.push(Arc::new(case));
        }
        problems.extend(compiler.problems);
    }
    if problems.is_empty() {
        Ok(cases)
    } else {
        Err(problems.into_iter().map(|problem| source.fault(problem)).collect())
    }
}

/// What the cases of a scenario are put on top of.
struct Layers<'a> {
    scenario: Rc<Layer<'a>>,
    /// By axis, and name.
    points: HashMap<(&'a str, &'a str), Rc<Layer<'a>>>,
}

impl<'a> Layers<'a> {
    fn of(scenario: &'a ScenarioFile) -> Self {
        let points = scenario.axes.iter().flat_map(|(axis, points)| points.iter().map(move |point| (axis, point)));
        let layers = points.map(|(axis, (name, point))| {
            let path = vec![key("axes"), key(axis), key(name)];
            ((axis.as_str(), name.as_str()), Rc::new(Layer::new(path, &point.setup)))
        });
        Self { points: layers.collect(), scenario: Rc::new(Layer::new(Vec::new(), &scenario.setup)) }
    }
}

/// Compiles one case of the file.
struct Compiler<'a> {
    id: &'a str,
    source: &'a Source,
    place: String,
    scenario: &'a ScenarioFile,
    case: &'a CaseFile,
    /// Its exceptions and those of the scenario, with the releases that they name.
    exceptions: Vec<(&'a Except, Vec<Profile>)>,
    shared: &'a Shared,
    layers: &'a Layers<'a>,
    /// The case's own.
    own: Rc<Layer<'a>>,
    /// The path to the case.
    here: Vec<Segment>,
    /// What is wrong, with paths from the root of the file.
    problems: Vec<Problem>,
}

/// Where a case takes from what it expects at a point.
enum Expects<'a> {
    /// From itself: `expect`, or a rule with the claims that it proves.
    Case {
        path: Vec<Segment>,
        expect: &'a Expect,
        claims: &'a [String],
    },
    /// From a point of an axis.
    Point {
        path: Vec<Segment>,
        expect: &'a Expect,
    },
    Nothing,
}

impl<'a> Compiler<'a> {
    /// Adds a problem inside the case.
    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem.below(&self.here));
    }

    fn cases(&mut self) -> Vec<Case> {
        let (scenario, case) = (self.scenario, self.case);
        for problem in names::check_case(scenario, case, &self.shared.claims, &self.shared.releases) {
            self.problem(problem);
        }
        let points = points::points(&scenario.axes);
        let points: Vec<_> = points.into_iter().filter(|point| is_at(point, &case.at)).collect();
        for number in 0..case.rules.len() {
            if !points.iter().any(|point| self.rule(point) == Some(number)) {
                let path = vec![key("rules"), Segment::Index(number)];
                let help = "take it out, or move it up";
                self.problem(Problem::value(path, "the rules above it apply to every point of this one", help));
            }
        }
        points.iter().filter_map(|point| self.at(point)).collect()
    }

    /// The number of the first rule that fits a point.
    fn rule(&self, point: &Point<'_>) -> Option<usize> {
        self.case.rules.iter().position(|rule| is_at(point, &rule.at))
    }

    /// The case at a point.
    fn at(&mut self, point: &Point<'_>) -> Option<Case> {
        let case = self.case;
        let exceptions = self.exceptions.iter().filter(|(except, _)| is_at(point, &except.at));
        let (everywhere, some): (Vec<_>, Vec<_>) = exceptions.partition(|(except, _)| except.releases.is_empty());
        let excluded = everywhere.first().map(|(except, _)| except.because.clone());
        let excluded_releases: Vec<_> =
            some.iter().map(|(except, releases)| (releases.clone(), except.because.clone())).collect();
        let expects = self.expects(point);
        let steps = if excluded.is_some() { Vec::new() } else { self.steps(point, &expects)? };
        let names: Vec<_> = [case.name.as_str()].into_iter().chain(point.iter().map(|(_, name)| *name)).collect();
        let slugs: Vec<_> = names.iter().map(|name| slug(name)).collect();
        let applies_to = [&case.applies_to, &self.scenario.applies_to].into_iter().find_map(Option::as_ref);
        let documented = case.documented.iter().filter(|documented| is_at(point, &documented.at));
        let documented: Vec<_> = documented.cloned().map(Arc::new).collect();
        Some(Case {
            id: format!("{}::{}", self.id, slugs.join(".")),
            scenario: self.id.to_owned(),
            name: names.join(", "),
            place: self.place.clone(),
            about: [&self.scenario.about, &case.about].into_iter().flatten().cloned().collect(),
            claims: self.claims(point, &expects, &documented),
            source: self.scenario.source.iter().chain(&case.source).map(|url| url.0.clone()).collect(),
            reason: case.reason.clone().or_else(|| self.scenario.reason.clone()),
            only: applies_to.and_then(only),
            excluded,
            excluded_releases,
            releases: applies_to
                .iter()
                .flat_map(|it| &it.releases)
                .filter_map(|name| self.shared.releases.find(name).ok())
                .collect(),
            documented,
            steps,
        })
    }

    /// The claims that the case proves at a point.
    fn claims(&self, point: &Point<'_>, expects: &Expects<'_>, documented: &[Arc<Documented>]) -> Vec<String> {
        let declared = self.scenario.claims.iter().chain(&self.case.claims);
        let declared = declared.filter(|claim| claim.at().is_none_or(|at| is_at(point, at))).map(ClaimUse::id);
        let of_point: Vec<_> = match expects {
            Expects::Case { claims, .. } => claims.iter().collect(),
            Expects::Point { .. } => self.points(point).flat_map(|(_, point)| &point.claims).collect(),
            Expects::Nothing => Vec::new(),
        };
        let documented = documented.iter().map(|documented| documented.claim.as_str());
        let mut claims = Vec::<String>::new();
        for claim in declared.chain(of_point.into_iter().map(String::as_str)).chain(documented) {
            if !claims.iter().any(|known| known == claim) {
                claims.push(claim.to_owned());
            }
        }
        claims
    }

    /// The points of the axes that a point consists of, each with its path in the file.
    fn points(&self, point: &Point<'_>) -> impl DoubleEndedIterator<Item = (Vec<Segment>, &'a crate::format::Point)> {
        let found = point.iter().filter_map(|(axis, name)| {
            let path = vec![key("axes"), key(axis), key(name)];
            Some((path, self.scenario.axes.get(*axis)?.get(*name)?))
        });
        found.collect::<Vec<_>>().into_iter()
    }

    /// What the case expects at a point.
    fn expects(&self, point: &Point<'_>) -> Expects<'a> {
        let case = self.case;
        if let Some(expect) = &case.expect {
            let path = [&self.here[..], &[key("expect")]].concat();
            return Expects::Case { path, expect, claims: &[] };
        }
        if let Some(number) = self.rule(point) {
            let rule = &case.rules[number];
            let path = [&self.here[..], &[key("rules"), Segment::Index(number), key("expect")]].concat();
            return Expects::Case { path, expect: &rule.expect, claims: &rule.claims };
        }
        if let Some(expect) = &case.otherwise {
            let path = [&self.here[..], &[key("otherwise")]].concat();
            return Expects::Case { path, expect, claims: &[] };
        }
        let of_points = self.points(point).rev().find_map(|(path, point)| {
            Some(Expects::Point { path: [path, vec![key("expect")]].concat(), expect: point.expect.as_ref()? })
        });
        of_points.unwrap_or(Expects::Nothing)
    }

    fn steps(&mut self, point: &Point<'_>, expects: &Expects<'_>) -> Option<Vec<Step>> {
        let case = self.case;
        let of_points = point.iter().filter_map(|point| self.layers.points.get(point));
        let mut layers: Vec<_> =
            [&self.layers.scenario].into_iter().chain(of_points).chain([&self.own]).cloned().collect();
        let tls = self.points(point).rev().find_map(|(_, point)| point.tls);
        let situation = self.situation(&layers)?;
        let expect = match expects {
            Expects::Case { path, expect, .. } | Expects::Point { path, expect } => {
                Some(self.expectation(expect, &situation, tls, path)?)
            }
            Expects::Nothing if self.blank(&self.here).is_some() => None,
            Expects::Nothing if case.rules.is_empty() && (!case.then.is_empty() || !case.queries.is_empty()) => None,
            Expects::Nothing => {
                self.nothing_expected(point);
                return None;
            }
        };
        let about = match expects {
            Expects::Case { expect, .. } | Expects::Point { expect, .. } => self.shared.outcomes.about(expect),
            Expects::Nothing => Vec::new(),
        };
        let queries = case.queries.clone().into_iter().collect();
        let blank = self.blank(&self.here).filter(|_| expect.is_none());
        let (change, log, open_connection) = (Change::First, None, None);
        let first = Step { situation, change, log, open_connection, queries, about, blank, expect };
        let mut steps = vec![first];
        for (number, step) in case.then.iter().enumerate() {
            steps.push(self.step(number, step, tls, &mut layers)?);
        }
        Some(steps)
    }

    fn nothing_expected(&mut self, point: &Point<'_>) {
        if point.is_empty() {
            let help = "expected `expect`, `queries`, or `then` with steps";
            return self.problem(Problem::value(Vec::new(), "the case expects nothing", help));
        }
        let names: Vec<_> = point.iter().map(|(axis, name)| format!("{axis}: {name}")).collect();
        let message = format!("nothing says what happens at {}", names.join(", "));
        let help = "add a rule, an `expect` to the point, or an `except` with its reason";
        let path = if self.case.rules.is_empty() { Vec::new() } else { vec![key("rules")] };
        self.problem(if path.is_empty() {
            Problem::value(path, message, help)
        } else {
            Problem::key(path, message, help)
        });
    }

    /// A later step, on top of those before it; but a second server does not change the first.
    fn step(
        &mut self,
        number: usize,
        step: &'a StepFile,
        tls: Option<TlsVersion>,
        layers: &mut Vec<Rc<Layer<'a>>>,
    ) -> Option<Step> {
        let inside = [key("then"), Segment::Index(number)];
        let path = |name: &str| [&self.here[..], &inside[..], &[key(name)]].concat();
        let changes = [
            ("reload", Change::Reload, &step.reload),
            ("restart", Change::Restart, &step.restart),
            ("running_kong", Change::RunningKong, &step.running_kong),
            ("read_only", Change::ReadOnly, &step.read_only),
            ("from_pool", Change::FromPool, &step.from_pool),
        ];
        let given = changes.iter().filter_map(|(name, change, setup)| Some((*name, *change, setup.as_ref()?)));
        let given: Vec<_> = given.collect();
        let [(name, change, setup)] = given[..] else {
            let message = if given.is_empty() { "the step changes nothing" } else { "the step makes several changes" };
            let help = "expected one of `reload`, `restart`, `running_kong`, `read_only` and `from_pool`";
            self.problem(Problem::value(inside.to_vec(), message, help));
            return None;
        };
        let mut with = layers.clone();
        with.push(Rc::new(Layer::new(path(name), setup)));
        let (log_path, expect_path) = (path("postgres"), path("expect"));
        let situation = self.situation(&with)?;
        if !change.is_of_read_only_connection() {
            *layers = with;
        }
        let problems = expectation::check_log(&step.postgres, self.vocabulary(&situation, tls));
        self.problems.extend(problems.into_iter().map(|problem| problem.below(&log_path)));
        let expect = match &step.expect {
            Some(expect) => Some(self.expectation(expect, &situation, tls, &expect_path)?),
            None => None,
        };
        let (log, open_connection) = (Some(step.postgres.clone()), step.open_connection.clone());
        let about = step.expect.as_ref().map(|expect| self.shared.outcomes.about(expect)).unwrap_or_default();
        let blank = self.blank(&[&self.here[..], &inside[..]].concat());
        Some(Step { situation, change, log, open_connection, queries: Vec::new(), about, blank, expect })
    }

    /// The expectation of a case or step that is there without a value.
    fn blank(&self, path: &[Segment]) -> Option<Blank> {
        let key = self.source.blank(&[path, &[key("expect")]].concat())?;
        self.shared.is_of_folder.then(|| Blank { file: self.source.path.clone(), key })
    }

    fn situation(&mut self, layers: &[Rc<Layer<'_>>]) -> Option<Situation> {
        let folder = self.source.path.parent().filter(|_| self.shared.is_of_folder);
        situation::merge(&self.shared.trees, folder, layers).map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn vocabulary<'v>(&self, situation: &'v Situation, tls: Option<TlsVersion>) -> Vocabulary<'v>
    where
        'a: 'v,
    {
        Vocabulary { texts: &self.shared.texts, outcomes: &self.shared.outcomes, tree: &situation.tree, tls }
    }

    fn expectation(
        &mut self,
        expect: &Expect,
        situation: &Situation,
        tls: Option<TlsVersion>,
        path: &[Segment],
    ) -> Option<Expectation> {
        expectation::check(expect, self.vocabulary(situation, tls))
            .map_err(|problems| self.problems.extend(problems.into_iter().map(|problem| problem.below(path))))
            .ok()
    }
}

/// The versions that a case has a meaning on, if it names any.
fn only(applies_to: &AppliesTo) -> Option<Only> {
    let AppliesTo { postgres, openssl, built_without_tls, clients, because, .. } = applies_to;
    let because = because.clone().filter(|_| applies_to.is_limited())?;
    Some(Only {
        postgres: *postgres,
        openssl: *openssl,
        built_without_tls: *built_without_tls,
        clients: clients.clone(),
        because,
    })
}

/// A name as a part of an id: lower-case words with hyphens between them.
fn slug(name: &str) -> String {
    let name = name.replace('\'', "");
    let words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
