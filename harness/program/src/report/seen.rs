//! What the run before has reported, so that the next need not say it again.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::record::results_file;

/// The deviations and remarks of a run; none, if there was no run.
#[derive(Debug, Default)]
pub struct Seen {
    deviations: HashSet<(String, String)>,
    remarks: HashSet<String>,
}

/// As much of a result file as is of interest here.
#[derive(Deserialize)]
struct ResultsFile {
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    documented: Vec<Deviation>,
    remarks: Vec<String>,
}

#[derive(Deserialize)]
struct Deviation {
    claim: String,
    says: Option<String>,
}

impl Seen {
    /// What the run in a folder has reported. If that cannot be read, everything is new.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let text = std::fs::read(results_file(folder)).unwrap_or_default();
        let Ok(ResultsFile { cells }) = serde_json::from_slice(&text) else { return Self::default() };
        let mut seen = Self::default();
        for Cell { documented, remarks } in cells {
            seen.remarks.extend(remarks);
            let says = |Deviation { claim, says }: Deviation| Some((claim, says?));
            seen.deviations.extend(documented.into_iter().filter_map(says));
        }
        seen
    }

    pub(super) fn has_deviation(&self, claim: &str, says: &str) -> bool {
        self.deviations.contains(&(claim.to_owned(), says.to_owned()))
    }

    pub(super) fn has_remark(&self, remark: &str) -> bool {
        self.remarks.contains(remark)
    }
}

/// `5 known deviations, as in the last run; --verbose lists them`
pub(super) fn as_before(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}, as in the last run; --verbose lists {}", if count == 1 { "it" } else { "them" })
}
