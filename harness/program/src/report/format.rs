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

    /// The report of a run.
    ///
    /// # Errors
    /// If it cannot be put into this format.
    pub fn render(self, run: &Results) -> io::Result<String> {
        match self {
            Self::Json => Ok(serde_json::to_string_pretty(run)? + "\n"),
            Self::Html => html::page(run),
            Self::Junit => junit::render(run),
            Self::Markdown => Ok(markdown::render(run)),
            Self::Github => Ok(github::render(run)),
            Self::Tap => tap::render(run),
        }
    }
}

/// The report in a file, written when the run has ended.
pub(super) struct FileReport {
    pub(super) format: Format,
    pub(super) path: PathBuf,
}

impl Reporter for FileReport {
    fn finish(&mut self, run: &Results) -> io::Result<()> {
        replace_file(&self.path, self.format.render(run)?.as_bytes())
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}
