//! Parts of one run, to be compared with each other: each release with the one before it, each major with the one before.

use std::collections::HashSet;

use indexmap::{IndexMap, IndexSet};

use super::Comparison;
use super::axes::Axis;
use super::results::Run;

/// A part that a run does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cell of the run is of {axis} {value}; it has {}", has.join(", "))]
pub struct NoSuchPart {
    axis: Axis,
    value: String,
    has: Vec<String>,
}

/// Two parts of a run compared.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The axis that they are values of.
    pub axis: Axis,
    /// The value that is compared with.
    pub before: String,
    /// The value that is looked at.
    pub after: String,
    /// What is different.
    pub comparison: Comparison,
}

impl Run {
    /// The values of an axis, in the order of the plan.
    #[must_use]
    pub fn values(&self, axis: Axis) -> Vec<String> {
        let values: IndexSet<_> = self.cells.iter().map(|cell| axis.of(cell)).collect();
        values.into_iter().collect()
    }

    /// The values of an axis that most cases have, if there are several: some cases name releases of their own.
    #[must_use]
    pub fn columns(&self, axis: Axis) -> Vec<String> {
        let mut cases = HashSet::new();
        let mut of_value = IndexMap::<String, HashSet<&str>>::new();
        for cell in &self.cells {
            cases.insert(cell.case());
            of_value.entry(axis.of(cell)).or_default().insert(cell.case());
        }
        of_value.retain(|_, of| of.len() * 2 > cases.len());
        if of_value.len() > 1 { of_value.into_keys().collect() } else { Vec::new() }
    }

    /// The cells of one value of an axis. A release may be named without its edition where that is clear.
    ///
    /// # Errors
    /// If there are none.
    pub fn part(&self, axis: Axis, value: &str) -> Result<Self, NoSuchPart> {
        let has = self.values(axis);
        let of_version = |known: &&String| known.rsplit_once('-').is_some_and(|(version, _)| version == value);
        let meant: Vec<_> = has.iter().filter(of_version).collect();
        let value = match meant[..] {
            [meant] if axis == Axis::Kong && !has.iter().any(|known| known == value) => meant,
            _ => value,
        };
        let cells: Vec<_> = self.cells.iter().filter(|cell| axis.of(cell) == value).cloned().collect();
        if cells.is_empty() {
            return Err(NoSuchPart { axis, value: value.to_owned(), has });
        }
        // A part lacks at most what the run lacks.
        Ok(Self { planned: cells.len() + self.planned.saturating_sub(self.cells.len()), cells })
    }

    /// The comparisons within a run: of the releases and of the majors that most cases were run with.
    #[must_use]
    pub fn comparisons(&self) -> Vec<Parts> {
        let mut comparisons = Vec::new();
        for axis in [Axis::Kong, Axis::Postgres] {
            for (before, after) in neighbours(&self.columns(axis)) {
                if let (Ok(old), Ok(new)) = (self.part(axis, before), self.part(axis, after)) {
                    let comparison = Comparison::new(&old, &new);
                    comparisons.push(Parts { axis, before: before.into(), after: after.into(), comparison });
                }
            }
        }
        comparisons
    }
}

/// Each value but the first, behind the one that it is compared with: the last of its edition, or else the one before it.
fn neighbours(values: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let edition = |value: &str| value.rsplit_once('-').map(|(_, edition)| edition.to_owned());
    values.iter().enumerate().skip(1).map(move |(place, value)| {
        let of_edition = values[..place].iter().rfind(|other| edition(other) == edition(value));
        (of_edition.unwrap_or(&values[place - 1]).as_str(), value.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_with_the_one_before_it_of_its_edition() {
        let values = ["2.8-oss", "2.8-enterprise", "3.9-oss", "3.10-enterprise"].map(str::to_owned);
        let expected = [("2.8-oss", "2.8-enterprise"), ("2.8-oss", "3.9-oss"), ("2.8-enterprise", "3.10-enterprise")];
        assert_eq!(neighbours(&values).collect::<Vec<_>>(), expected);
        let majors = ["13", "15", "18"].map(str::to_owned);
        assert_eq!(neighbours(&majors).collect::<Vec<_>>(), [("13", "15"), ("15", "18")]);
    }
}
