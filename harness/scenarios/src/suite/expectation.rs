//! Complete expectations: an outcome for each stack and edition, and both sides of every refusal.

use super::outcomes::{Outcomes, Resolved};
use super::texts::Texts;
use super::trees::files_help;
use indexmap::IndexMap;

use crate::format::{
    Arguments, Connects, Expect, Hangs, KongText, Outcome, Refused, ServerLog, SpelledExpect, SpelledOutcome,
};
use crate::load::{Problem, Segment, key};
use crate::vocabulary::TlsVersion;
use certificate_trees::Tree;
use kong_pg_client::{Edition, Stack, Stage};

/// What must happen on either of Kong's stacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    luasec: ByEdition,
    cosocket: ByEdition,
}

/// What must happen with either edition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ByEdition {
    enterprise: Expected,
    /// What happens with the open-source edition, where that is something else.
    oss: Option<Expected>,
}

/// What must happen on one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Kong connects.
    Connects(Connects),
    /// Kong does not.
    Refused {
        /// How far it comes.
        stage: Option<Stage>,
        /// What Kong says.
        kong: KongSays,
        /// What the server logs.
        postgres: ServerLog,
        /// What the program between Kong and the server logs.
        relay: ServerLog,
    },
    /// Kong waits without end.
    Hangs {
        /// What the server logs.
        postgres: ServerLog,
        /// What the program between Kong and the server logs.
        relay: ServerLog,
    },
}

/// What may be expected of one stack, or of both.
struct Forms<'e> {
    connects: Option<&'e Connects>,
    refused: Option<&'e Refused>,
    hangs: Option<&'e Hangs>,
}

impl<'e> From<&'e SpelledOutcome> for Forms<'e> {
    fn from(outcome: &'e SpelledOutcome) -> Self {
        let SpelledOutcome { connects, refused, hangs, .. } = outcome;
        Self { connects: connects.as_ref(), refused: refused.as_ref(), hangs: hangs.as_ref() }
    }
}

impl<'e> From<&'e SpelledExpect> for Forms<'e> {
    fn from(expect: &'e SpelledExpect) -> Self {
        let SpelledExpect { connects, refused, hangs, .. } = expect;
        Self { connects: connects.as_ref(), refused: refused.as_ref(), hangs: hangs.as_ref() }
    }
}

/// How Kong's driver reports a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KongSays {
    /// It returns an error, and Kong puts its prefix before it.
    Returns(KongText),
    /// It raises one, and Kong prints it bare.
    Raises(KongText),
}

impl KongSays {
    /// The text without any prefix.
    #[must_use]
    pub fn text(&self) -> &KongText {
        let (Self::Returns(text) | Self::Raises(text)) = self;
        text
    }

    /// Whether the driver raises it.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        matches!(self, Self::Raises(_))
    }
}

impl Expectation {
    /// What must happen on a stack with an edition.
    #[must_use]
    pub fn on(&self, stack: Stack, edition: Edition) -> &Expected {
        let of = match stack {
            Stack::Luasec => &self.luasec,
            Stack::Cosocket => &self.cosocket,
        };
        match (edition, &of.oss) {
            (Edition::Oss, Some(oss)) => oss,
            _ => &of.enterprise,
        }
    }

    /// The same, with something else for the open-source edition.
    fn with_oss(self, oss: Option<Self>) -> Self {
        let Some(oss) = oss else { return self };
        // What is expected of it may itself differ between the editions, as the TLS version of LuaSec does.
        let of = |enterprise: Expected, oss: ByEdition| ByEdition {
            enterprise,
            oss: Some(oss.oss.unwrap_or(oss.enterprise)),
        };
        Self { luasec: of(self.luasec.enterprise, oss.luasec), cosocket: of(self.cosocket.enterprise, oss.cosocket) }
    }

    /// Each stack in its newest version: LuaSec in TLS 1.2, as pg_ssl_version = tlsv1_2 says, a cosocket in TLS 1.3,
    /// and the open-source edition, which has no pg_ssl_version, in TLS 1.3.
    fn newest(tls_1_2: Self, tls_1_3: Self) -> Self {
        let oss = tls_1_3.luasec.oss.unwrap_or(tls_1_3.luasec.enterprise);
        let luasec = ByEdition { enterprise: tls_1_2.luasec.enterprise, oss: Some(oss) };
        Self { luasec, cosocket: tls_1_3.cosocket }
    }
}

impl From<Expected> for ByEdition {
    fn from(enterprise: Expected) -> Self {
        Self { enterprise, oss: None }
    }
}

/// What expectations refer to.
#[derive(Clone, Copy)]
pub(super) struct Vocabulary<'a> {
    pub(super) texts: &'a Texts,
    pub(super) outcomes: &'a Outcomes,
    pub(super) tree: &'a Tree,
    /// The TLS version that both stacks speak at the point, if the point says so.
    pub(super) tls: Option<TlsVersion>,
}

/// Checks an expectation as it is written.
pub(super) fn check(expect: &Expect, vocabulary: Vocabulary<'_>) -> Result<Expectation, Vec<Problem>> {
    let mut check = Check { vocabulary, named: None, problems: Vec::new() };
    match check.expect(expect, &[]) {
        Some(expectation) if check.problems.is_empty() => Ok(expectation),
        _ => Err(check.problems),
    }
}

/// Checks the texts of a server log that stands outside an expectation.
pub(super) fn check_log(log: &ServerLog, vocabulary: Vocabulary<'_>) -> Vec<Problem> {
    let mut check = Check { vocabulary, named: None, problems: Vec::new() };
    check.log(log, &[]);
    check.problems
}

const ONE_OF: &str = "expected one of `connects`, `refused` and `hangs`, or an outcome of outcomes.yaml";

struct Check<'a> {
    vocabulary: Vocabulary<'a>,
    /// Where the named outcome is used that is being checked, and how many names lead to it.
    named: Option<(Vec<Segment>, usize)>,
    problems: Vec<Problem>,
}

/// How many names may lead to an outcome, one to another.
const NAMES: usize = 4;

/// A path whose numbers are items of lists.
fn keys(path: &[&str]) -> Vec<Segment> {
    path.iter().map(|part| part.parse().map_or_else(|_| key(part), Segment::Index)).collect()
}

impl Check<'_> {
    fn wrong<T>(&mut self, path: &[&str], message: impl Into<String>, help: &str) -> Option<T> {
        // What is wrong in a named outcome is shown where it is used: the arguments may be what is wrong.
        let path = self.named.as_ref().map_or_else(|| keys(path), |(used, _)| used.clone());
        self.problems.push(Problem::value(path, message, help));
        None
    }

    fn expect(&mut self, expect: &Expect, path: &[&str]) -> Option<Expectation> {
        match expect {
            Expect::Named(name) => self.named(name, &Arguments::default(), path),
            Expect::Spelled(spelled) => {
                let expectation = match self.used(&spelled.named, path).ok()? {
                    Some((name, arguments)) => {
                        let both = Forms::from(&**spelled);
                        let others = [both.connects.is_some(), both.refused.is_some(), both.hangs.is_some()];
                        if others.contains(&true) || spelled.luasec.is_some() || spelled.cosocket.is_some() {
                            return self.wrong(path, format!("the expectation says more than `{name}`"), "keep one");
                        }
                        self.named(name, arguments, &[path, &[name]].concat())
                    }
                    None => self.spelled(spelled, path),
                };
                let oss = match &spelled.oss {
                    Some(oss) => Some(self.expect(oss, &[path, &["oss"]].concat())?),
                    None => None,
                };
                expectation.map(|expectation| expectation.with_oss(oss))
            }
        }
    }

    /// The outcome of `outcomes.yaml` that is used, if one is; `Err` if several are.
    fn used<'n>(
        &mut self,
        named: &'n IndexMap<String, Arguments>,
        path: &[&str],
    ) -> Result<Option<(&'n str, &'n Arguments)>, ()> {
        match named.len() {
            0 => Ok(None),
            1 => Ok(named.iter().next().map(|(name, arguments)| (name.as_str(), arguments))),
            _ => {
                let all: Vec<_> = named.keys().map(|name| format!("`{name}`")).collect();
                let message = format!("the expectation names several outcomes: {}", all.join(", "));
                self.wrong::<()>(path, message, "keep one of them");
                Err(())
            }
        }
    }

    /// A named outcome; the path leads to its arguments.
    fn named(&mut self, name: &str, arguments: &Arguments, path: &[&str]) -> Option<Expectation> {
        let outer = self.named.clone();
        let (used, depth) = outer.clone().unwrap_or_else(|| (keys(path), 0));
        if depth == NAMES {
            return self.wrong(path, format!("too many names lead to `{name}`"), "name an outcome that is spelled out");
        }
        let resolved = match self.vocabulary.outcomes.resolve(name, arguments, self.vocabulary.tls) {
            Ok(resolved) => resolved,
            Err(error) => {
                let (message, help) = (error.to_string(), error.help());
                let Some(argument) = error.argument().filter(|_| self.named.is_none()) else {
                    return self.wrong(path, message, &help);
                };
                self.problems.push(Problem::key(keys(&[path, &[argument]].concat()), message, help));
                return None;
            }
        };
        self.named = Some((used, depth + 1));
        let expectation = match &*resolved {
            Resolved::Same(expect) => self.expect(expect, path),
            Resolved::Newest { tls_1_2, tls_1_3 } => {
                let versions = self.expect(tls_1_2, path).zip(self.expect(tls_1_3, path));
                versions.map(|(tls_1_2, tls_1_3)| Expectation::newest(tls_1_2, tls_1_3))
            }
        };
        self.named = outer;
        expectation
    }

    fn spelled(&mut self, expect: &SpelledExpect, path: &[&str]) -> Option<Expectation> {
        let both = Forms::from(expect);
        let is_of_both = both.connects.is_some() || both.refused.is_some() || both.hangs.is_some();
        let contradiction = match (is_of_both, &expect.luasec, &expect.cosocket) {
            (false, None, Some(_)) => Some("does not say what happens on LuaSec"),
            (false, Some(_), None) => Some("does not say what happens on a cosocket"),
            (true, Some(_), _) | (true, _, Some(_)) => {
                Some("says what happens on both stacks, and on one of them again")
            }
            _ => None,
        };
        if let Some(contradiction) = contradiction {
            let help = "expected `connects` or `refused`, or both `luasec` and `cosocket`";
            return self.wrong(path, format!("the expectation {contradiction}"), help);
        }
        if let (Some(luasec), Some(cosocket)) = (&expect.luasec, &expect.cosocket) {
            let luasec = self.on_stack(luasec, Stack::Luasec, &[path, &["luasec"]].concat());
            let cosocket = self.on_stack(cosocket, Stack::Cosocket, &[path, &["cosocket"]].concat());
            return luasec.zip(cosocket).map(|(luasec, cosocket)| Expectation { luasec, cosocket });
        }
        self.outcome(&both, path).map(|both| Expectation { luasec: both.clone().into(), cosocket: both.into() })
    }

    fn on_stack(&mut self, outcome: &Outcome, stack: Stack, path: &[&str]) -> Option<ByEdition> {
        let both = match outcome {
            Outcome::Named(name) => self.named(name, &Arguments::default(), path)?,
            Outcome::Spelled(spelled) => match self.used(&spelled.named, path).ok()? {
                Some((name, arguments)) => self.named(name, arguments, &[path, &[name]].concat())?,
                None => return self.outcome(&(&**spelled).into(), path).map(ByEdition::from),
            },
        };
        Some(match stack {
            Stack::Luasec => both.luasec,
            Stack::Cosocket => both.cosocket,
        })
    }

    fn outcome(&mut self, forms: &Forms<'_>, path: &[&str]) -> Option<Expected> {
        match (forms.connects, forms.refused, forms.hangs) {
            (Some(connects), None, None) => Some(self.connects(connects, &[path, &["connects"]].concat())),
            (None, Some(refused), None) => self.refused(refused, &[path, &["refused"]].concat()),
            (None, None, Some(hangs)) => {
                self.log(&hangs.postgres, &[path, &["hangs", "postgres"]].concat());
                self.log(&hangs.relay, &[path, &["hangs", "relay"]].concat());
                let Hangs { postgres, relay } = hangs.clone();
                Some(Expected::Hangs { postgres, relay })
            }
            (None, None, None) => self.wrong(path, "the expectation says nothing", ONE_OF),
            (Some(_), Some(_), _) => {
                self.wrong(path, "the expectation contradicts itself: Kong connects, and is refused", ONE_OF)
            }
            _ => self.wrong(path, "the expectation contradicts itself: Kong hangs, and does not", ONE_OF),
        }
    }

    fn connects(&mut self, connects: &Connects, path: &[&str]) -> Expected {
        let off = connects.tls.accepted().contains(&TlsVersion::Off);
        let of_tls = [&connects.client_dn, &connects.certificate, &connects.cipher];
        if off && of_tls.iter().any(|field| field.is_some()) {
            let message = "the expectation contradicts itself: there is nothing of TLS on a connection in plaintext";
            let help = "take `client_dn`, `certificate` and `cipher` out, or expect a TLS version";
            self.wrong::<()>(path, message, help);
        }
        if let Some(certificate) =
            connects.certificate.as_deref().filter(|name| self.vocabulary.tree.artifact(name).is_none())
        {
            let message = format!("no certificate of this case makes the file `{certificate}`");
            let help = files_help(certificate, self.vocabulary.tree);
            self.wrong::<()>(&[path, &["certificate"]].concat(), message, &help);
        }
        self.log(&connects.postgres, &[path, &["postgres"]].concat());
        self.log(&connects.relay, &[path, &["relay"]].concat());
        Expected::Connects(connects.clone())
    }

    fn refused(&mut self, refused: &Refused, path: &[&str]) -> Option<Expected> {
        self.log(&refused.postgres, &[path, &["postgres"]].concat());
        self.log(&refused.relay, &[path, &["relay"]].concat());
        let (key, kong) = match (&refused.kong, &refused.raises) {
            (Some(text), None) => ("kong", KongSays::Returns(text.clone())),
            (None, Some(text)) => ("raises", KongSays::Raises(text.clone())),
            (None, None) => {
                return self.wrong(path, "the refusal does not say what Kong says", "expected `kong` or `raises`");
            }
            (Some(_), Some(_)) => {
                let message = "the expectation contradicts itself: Kong's driver returns an error, and raises one";
                return self.wrong(path, message, "keep one of `kong` and `raises`");
            }
        };
        let path = [path, &[key]].concat();
        let (accepted, raised) = (kong.text().accepted(), kong.text().raised_instead());
        if matches!(kong.text(), KongText::AnyOf(_)) && accepted.len() + raised.len() < 2 {
            return self.wrong(&path, "a race decides between two texts at least", "give another one, or no `any_of`");
        }
        if kong.is_raised() && !raised.is_empty() {
            return self.wrong(&path, "all of these texts are raised", "put those that are returned below `kong`");
        }
        for text in accepted.iter().chain(raised) {
            self.template(text, &path);
        }
        let (postgres, relay) = (refused.postgres.clone(), refused.relay.clone());
        Some(Expected::Refused { stage: refused.stage, kong, postgres, relay })
    }

    fn log(&mut self, log: &ServerLog, path: &[&str]) {
        let mut lines = |lines: &[String], path: &[&str]| {
            for (number, line) in lines.iter().enumerate() {
                self.template(line, &[path, &[&number.to_string()]].concat());
            }
        };
        match log {
            ServerLog::Line(line) => self.template(line, path),
            ServerLog::Lines(all) => lines(all, path),
            ServerLog::AnyOf(any) => {
                for (number, all) in any.any_of.iter().enumerate() {
                    lines(all, &[path, &["any_of", &number.to_string()]].concat());
                }
            }
        }
    }

    fn template(&mut self, text: &str, path: &[&str]) {
        if let Err(error) = self.vocabulary.texts.check(text, &|name| is_value(name, self.vocabulary.tree)) {
            let help = error.help(self.vocabulary.texts);
            self.wrong::<()>(path, error.to_string(), &help);
        }
    }
}

/// The placeholders whose values only the run knows.
fn is_value(name: &str, tree: &Tree) -> bool {
    let of_certificate = ["subject of ", "issuer of ", "serial of "].iter().find_map(|what| name.strip_prefix(what));
    matches!(name, "host" | "datadir" | "kong")
        || of_certificate.is_some_and(|certificate| tree.has_certificate(certificate))
}

#[cfg(test)]
mod tests;
