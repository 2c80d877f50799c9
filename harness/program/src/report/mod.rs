//! Reports of a run: on the terminal while it goes on and when it ends, and in files for other programs. Reporters take
//! events and the report, and judge nothing. A new format is a file of its own and a line in [`reporters`].

mod agreement;
mod cell;
mod claims;
mod deviations;
mod explain;
pub mod html;
mod junit;
mod last_green;
mod matrix;
mod progress;
mod remarks;
mod reporter;
mod results;
mod summary;

use std::io;
use std::path::Path;

pub use cell::write_cell;
pub use claims::{Recorded, write_claims};
pub use deviations::write_deviations;
pub use explain::write_explanation;
pub use reporter::{Report, Reporter};
pub use results::{CellRecord, Results, results_file};

/// All forms in which the program reports a run. Files are written to the folder.
#[must_use]
pub fn reporters(folder: &Path) -> Vec<Box<dyn Reporter>> {
    let results = results::ResultsFile::new(folder);
    let file = results.file().unwrap_or_default();
    vec![
        Box::new(progress::Progress::default()),
        Box::new(results),
        Box::new(junit::JunitFile::new(folder)),
        Box::new(html::HtmlFile::new(folder)),
        Box::new(summary::Summary::new(file)),
    ]
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {what}: {source}")]
pub struct ReportError {
    what: String,
    source: io::Error,
}

/// Finishes all reports, also when one of them fails. A closed pipe is no failure: the reader has seen enough.
///
/// # Errors
/// The first report that could not be written.
pub fn finish(reporters: &mut [Box<dyn Reporter>], report: &Report) -> Result<(), ReportError> {
    let mut first = Ok(());
    for reporter in reporters {
        let what = reporter.file().map_or_else(|| "the report".into(), |file| file.display().to_string());
        match reporter.finish(report) {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe && first.is_ok() => {
                first = Err(ReportError { what, source });
            }
            _ => {}
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed(io::ErrorKind);

    impl Reporter for Closed {
        fn finish(&mut self, _: &Report) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        let report = reporter::tests::empty();
        let finished = |kinds: &[io::ErrorKind]| {
            let mut reporters: Vec<Box<dyn Reporter>> =
                kinds.iter().map(|kind| Box::new(Closed(*kind)) as Box<dyn Reporter>).collect();
            finish(&mut reporters, &report)
        };
        assert!(finished(&[io::ErrorKind::BrokenPipe]).is_ok());
        assert!(finished(&[io::ErrorKind::BrokenPipe, io::ErrorKind::StorageFull]).is_err());
    }
}
