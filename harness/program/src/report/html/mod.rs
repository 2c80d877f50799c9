//! `report.html`: everything of a result file in one page that needs no network and no other file; and two of them side
//! by side.

mod assembled;
mod two_runs;

use std::collections::BTreeMap;
use std::io;

use assembled::write_assembled;
pub use two_runs::write_two_runs;

use serde::Serialize;

use crate::record::Results;
use crate::vacuity::{Row, Score};

/// What all pages are made of comes first.
const SCRIPT: &str = concat!(include_str!("elements.js"), include_str!("page.js"));

/// The data of a page.
#[derive(Serialize)]
struct Data<'r> {
    #[serde(flatten)]
    results: &'r Results,
    /// How many cells of a scenario can fail. Of the user's own scenarios, nothing has been measured.
    can_fail: BTreeMap<String, Row>,
}

/// Writes the page of a result file.
pub(super) fn write_page(results: &Results, out: &mut dyn io::Write) -> io::Result<()> {
    let is_built_in = results.run.options.cells.scenarios.is_none();
    let measured = if is_built_in { Score::last_measured() } else { Vec::new() };
    let can_fail = measured.into_iter().flat_map(|score| score.scenarios).collect();
    write_assembled(out, "", SCRIPT, &Data { results, can_fail })
}

#[cfg(test)]
mod tests {
    use super::assembled::{text, unpacked};
    use super::*;
    use crate::record::sample::results;

    fn page(results: &Results) -> String {
        text(|out| write_page(results, out))
    }

    #[test]
    fn a_page_holds_all_of_the_results_and_no_text_of_them_is_markup() {
        let reason = "</script><script>alert(1)</script><!--";
        let page = page(&results(reason, 1));
        assert!(!page.contains(reason));
        assert_eq!(unpacked(&page)["cells"][0]["reason"], reason);
    }

    #[test]
    fn five_thousand_cells_are_less_than_two_megabytes() {
        let page = page(&results("FATAL:  no pg_hba.conf entry for host", 5000));
        assert!(page.len() < 2_000_000, "{}", page.len());
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = page(&results("x", 1));
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("<link"));
    }
}
