//! Where the documents are wrong: at the end of a run, and as a page of the project's documentation.

use std::io::{self, Write};

use indexmap::IndexMap;

use super::reporter::cells;
use crate::format::Documented;
use crate::judge::Verdict;
use crate::record::{CellRecord, Results};
use crate::suite::Suite;

/// Writes where a run found the documents to be wrong, a line each.
pub(super) fn write_known_deviations(out: &mut dyn Write, run: &Results) -> io::Result<()> {
    let mut places = IndexMap::<(&str, &str, &str), usize>::new();
    for cell in run.cells.iter().filter(|cell| is_of_documents(cell)) {
        for documented in &cell.documented {
            let Some(says) = &documented.says else { continue };
            *places.entry((&documented.claim, says, &documented.happens)).or_default() += 1;
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    writeln!(out, "Where the documents are wrong (docs/deviations.md says since when, and what to do instead)")?;
    for ((claim, says, happens), count) in places {
        writeln!(out, "  {claim}, {}\n    they say: {says}\n    in fact:  {happens}", cells(count))?;
    }
    writeln!(out)
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
    silent.iter().try_for_each(|(documented, cases)| write_one(out, suite, documented, cases))
}

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
