//! What the run before has reported, so that the next need not say it again.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use crate::record::EVENTS;

/// The deviations and remarks of a run; none, if there was no run.
#[derive(Debug, Default)]
pub struct Seen {
    deviations: HashSet<(String, String)>,
    remarks: HashSet<String>,
}

/// As much of an entry of the log as is of interest here: the end of a cell has it.
#[derive(Deserialize)]
struct Cell {
    #[serde(default)]
    documented: Vec<Deviation>,
    #[serde(default)]
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
        let Ok(log) = File::open(folder.join(EVENTS)) else { return Self::default() };
        let mut seen = Self::default();
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let Ok(Cell { documented, remarks }) = serde_json::from_str(&line) else { continue };
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
