//! Where the documents are wrong: at the end of a run, and as a page of the project's documentation.

use std::io::{self, Write};

use indexmap::IndexMap;
use kong_pg_scenarios::format::Documented;
use kong_pg_scenarios::suite::Suite;

use super::reporter::cells;
use super::screen::Screen;
use super::seen::{Seen, as_before};
use crate::judge::Verdict;
use crate::record::{CellRecord, Results};

/// Writes where a run found the documents to be wrong: what is new in full.
pub(super) fn write_known_deviations(
    out: &mut dyn Write,
    screen: Screen,
    run: &Results,
    seen: &Seen,
) -> io::Result<()> {
    let mut places = IndexMap::<[&str; 4], usize>::new();
    for cell in run.cells.iter().filter(|cell| is_of_documents(cell)) {
        for documented in &cell.documented {
            let Some(says) = &documented.says else { continue };
            let place = [&documented.claim, says, &documented.happens, &documented.instead].map(String::as_str);
            *places.entry(place).or_default() += 1;
        }
    }
    let (old, new): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|([claim, says, ..], _)| seen.has_deviation(claim, says));
    if !new.is_empty() {
        let title = "Where the documents are wrong (docs/deviations.md says since when)";
        writeln!(out, "{}", screen.prose("", "", title))?;
        for ([claim, says, happens, instead], count) in new {
            writeln!(out, "  {claim}, {}", cells(count))?;
            writeln!(out, "{}", screen.prose("    they say: ", "      ", says))?;
            writeln!(out, "{}", screen.prose("    in fact:  ", "      ", happens))?;
            writeln!(out, "{}", screen.prose("    do instead: ", "      ", instead))?;
        }
        writeln!(out)?;
    }
    if !old.is_empty() {
        writeln!(out, "{}\n", screen.prose("", "", &as_before(old.len(), "known deviation")))?;
    }
    Ok(())
}

/// Whether the cell deviates from the documents, and not for a race or because it is run by another client.
fn is_of_documents(cell: &CellRecord) -> bool {
    cell.verdict == Verdict::KnownDeviation && cell.mismatches.is_empty()
}

/// Writes where the documents are wrong, and where they are silent, as `docs/deviations.md`.
///
/// # Errors
/// The output cannot be written.
pub fn write_deviations(out: &mut dyn Write, suite: &Suite) -> io::Result<()> {
    let known = suite.deviations();
    let (wrong, silent): (Vec<_>, Vec<_>) = known.into_iter().partition(|(documented, _)| documented.says.is_some());
    writeln!(out, "{INTRODUCTION}")?;
    writeln!(out, "## Where they are wrong\n")?;
    wrong.iter().try_for_each(|(documented, cases)| write_one(out, suite, documented, cases))?;
    writeln!(out, "## Where they are silent\n")?;
    silent.iter().try_for_each(|(documented, cases)| write_one(out, suite, documented, cases))?;
    write_untried(out, suite)
}

/// What the documents say and this suite cannot try by itself.
fn write_untried(out: &mut dyn Write, suite: &Suite) -> io::Result<()> {
    let claims: Vec<_> = suite.claims.claims().filter(|(.., claim)| claim.needs.is_some()).collect();
    if claims.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Not tried\n\n{UNTRIED}")?;
    for (id, document, claim) in claims {
        writeln!(out, "### `{id}`\n\n*{}*, {}.\n", document.title, claim.under)?;
        writeln!(out, "- They say: {}", claim.says)?;
        writeln!(out, "- Needs: {}", claim.needs.as_deref().unwrap_or_default())?;
        if let Some(note) = &claim.note {
            writeln!(out, "- Known otherwise: {note}")?;
        }
        let cases = suite.cases().filter(|case| case.claims.contains(&id));
        let cases: Vec<_> = cases.take(SHOWN).map(|case| format!("`{}`", case.id)).collect();
        if !cases.is_empty() {
            writeln!(out, "- Tried by: {}", cases.join(", "))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

const UNTRIED: &str = "\
These statements need something that this suite does not have. Where cases are named, they run with it, for example with
`--kong-image`.
";

const INTRODUCTION: &str = "\
# The documents against reality

<!-- Made from the scenarios: `kong-pg-tls claims --deviations > docs/deviations.md`. A test holds the two together. -->

What Kong's documents say about TLS to PostgreSQL, where real servers do something else, and where they do something
that the documents do not mention. Every entry is proved by the cases named with it, in every run: when one of them no
longer holds, the run fails.
";

fn write_one(out: &mut dyn Write, suite: &Suite, documented: &Documented, cases: &[&str]) -> io::Result<()> {
    let Documented { claim, says, happens, since, instead, .. } = documented;
    let of = suite.claims.claims().find(|(id, ..)| id == claim);
    writeln!(out, "### `{claim}`\n")?;
    if let Some((_, document, claimed)) = of {
        writeln!(out, "*{}*, {}.\n", document.title, claimed.under)?;
    }
    if let Some(says) = says {
        writeln!(out, "- They say: {says}")?;
    }
    writeln!(out, "- What happens: {happens}")?;
    writeln!(out, "- Since: {since}")?;
    writeln!(out, "- Do instead: {instead}")?;
    let shown: Vec<_> = cases.iter().map(|case| format!("`{case}`")).collect();
    let (first, more) = shown.split_at(shown.len().min(SHOWN));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    writeln!(out, "- Shown by: {}{more}\n", first.join(", "))
}

/// How many cases are named with a deviation; one would do.
const SHOWN: usize = 4;
