//! The claims of the documents: which cases test them, and the verdicts of the last run.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use kong_pg_scenarios::suite::{Proof, ReadFile, Suite};

use super::reporter::tally;
use super::table::{align, table, text};
use crate::judge::Verdict;
use crate::record::Results;

/// The verdicts of the last run, by the ids of the cases.
#[derive(Debug, Default)]
pub struct Recorded(BTreeMap<String, Vec<Verdict>>);

impl Recorded {
    /// Those of a run.
    #[must_use]
    pub fn of(run: &Results) -> Self {
        let mut recorded = Self::default();
        for cell in &run.cells {
            recorded.0.entry(cell.case_id().to_owned()).or_default().push(cell.verdict);
        }
        recorded
    }

    /// `24 pass, 2 known-deviation`. A cell that contradicts the documents in something else proves this claim.
    fn tally(&self, proof: &Proof<'_>) -> String {
        let verdicts = self.verdicts(proof);
        match proof.needs {
            Some(needs) if !verdicts.iter().any(|verdict| *verdict != Verdict::Unsupported) => {
                format!("not tried: needs {needs}")
            }
            _ => tally(verdicts.into_iter()),
        }
    }

    fn verdicts(&self, proof: &Proof<'_>) -> Vec<Verdict> {
        let verdicts = proof.cases.iter().flat_map(|case| {
            let of_claim = move |verdict: &Verdict| match verdict {
                Verdict::KnownDeviation if !case.contradicts(&proof.claim) => Verdict::Pass,
                other => *other,
            };
            self.0.get(&case.id).into_iter().flatten().map(of_claim)
        });
        verdicts.collect()
    }
}

/// Writes each claim with its cases and their verdicts, then the claims without a case and the cases without a reason.
///
/// # Errors
/// If the output cannot be written.
pub fn write_claims(out: &mut dyn Write, suite: &Suite, recorded: &Recorded) -> io::Result<()> {
    let coverage = suite.coverage();
    let mut table = table(["claim", "cases", "verdicts"].map(str::to_owned));
    for proof in &coverage.claims {
        table.add_row([proof.claim.clone(), proof.cases.len().to_string(), recorded.tally(proof)]);
    }
    align(&mut table, |index| index == 1);
    writeln!(out, "{}\n", text(&table))?;
    for (documented, cases) in suite.deviations() {
        let Some(says) = &documented.says else { continue };
        writeln!(
            out,
            "{}\n  they say: {says}\n  in fact:  {}\n  see {}\n",
            documented.claim, documented.happens, cases[0]
        )?;
    }
    let uncovered: Vec<_> = coverage.claims.iter().filter(|proof| proof.is_missing()).collect();
    for proof in &uncovered {
        writeln!(out, "no case proves the claim {}", proof.claim)?;
    }
    for case in &coverage.without_reason {
        writeln!(out, "no claim, no source and no reason given for {} ({})", case.id, case.place)?;
    }
    let (claims, cases) = (coverage.claims.len(), suite.cases().count());
    let untried = coverage.claims.iter().filter(|proof| proof.cases.is_empty() && proof.needs.is_some()).count();
    let covered = claims - uncovered.len() - untried;
    let explained = cases - coverage.without_reason.len();
    writeln!(
        out,
        "{covered} of {claims} claims have cases, {untried} cannot be tried here; {explained} of {cases} cases have a reason: {} a claim, {} an issue or article, {} another",
        coverage.by_claim, coverage.by_source, coverage.by_reason,
    )
}

/// Writes whether a file is as it was read for the claims, and if not, which of them must be read again.
///
/// # Errors
/// If the output cannot be written.
pub fn write_comparison(out: &mut dyn Write, path: &Path, found: &ReadFile<'_>) -> io::Result<()> {
    let ReadFile { document, file, claims, is_same } = found;
    let path = path.display();
    let commit = file.commit.get(..7).unwrap_or(&file.commit);
    let read = format!("{} of {} at {commit}", file.path, file.repository);
    if *is_same {
        return writeln!(out, "{path}: unchanged, it is {read}");
    }
    writeln!(out, "{path}: changed since {read}. These claims of `{document}` rest on it; read them again:")?;
    for (id, claim) in claims {
        writeln!(out, "  {id} ({})\n    {}", claim.under, claim.says)?;
    }
    Ok(())
}
