//! The formats of reports in files: each is made from the results and nothing else.

use std::io;
use std::path::PathBuf;

use super::reporter::{Reporter, replace_file};
use super::{github, html, junit, markdown, tap};
use crate::record::{RESULTS, Results};

/// A format of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::VariantArray)]
pub enum Format {
    /// The results themselves.
    Json,
    /// One page with everything.
    Html,
    /// For CI systems.
    Junit,
    /// For pull requests and summaries of CI systems.
    Markdown,
    /// Annotations of GitHub Actions.
    Github,
    /// Test Anything Protocol, version 14.
    Tap,
}

impl Format {
    /// Its file beside the results.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Json => RESULTS,
            Self::Html => "report.html",
            Self::Junit => "junit.xml",
            Self::Markdown => "report.md",
            Self::Github => "annotations.txt",
            Self::Tap => "report.tap",
        }
    }

    /// Writes the report of a run.
    ///
    /// # Errors
    /// If it cannot be put into this format, or not be written.
    pub fn write(self, run: &Results, out: &mut dyn io::Write) -> io::Result<()> {
        let text = match self {
            Self::Json => {
                serde_json::to_writer_pretty(&mut *out, run)?;
                return writeln!(out);
            }
            Self::Junit => return junit::write(run, out),
            Self::Html => return html::write_page(run, out),
            Self::Markdown => markdown::render(run),
            Self::Github => github::render(run),
            Self::Tap => tap::render(run)?,
        };
        out.write_all(text.as_bytes())
    }
}

/// The report in a file, written when the run has ended.
pub(super) struct FileReport {
    pub(super) format: Format,
    pub(super) path: PathBuf,
}

impl Reporter for FileReport {
    fn finish(&mut self, run: &Results) -> io::Result<()> {
        replace_file(&self.path, &|out| self.format.write(run, out))
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}
