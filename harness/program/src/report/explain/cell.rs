//! One cell with everything about it: what is configured, what each side says and why, where the documents say
//! something else, which setting would change it, and how to see it with other programs.

use std::io::{self, Write};
use std::path::Path;

use anstyle::Style;
use certificate_trees::Authority;
use kong_pg_client::{PREFIX, Stack};
use kong_pg_scenarios::format::{Cause, Connects};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{Change, Expected, Step, Suite};
use kong_pg_scenarios::vocabulary::{Globs, quoted};

use super::super::last_green;
use super::super::paragraph::indent;
use super::by_hand;
use super::neighbours::{Among, Neighbour, nearest};
use super::situation::{heading, lines};
use crate::judge::{Expectation, ExpectedOutcome};
use crate::run::Words;

/// Writes everything about a cell, `width` columns wide.
///
/// # Errors
/// If it cannot be written.
pub fn write_cell_explanation(out: &mut dyn Write, suite: &Suite, cell: &Cell, width: usize) -> io::Result<()> {
    let mut page = Page { out, suite, cell, width };
    page.head()?;
    if let Some(because) = cell.excluded() {
        return page.section("Not run", &[because]);
    }
    let authority = Authority::new(std::env::temp_dir());
    let mut before = Vec::new();
    for step in &cell.case.steps {
        page.step(step, &before, &authority)?;
        before = lines(&step.situation);
    }
    page.documents()?;
    let Some(last) = cell.case.steps.iter().rev().find(|step| step.expect.is_some()) else { return Ok(()) };
    page.neighbours(last)?;
    page.by_hand(last)
}

struct Page<'a> {
    out: &'a mut dyn Write,
    suite: &'a Suite,
    cell: &'a Cell,
    width: usize,
}

impl Page<'_> {
    fn title(&mut self, title: &str) -> io::Result<()> {
        let bold = Style::new().bold();
        writeln!(self.out, "\n{bold}{title}{bold:#}")
    }

    /// A title, and a paragraph for each text.
    fn section(&mut self, title: &str, texts: &[String]) -> io::Result<()> {
        if texts.is_empty() {
            return Ok(());
        }
        self.title(title)?;
        texts.iter().try_for_each(|text| writeln!(self.out, "{}", indent(text.trim(), 2, self.width)))
    }

    /// A title, and lines that nobody may break.
    fn verbatim(&mut self, title: &str, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.title(title)?;
        lines.iter().try_for_each(|line| writeln!(self.out, "  {}", line.replace('\n', "\n  ")))
    }

    fn head(&mut self) -> io::Result<()> {
        let (cell, bold) = (self.cell, Style::new().bold());
        let scenario = self.suite.scenarios.iter().find(|scenario| scenario.id == cell.case.scenario);
        let title = scenario.map(|scenario| scenario.title.as_str()).unwrap_or_default();
        writeln!(self.out, "{bold}{}{bold:#}", cell.id)?;
        let name = format!("{title}: {}", cell.case.name);
        writeln!(self.out, "{}", indent(&name, 0, self.width))?;
        let stack = match cell.stack {
            Stack::Luasec => "LuaSec, as Kong starts",
            Stack::Cosocket => "a cosocket, as in Kong's workers",
        };
        let versions = format!("PostgreSQL {}, Kong {}, {stack}; {}", cell.major, cell.profile, cell.case.place);
        writeln!(self.out, "{}", indent(&versions, 0, self.width))?;
        self.section("About", &cell.case.about)?;
        let says = |id: &String| {
            let claim = self.suite.claims.claims().find(|(known, ..)| known == id);
            claim.map_or_else(|| id.clone(), |(_, _, claim)| format!("{id}: {}", claim.says))
        };
        let claims: Vec<_> = cell.case.claims.iter().map(says).collect();
        self.section("The documents", &claims)?;
        let reasons: Vec<_> = cell.case.source.iter().chain(&cell.case.reason).cloned().collect();
        self.section("Why it is tested", &reasons)
    }

    fn step(&mut self, step: &Step, before: &[String], authority: &Authority) -> io::Result<()> {
        let all = lines(&step.situation);
        if step.change == Change::First {
            self.verbatim("Configured", &all)?;
        } else {
            let changed = diff(before, &all);
            self.verbatim(&heading("", step.change).replacen("then", "Then", 1), &changed)?;
        }
        let Some(expect) = &step.expect else {
            let open = step.blank.as_ref().map(|_| "The scenario leaves it open.".to_owned());
            return self.section("What happens", &open.into_iter().collect::<Vec<_>>());
        };
        let facts = last_green::facts(self.cell.major);
        let words = Words {
            texts: &self.suite.texts,
            authority,
            cell: self.cell,
            facts: &facts,
            tree: &step.situation.tree,
            host: Some("ADDRESS-OF-KONG"),
            data_directory: "DATA-DIRECTORY",
            kong: Path::new("KONG"),
        };
        match words.expand(step) {
            Ok(expectation) => {
                self.outcome(expect.on(self.cell.stack, self.cell.profile.edition), &expectation)?;
            }
            Err(error) => self.section("What happens", &[error.to_string()])?,
        }
        let mut why = step.about.clone();
        why.extend(self.causes().map(|cause| format!("{} Fix: {}", cause.cause, cause.fix)));
        self.section("Why", &why)
    }

    fn outcome(&mut self, expected: &Expected, expectation: &Expectation) -> io::Result<()> {
        match (expected, &expectation.outcome) {
            (Expected::Connects(connects), _) => self.section("What happens", &[connected(connects)])?,
            (Expected::Hangs { .. }, _) => self.section("What happens", &["Kong waits without end.".into()])?,
            (_, Some(ExpectedOutcome::Refused { stage, kong, raised, raised_instead, because })) => {
                let stage = stage.map(|stage| format!(" ({})", stage.as_str())).unwrap_or_default();
                let returned = kong.iter().map(|text| if *raised { text.clone() } else { format!("{PREFIX}{text}") });
                let mut all = vec![format!("refused{stage}; Kong prints:")];
                all.extend(returned.chain(raised_instead.iter().cloned()).map(|text| format!("  {text}")));
                if let Some(because) = because {
                    all.push(indent(&format!("whichever it is: {because}"), 0, self.width - 2));
                }
                self.verbatim("What happens", &all)?;
            }
            _ => {}
        }
        let any_of = |logs: &[Vec<String>]| {
            let mut shown = Vec::new();
            for (number, log) in logs.iter().enumerate() {
                shown.extend((number > 0).then(|| "or".to_owned()));
                shown.extend(log.iter().cloned());
            }
            shown
        };
        let relay = any_of(&expectation.relay_log);
        if !relay.is_empty() {
            self.verbatim("The program between logs", &relay)?;
        }
        let mut shown = any_of(&expectation.server_log);
        if shown.is_empty() {
            shown.push("(nothing but the lines that every connection has)".into());
        }
        self.verbatim("PostgreSQL logs", &shown)
    }

    /// The causes that this cell shows.
    fn causes(&self) -> impl Iterator<Item = &Cause> {
        let is_shown = |cause: &&Cause| {
            cause.stack.is_none_or(|stack| stack == self.cell.stack)
                && Globs::new(&cause.failing).is_ok_and(|globs| globs.is_match(&self.cell.case.id))
        };
        self.suite.causes.causes.values().filter(is_shown)
    }

    fn documents(&mut self) -> io::Result<()> {
        for documented in self.cell.documented() {
            let says = documented.says.as_deref().map(|says| format!("They say: {says}"));
            let mut texts: Vec<_> = says.into_iter().collect();
            texts.push(format!("What happens: {}", documented.happens));
            texts.push(format!("Since: {}", documented.since));
            texts.push(format!("Do instead: {}", documented.instead));
            let differ = if documented.says.is_some() { "say something else" } else { "are silent" };
            self.section(&format!("The documents {differ} ({})", documented.claim), &texts)?;
        }
        Ok(())
    }

    fn neighbours(&mut self, step: &Step) -> io::Result<()> {
        let (stack, edition) = (self.cell.stack, self.cell.profile.edition);
        let Some(own) = step.expect.as_ref().map(|expect| expect.on(stack, edition)) else { return Ok(()) };
        let own_text = text_of(own);
        let connects = |expected: &Expected| matches!(expected, Expected::Connects(_));
        let fails = |expected: &Expected| !connects(expected) && text_of(expected) != own_text;
        let passing = || nearest(self.suite, self.cell, step, Among::All, &connects);
        let failing = |among| nearest(self.suite, self.cell, step, among, &fails);
        let neighbours = if connects(own) {
            vec![(failing(Among::All), "fails")]
        } else {
            vec![(passing(), "connects"), (failing(Among::Scenario), "fails otherwise")]
        };
        for (neighbour, what) in neighbours {
            let Some(Neighbour { id, step, without, with }) = neighbour else { continue };
            let step = step.map(|step| format!(" ({step})")).unwrap_or_default();
            let mut all = vec![format!("{id}{step}")];
            all.extend(changes(&without, &with).into_iter().map(|line| format!("  {line}")));
            self.verbatim(&format!("The nearest that {what}"), &all)?;
        }
        Ok(())
    }

    fn by_hand(&mut self, step: &Step) -> io::Result<()> {
        let mut commands = vec![format!("kong-pg-tls run {}", quoted(&self.cell.id))];
        commands.extend(by_hand::commands(self.cell, step));
        self.verbatim("To see it, in a folder with these files", &commands)
    }
}

fn connected(connects: &Connects) -> String {
    let versions: Vec<_> = connects.tls.accepted().iter().map(|version| version.as_str()).collect();
    if versions.is_empty() {
        return "Kong connects.".into();
    }
    let tls = if versions == ["off"] { "in plaintext".into() } else { format!("in {}", versions.join(" or ")) };
    let subject = connects.client_dn.as_ref().map(|subject| format!(", with the client certificate of {subject}"));
    let certificate = connects.certificate.as_ref().map(|file| format!(", to a server that shows {file}"));
    let details: String = subject.into_iter().chain(certificate).collect();
    format!("Kong connects {tls}{details}.")
}

/// What Kong says, to tell refusals apart.
fn text_of(expected: &Expected) -> Option<&[String]> {
    if let Expected::Refused { kong, .. } = expected { Some(kong.text().accepted()) } else { None }
}

fn diff(before: &[String], after: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>()
    };
    changes(&only(before, after), &only(after, before))
}

fn changes(without: &[String], with: &[String]) -> Vec<String> {
    let gone = without.iter().map(|line| format!("- {line}"));
    gone.chain(with.iter().map(|line| format!("+ {line}"))).collect()
}
