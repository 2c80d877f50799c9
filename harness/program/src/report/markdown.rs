//! Markdown for the comment of a pull request and for `GITHUB_STEP_SUMMARY`: what is bad first, and short enough for both.

use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexMap;

use super::cell::plain;
use super::compared;
use super::reporter::{cells, some, tally, worst_first};
use crate::compare::Run;
use crate::judge::Verdict;
use crate::record::{CellRecord, Results};

/// A comment has at most 65,536 characters, a summary 1 MiB.
const LIMIT: usize = 65_000;

/// The report of a run.
pub(super) fn render(run: &Results) -> String {
    let mut text = heading(run);
    let problems = worst_first(run);
    let mut groups = IndexMap::<(&str, Verdict, &str), Vec<&CellRecord>>::new();
    for cell in &problems {
        let reason = cell.reason.as_deref().unwrap_or_default();
        groups.entry((&cell.place, cell.verdict, reason)).or_default().push(cell);
    }
    let rest = compared::markdown(&Run::from(run).comparisons()) + &deviations(run);
    let mut left = problems.len();
    for cells in groups.values() {
        let section = section(cells);
        if text.len() + section.len() + rest.len() > LIMIT - 200 {
            let _ = writeln!(text, "... and {left} more; report.html and results.json have them all.\n");
            break;
        }
        text += &section;
        left -= cells.len();
    }
    text + &rest
}

fn heading(run: &Results) -> String {
    let bad = run.problems().count();
    let sentence = match (run.partial(), bad) {
        (Some(partial), _) => format!(":warning: Partial: {partial}; {bad} of them {} not as expected", is_or_are(bad)),
        (None, 0) if run.verdicts().any(Verdict::is_proof) => "All cells that were run are as expected".to_owned(),
        (None, 0) => ":warning: No cell was run to its end: this run proves nothing".to_owned(),
        (None, bad) => format!("{bad} of {} {} not as expected", cells(run.cells.len()), is_or_are(bad)),
    };
    let seconds = Duration::from_millis(run.duration_ms).as_secs_f64();
    let (servers, releases) = (servers(run), some(&run.run.releases));
    let flaky: String = run.flaky().take(IDS).map(|cell| format!("- flaky: `{}`\n", cell.id)).collect();
    let marks =
        run.marks().take(IDS).map(|(cell, word, text)| format!("- {word}: `{}`: {}\n", cell.id, escaped(&text)));
    let left = run.leaks.iter().take(IDS).map(|leak| format!("- leak of the run: {}\n", escaped(&leak.to_string())));
    let listed: String = std::iter::once(flaky).chain(marks).chain(left).collect();
    let listed = if listed.is_empty() { listed } else { listed + "\n" };
    let tally = tally(run.verdicts());
    format!(
        "### kong-pg-tls: {sentence}\n\n{tally} in {seconds:.1} s; PostgreSQL {servers}; Kong {releases}\n\n{listed}"
    )
}

fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn servers(run: &Results) -> String {
    let versions = run.cells.iter().filter_map(|cell| cell.postgres.version.as_deref());
    let versions: indexmap::IndexSet<_> = versions.collect();
    if versions.is_empty() { "did not run".into() } else { versions.into_iter().collect::<Vec<_>>().join(", ") }
}

/// Cells that fail alike at one place: the first in full.
fn section(group: &[&CellRecord]) -> String {
    let first = group[0];
    let reason = escaped(first.reason.as_deref().unwrap_or_default());
    let (verdict, case, place) = (first.verdict, escaped(&first.case), &first.place);
    let ids: String = group.iter().take(IDS).map(|cell| format!("- `{}`\n", cell.id)).collect();
    let more = if group.len() > IDS { format!("- and {} more\n", group.len() - IDS) } else { String::new() };
    // The text may have fences of its own, but none this long.
    let fence = "`````";
    format!(
        "<details><summary><b>{verdict}</b> {case}: {reason} ({})</summary>\n\n{place}\n\n{ids}{more}\n{fence}\n{}{fence}\n\n</details>\n\n",
        cells(group.len()),
        plain(first),
    )
}

/// How many ids a group shows.
const IDS: usize = 10;

/// Where the documents are wrong, in a line each.
fn deviations(run: &Results) -> String {
    let mut known = IndexMap::<&str, usize>::new();
    for cell in run.cells.iter().filter(|cell| cell.verdict == Verdict::KnownDeviation) {
        *known.entry(cell.reason.as_deref().unwrap_or_default()).or_default() += 1;
    }
    if known.is_empty() {
        return String::new();
    }
    let line = |(reason, count): (&str, usize)| format!("- {} ({})\n", escaped(reason), cells(count));
    let lines: String = known.into_iter().map(line).collect();
    format!("<details><summary>Known deviations</summary>\n\n{lines}\n</details>\n")
}

/// As text, not as markup, in Markdown and in HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match character {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '`' | '*' | '_' | '[' | ']' | '|' | '\\' | '~' | '#' | '@' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunEnd;
    use crate::record::sample::{cell, results, run};

    #[test]
    fn a_summary_of_thousands_of_failures_is_short_enough_and_says_what_it_leaves_out() {
        let text = render(&results("no", 5000));
        assert!(text.len() < LIMIT, "{}", text.len());
        let shown = text.matches("<details>").count();
        assert!(shown > 10 && text.contains(&format!("... and {} more", 5000 - shown)), "{shown}");
    }

    #[test]
    fn the_worst_comes_first_and_a_partial_run_is_marked() {
        let cells =
            vec![cell(0, "blocked", "no root"), cell(1, "fail", "closed"), cell(2, "known-deviation", "they say")];
        let text = render(&Results::new(run(4), cells, RunEnd::Interrupted, 1));
        let at = |part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(at("3 of 4 cells were run") < at("no root") && at("<b>fail") < at("<b>blocked") && at("they say") > 0);
    }

    #[test]
    fn no_text_of_a_run_is_markup() {
        assert_eq!(escaped("<b>`a`\n*b* @me"), "&lt;b&gt;\\`a\\` \\*b\\* \\@me");
    }
}
