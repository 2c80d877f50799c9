//! The points of cases as a table: what is configured differently at each, and what Kong does there. The texts of the
//! server's log are in the scenario.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use kong_pg_client::{Edition, Stack};
use kong_pg_scenarios::suite::{Case, Expectation, Expected, Step};

use super::super::table::text;
use super::situation::{heading, lines};

/// Writes a table for each scenario: first what its cases have in common, then a row for each point and each step. The
/// table is `width` columns wide.
///
/// # Errors
/// If it cannot be written.
pub fn write_explanation(out: &mut dyn Write, cases: &[&Case], width: u16) -> io::Result<()> {
    for cases in cases.chunk_by(|one, other| one.scenario == other.scenario) {
        let described: Vec<_> = cases.iter().flat_map(|case| &case.steps).map(|step| lines(&step.situation)).collect();
        let common: Vec<_> =
            described.first().into_iter().flatten().filter(|line| is_in_all(line, &described)).collect();
        writeln!(out, "{} ({})", cases[0].scenario, cases[0].place)?;
        for line in &common {
            writeln!(out, "  {line}")?;
        }
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        table.set_header(["case", "configured", "expected"]);
        for case in cases {
            if let Some(because) = &case.excluded {
                table.add_row([&*case.name, "", &format!("not run: {because}")]);
            }
            for step in &case.steps {
                let own: Vec<_> = lines(&step.situation).into_iter().filter(|line| !common.contains(&line)).collect();
                table.add_row([heading(&case.name, step.change), own.join("\n"), expected(step)]);
            }
        }
        writeln!(out, "\n{}\n", text(&table))?;
    }
    Ok(())
}

fn is_in_all(line: &String, described: &[Vec<String>]) -> bool {
    described.iter().all(|lines| lines.contains(line))
}

fn expected(step: &Step) -> String {
    let Some(expectation) = &step.expect else {
        let answers = step.queries.iter().map(|(query, answer)| format!("{query}: {answer}"));
        return answers.collect::<Vec<_>>().join("\n");
    };
    let editions = [(Edition::Enterprise, ""), (Edition::Oss, "open source, ")];
    let [enterprise, oss] = editions.map(|(edition, prefix)| of_edition(expectation, edition, prefix));
    let same = enterprise.iter().map(|(_, text)| text).eq(oss.iter().map(|(_, text)| text));
    let all = enterprise.into_iter().chain(if same { Vec::new() } else { oss });
    all.map(|(stack, text)| format!("{stack}: {text}")).collect::<Vec<_>>().join("\n")
}

/// What is expected with an edition: of both stacks at once, if that is the same.
fn of_edition(expectation: &Expectation, edition: Edition, prefix: &str) -> Vec<(String, String)> {
    let [luasec, cosocket] = [Stack::Luasec, Stack::Cosocket].map(|stack| outcome(expectation.on(stack, edition)));
    if luasec == cosocket {
        return vec![(format!("{prefix}both"), luasec)];
    }
    vec![(format!("{prefix}luasec"), luasec), (format!("{prefix}cosocket"), cosocket)]
}

/// What happens on one stack, in one line.
#[must_use]
pub fn outcome(expected: &Expected) -> String {
    match expected {
        Expected::Connects(connects) => {
            let versions: Vec<_> = connects.tls.accepted().iter().map(|version| version.as_str()).collect();
            if versions.is_empty() {
                return "connects".into();
            }
            let tls = if versions == ["off"] { "in plaintext".into() } else { format!("in {}", versions.join(" or ")) };
            let subject = connects.client_dn.as_ref().map(|subject| format!("as {subject}"));
            let certificate = connects.certificate.as_ref().map(|file| format!("to {file}"));
            let details: Vec<_> = [tls].into_iter().chain(subject).chain(certificate).collect();
            format!("connects {}", details.join(" "))
        }
        Expected::Refused { stage, kong, .. } => {
            let stage = stage.map(|stage| format!(" ({})", stage.as_str())).unwrap_or_default();
            let verb = if kong.is_raised() { "raises" } else { "refused" };
            format!("{verb}{stage}: {}", kong.text().accepted().join(" | "))
        }
        Expected::Hangs { .. } => "hangs".into(),
    }
}
