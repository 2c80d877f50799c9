//! From a scenario file to its cases: each case at each point of the axes, with what must happen there.

use std::sync::Arc;

use globset::Glob;

use super::axes::{self, Point};
use super::expectation::{self, Expectation, Vocabulary};
use super::model::{Case as CaseFile, Except, Override, Scenario as ScenarioFile, Step as StepFile};
use super::outcome::Expect;
use super::schema::closest;
use super::situation::{self, Layer};
use super::source::{Fault, Source};
use super::yaml::{Segment, Target};
use super::{Case, Change, Documented, Shared, Step};
use certificate_trees::Tree;
use kong_pg_client::Profile;

/// Reads the cases of a scenario.
pub(super) fn read(
    id: &str,
    source: &Source,
    scenario: &ScenarioFile,
    shared: &Shared,
) -> Result<(String, Vec<Arc<Case>>), Vec<Fault>> {
    let mut cases = Vec::<Arc<Case>>::new();
    let mut faults = Vec::new();
    for (inside, message, help) in check_reasons(&scenario.claims, &scenario.releases, shared) {
        faults.push(source.fault(&inside, Target::Value, message, help));
    }
    for (inside, target, message, help) in check_exceptions(&scenario.except, scenario) {
        faults.push(source.fault(&inside, target, message, help));
    }
    for (index, case) in scenario.cases.iter().enumerate() {
        let here = vec![Segment::Key("cases".into()), Segment::Index(index)];
        let line = source.locate(&here).line;
        let place = format!("{}:{line}", source.path.display());
        let mut reader = Reader { id, place, source, scenario, case, shared, here, faults: Vec::new() };
        for case in reader.cases() {
            if cases.iter().any(|earlier| earlier.id == case.id) {
                let message = format!("two cases of this scenario have the id `{}`", case.id);
                reader.fault(&[key("name")], Target::Value, message, "name one of them otherwise");
            }
            cases.push(Arc::new(case));
        }
        faults.extend(reader.faults);
    }
    if faults.is_empty() { Ok((scenario.title.clone(), cases)) } else { Err(faults) }
}

/// Reads one case of the file.
struct Reader<'a> {
    id: &'a str,
    place: String,
    source: &'a Source,
    scenario: &'a ScenarioFile,
    case: &'a CaseFile,
    shared: &'a Shared,
    /// The way to the case.
    here: Vec<Segment>,
    faults: Vec<Fault>,
}

fn key(name: &str) -> Segment {
    Segment::Key(name.to_owned())
}

impl<'a> Reader<'a> {
    fn fault(&mut self, inside: &[Segment], target: Target, message: impl Into<String>, help: &str) {
        let path = [&self.here[..], inside].concat();
        self.faults.push(self.source.fault(&path, target, message.into(), help.to_owned()));
    }

    fn cases(&mut self) -> Vec<Case> {
        let (scenario, case) = (self.scenario, self.case);
        self.check();
        let points = axes::points(&scenario.axes);
        let points: Vec<_> = points.into_iter().filter(|point| axes::is_at(point, &case.at)).collect();
        for number in 0..case.rules.len() {
            if !points.iter().any(|point| self.rule(point) == Some(number)) {
                let way = [key("rules"), Segment::Index(number)];
                self.fault(&way, Target::Value, "no point is left for this rule", "take it out, or move it up");
            }
        }
        points.iter().filter_map(|point| self.at(point)).collect()
    }

    /// Checks what can be said of the case without looking at a point.
    fn check(&mut self) {
        let (scenario, case) = (self.scenario, self.case);
        let rules = case.rules.iter().enumerate().map(|(n, rule)| ("rules", n, &rule.when));
        for (what, number, when) in rules {
            for (inside, target, message, help) in axes::check(&scenario.axes, when) {
                let way = [&[key(what), Segment::Index(number), key("when")], &inside[..]].concat();
                self.fault(&way, target, message, &help);
            }
        }
        for (inside, target, message, help) in check_exceptions(&case.except, scenario) {
            self.fault(&inside, target, message, &help);
        }
        for (inside, target, message, help) in axes::check(&scenario.axes, &case.at) {
            self.fault(&[&[key("at")], &inside[..]].concat(), target, message, &help);
        }
        for (inside, message, help) in check_reasons(&case.claims, &case.releases, self.shared) {
            self.fault(&inside, Target::Value, message, &help);
        }
        for (number, documented) in case.documented.iter().enumerate() {
            self.check_documented(number, documented);
        }
        if case.expect.is_some() && !case.rules.is_empty() {
            let help = "keep one of `expect` and `rules`";
            self.fault(&[key("rules")], Target::Key { occurrence: 0 }, "the case expects the same in two ways", help);
        }
        if case.expect.is_none() && case.rules.is_empty() && case.then.is_empty() && case.asks.is_empty() {
            let help = "expected `expect`, `rules`, `asks`, or `then` with steps";
            self.fault(&[], Target::Value, "the case expects nothing", help);
        }
    }

    fn check_documented(&mut self, number: usize, documented: &Documented) {
        let here = [key("documented"), Segment::Index(number)];
        let way = |keys: &[&str]| [&here[..], &keys.iter().map(|name| key(name)).collect::<Vec<_>>()].concat();
        if let Some((message, help)) = unknown_claim(&documented.claim, self.shared) {
            self.fault(&way(&["claim"]), Target::Value, message, &help);
        }
        for (inside, target, message, help) in axes::check(&self.scenario.axes, &documented.at.at) {
            self.fault(&[way(&["where", "at"]), inside].concat(), target, message, &help);
        }
        if documented.says.is_none() && documented.would.is_some() {
            let help = "say what the documents say, or take it out";
            self.fault(&way(&["would"]), Target::Value, "documents that are silent would have nothing happen", help);
        }
    }

    /// The number of the first rule that fits a point.
    fn rule(&self, point: &Point<'_>) -> Option<usize> {
        self.case.rules.iter().position(|rule| axes::is_at(point, &rule.when))
    }

    /// The case at a point.
    fn at(&mut self, point: &Point<'_>) -> Option<Case> {
        let case = self.case;
        let exceptions = case.except.iter().chain(&self.scenario.except);
        let exceptions = exceptions.filter(|except| axes::is_at(point, &except.when));
        let (everywhere, releases): (Vec<_>, Vec<_>) = exceptions.partition(|except| except.releases.is_empty());
        let excluded = everywhere.first();
        let excluded_releases = releases.iter().map(|except| (matching(&except.releases), except.because.clone()));
        let steps = if excluded.is_some() { Vec::new() } else { self.steps(point)? };
        let names: Vec<_> = [case.name.as_str()].into_iter().chain(point.iter().map(|(_, name)| *name)).collect();
        let slugs: Vec<_> = names.iter().map(|name| slug(name)).collect();
        let both = |scenario: &[String], case: &[String]| scenario.iter().chain(case).cloned().collect();
        Some(Case {
            id: format!("{}::{}", self.id, slugs.join(".")),
            scenario: self.id.to_owned(),
            name: names.join(", "),
            place: self.place.clone(),
            claims: both(&self.scenario.claims, &case.claims),
            threads: both(&self.scenario.threads, &case.threads),
            only: case.only.clone(),
            excluded: excluded.map(|except| except.because.clone()),
            excluded_releases: excluded_releases.collect(),
            beyond: case.beyond.clone().or_else(|| self.scenario.beyond.clone()),
            releases: self.releases(),
            documented: self.documented(point),
            steps,
        })
    }

    /// The releases that the case is about; those that are none have been told.
    fn releases(&self) -> Vec<Profile> {
        let own = [&self.case.releases, &self.scenario.releases].into_iter().find(|named| !named.is_empty());
        own.into_iter().flatten().filter_map(|name| name.parse().ok()).collect()
    }

    fn documented(&self, point: &Point<'_>) -> Vec<Arc<Documented>> {
        let here = self.case.documented.iter().filter(|documented| axes::is_at(point, &documented.at.at));
        here.cloned().map(Arc::new).collect()
    }

    fn steps(&mut self, point: &Point<'_>) -> Option<Vec<Step>> {
        let (scenario, case) = (self.scenario, self.case);
        let mut layers = vec![Layer {
            path: Vec::new(),
            pki: scenario.pki.as_ref(),
            files: &scenario.files,
            postgres: &scenario.postgres,
            kong: &scenario.kong,
            prefix: &scenario.kong_prefix,
            security_level: scenario.kong_security_level,
            proxy: scenario.proxy.as_ref(),
        }];
        for (axis, name) in point {
            let path = vec![key("axes"), key(axis), key(name)];
            layers.extend(scenario.axes.get(*axis).and_then(|points| points.get(*name)).map(|over| layer(over, path)));
        }
        layers.push(Layer {
            path: self.here.clone(),
            pki: case.pki.as_ref(),
            files: &case.files,
            postgres: &case.postgres,
            kong: &case.kong,
            prefix: &case.kong_prefix,
            security_level: case.kong_security_level,
            proxy: case.proxy.as_ref(),
        });
        let situation = self.situation(&layers)?;
        let expect = match (&case.expect, self.rule(point)) {
            (Some(expect), _) => Some(self.expectation(expect, &situation.tree, &[key("expect")])?),
            (None, Some(number)) => {
                let way = [key("rules"), Segment::Index(number), key("expect")];
                Some(self.expectation(&case.rules[number].expect, &situation.tree, &way)?)
            }
            (None, None) if case.rules.is_empty() => None,
            (None, None) => {
                let names: Vec<_> = point.iter().map(|(axis, name)| format!("{axis}: {name}")).collect();
                let message = format!("no rule says what happens at {}", names.join(", "));
                self.fault(
                    &[key("rules")],
                    Target::Key { occurrence: 0 },
                    message,
                    "add one, or an `except` with its reason",
                );
                return None;
            }
        };
        let asks = case.asks.clone().into_iter().collect();
        let first = Step { situation, change: Change::First, log: None, open_connection: None, asks, expect };
        let mut steps = vec![first];
        for (number, step) in case.then.iter().enumerate() {
            steps.push(self.step(number, step, &mut layers)?);
        }
        Some(steps)
    }

    /// A later step, on top of those before it; but a second server does not change the first.
    fn step(&mut self, number: usize, step: &'a StepFile, layers: &mut Vec<Layer<'a>>) -> Option<Step> {
        let inside = [key("then"), Segment::Index(number)];
        let way = |name: &str| [&inside[..], &[key(name)]].concat();
        let changes = [
            ("reload", Change::Reload, &step.reload),
            ("restart", Change::Restart, &step.restart),
            ("read_only", Change::ReadOnly, &step.read_only),
        ];
        let mut said = changes.iter().filter_map(|(name, change, over)| Some((*name, *change, over.as_ref()?)));
        let (Some((name, change, over)), None) = (said.next(), said.next()) else {
            let help = "expected one of `reload`, `restart` and `read_only`";
            self.fault(&inside, Target::Value, "a step is one change", help);
            return None;
        };
        let path = [&self.here[..], &way(name)].concat();
        let mut with = layers.clone();
        with.push(layer(over, path));
        let situation = self.situation(&with)?;
        if change != Change::ReadOnly {
            *layers = with;
        }
        for (line, message, help) in expectation::check_log(&step.postgres, self.vocabulary(&situation.tree)) {
            self.fault(&[way("postgres"), line].concat(), Target::Value, message, &help);
        }
        let expect = match &step.expect {
            Some(expect) => Some(self.expectation(expect, &situation.tree, &way("expect"))?),
            None => None,
        };
        let (log, open_connection) = (Some(step.postgres.clone()), step.open_connection.clone());
        Some(Step { situation, change, log, open_connection, asks: Vec::new(), expect })
    }

    fn situation(&mut self, layers: &[Layer<'_>]) -> Option<situation::Situation> {
        situation::merge(&self.shared.trees, layers)
            .map_err(|wrongs| {
                let fault =
                    |wrong: situation::Wrong| self.source.fault(&wrong.path, wrong.target, wrong.message, wrong.help);
                self.faults.extend(wrongs.into_iter().map(fault));
            })
            .ok()
    }

    fn vocabulary<'v>(&self, tree: &'v Tree) -> Vocabulary<'v>
    where
        'a: 'v,
    {
        Vocabulary { texts: &self.shared.texts, outcomes: &self.shared.outcomes, tree }
    }

    fn expectation(&mut self, expect: &Expect, tree: &Tree, at: &[Segment]) -> Option<Expectation> {
        expectation::check(expect, self.vocabulary(tree))
            .map_err(|wrongs| {
                for (inside, message, help) in wrongs {
                    self.fault(&[at, &inside].concat(), Target::Value, message, &help);
                }
            })
            .ok()
    }
}

/// The releases whose names match one of the patterns.
fn matching(patterns: &[String]) -> Vec<Profile> {
    let patterns: Vec<_> =
        patterns.iter().filter_map(|pattern| Some(Glob::new(pattern).ok()?.compile_matcher())).collect();
    let is_named = |profile: &Profile| patterns.iter().any(|pattern| pattern.is_match(profile.to_string()));
    Profile::all().into_iter().chain(Profile::drivers()).filter(is_named).collect()
}

/// Checks that there is what exceptions name.
fn check_exceptions(exceptions: &[Except], scenario: &ScenarioFile) -> Vec<axes::Wrong> {
    let mut wrongs = Vec::new();
    for (number, except) in exceptions.iter().enumerate() {
        let way = |name, inside: &[Segment]| [&[key("except"), Segment::Index(number), key(name)], inside].concat();
        for (inside, target, message, help) in axes::check(&scenario.axes, &except.when) {
            wrongs.push((way("when", &inside), target, message, help));
        }
        for (place, pattern) in except.releases.iter().enumerate() {
            if matching(std::slice::from_ref(pattern)).is_empty() {
                let message = format!("no Kong release is called `{pattern}`");
                let help = "expected 3.9-oss, 3.15-enterprise, or a pattern like *-oss".to_owned();
                wrongs.push((way("releases", &[Segment::Index(place)]), Target::Value, message, help));
            }
        }
    }
    wrongs
}

/// Checks the claims and the releases that a scenario or a case names.
fn check_reasons(claims: &[String], releases: &[String], shared: &Shared) -> Vec<(Vec<Segment>, String, String)> {
    let way = |name: &str, number| vec![key(name), Segment::Index(number)];
    let claims = claims.iter().enumerate().filter_map(|(number, claim)| {
        let (message, help) = unknown_claim(claim, shared)?;
        Some((way("claims", number), message, help))
    });
    let releases = releases.iter().enumerate().filter_map(|(number, release)| {
        let message = release.parse::<Profile>().err()?.to_string();
        Some((way("releases", number), message, "name a release as `--kong` takes it".to_owned()))
    });
    claims.chain(releases).collect()
}

fn unknown_claim(id: &str, shared: &Shared) -> Option<(String, String)> {
    if shared.claims.has(id) {
        return None;
    }
    let known: Vec<_> = shared.claims.claims().map(|(id, ..)| id).collect();
    let help = match closest(id, &known) {
        Some(close) => format!("did you mean `{close}`?"),
        None => "name a claim of claims.yaml; `kong-pg-tls claims` lists them".to_owned(),
    };
    Some((format!("no claim is called `{id}`"), help))
}

fn layer(over: &Override, path: Vec<Segment>) -> Layer<'_> {
    Layer {
        path,
        pki: over.pki.as_ref(),
        files: &over.files,
        postgres: &over.postgres,
        kong: &over.kong,
        prefix: &over.kong_prefix,
        security_level: over.kong_security_level,
        proxy: over.proxy.as_ref(),
    }
}

/// A name as a part of an id: lower-case words with hyphens between them.
fn slug(name: &str) -> String {
    let name = name.replace('\'', "");
    let words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
