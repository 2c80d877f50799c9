//! Which cases prove which claim, and why the others are there.

use super::assemble::Suite;
use super::case::Case;

/// Which cases prove which claim, and why the others are there.
#[derive(Debug)]
pub struct Coverage<'s> {
    /// The claims, in the order of `claims.yaml`.
    pub claims: Vec<Proof<'s>>,
    /// How many cases are here for a claim.
    pub by_claim: usize,
    /// How many for an issue, a pull request or a support article, and no claim.
    pub by_source: usize,
    /// How many for another reason that they give.
    pub by_reason: usize,
    /// Cases that do not say why they are here.
    pub without_reason: Vec<&'s Case>,
}

/// A claim, and the cases that prove it: of a case with axes, its decisive points only.
#[derive(Debug)]
pub struct Proof<'s> {
    /// The claim's id.
    pub claim: String,
    /// What it takes to try it, where this suite does not have it.
    pub needs: Option<&'s str>,
    /// The cases.
    pub cases: Vec<&'s Case>,
}

impl Proof<'_> {
    /// Whether nothing proves the claim, and nothing says why. Cases that cannot run at their point prove nothing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.cases.is_empty() && self.needs.is_none()
    }
}

impl Coverage<'_> {
    /// Whether every claim has a case, and every case a reason.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.without_reason.is_empty() && !self.claims.iter().any(Proof::is_missing)
    }
}

impl Suite {
    /// Which cases prove which claim, and why the others are there.
    #[must_use]
    pub fn coverage(&self) -> Coverage<'_> {
        let cases: Vec<_> = self.cases().map(AsRef::as_ref).collect();
        let claims = self.claims.claims().map(|(claim, _, stated)| {
            let proves = |case: &&Case| case.excluded.is_none() && case.claims.contains(&claim);
            let cases = cases.iter().copied().filter(proves).collect();
            Proof { claim, needs: stated.needs.as_deref(), cases }
        });
        let claims = claims.collect();
        let mut coverage = Coverage { claims, by_claim: 0, by_source: 0, by_reason: 0, without_reason: Vec::new() };
        for case in cases {
            match case {
                Case { claims, .. } if !claims.is_empty() => coverage.by_claim += 1,
                Case { source, .. } if !source.is_empty() => coverage.by_source += 1,
                Case { reason: Some(_), .. } | Case { excluded: Some(_), .. } => coverage.by_reason += 1,
                _ => coverage.without_reason.push(case),
            }
        }
        coverage
    }
}
