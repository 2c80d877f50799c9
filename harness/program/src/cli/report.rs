//! `report`

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure, print};
use crate::record::{LATEST, Results, results_file};
use crate::report::{Compatibility, Format, Write, compatibility_cases, replace_file, write_file};
use kong_pg_client::Releases;

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls report                                    report.html of the last run
  kong-pg-tls report DIR --html /tmp/run.html --junit   the page there, junit.xml beside the results
  kong-pg-tls report --markdown - >>\"$GITHUB_STEP_SUMMARY\"
  kong-pg-tls report --github -                         annotations, in a job of GitHub Actions
  kong-pg-tls report DIR --matrix                       compatibility.md and matrix.json
  kong-pg-tls report DIR/events.jsonl --json -          what a killed run has found out

Exit status:
  0 written   2 not a result file   3 cannot be written   4 no cell of the matrix";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    /// The folder of a run, its results.json, or its events.jsonl, which a run that was killed has as well.
    #[arg(value_name = "DIR", default_value = LATEST)]
    results: PathBuf,
    /// One page with everything, in report.html; the default.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "")]
    html: Option<Target>,
    /// JUnit XML, in junit.xml.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "")]
    junit: Option<Target>,
    /// Markdown for a pull request or GITHUB_STEP_SUMMARY, in report.md.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "")]
    markdown: Option<Target>,
    /// Annotations of GitHub Actions, in annotations.txt.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "")]
    github: Option<Target>,
    /// Test Anything Protocol 14, in report.tap.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "")]
    tap: Option<Target>,
    /// The results as results.json.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "")]
    json: Option<Target>,
    /// The compatibility matrix, in compatibility.md, with matrix.json beside it.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "")]
    matrix: Option<Target>,
    /// Results of other runs to put into the matrix; may be given more than once.
    #[arg(long, value_name = "DIR", requires = "matrix")]
    with: Vec<PathBuf>,
    /// Print the cases that the matrix is made of, to be run.
    #[arg(long, exclusive = true)]
    matrix_cases: bool,
}

/// Where a report goes.
#[derive(Debug, Clone)]
enum Target {
    /// Beside the results.
    Beside,
    /// To the standard output.
    Printed,
    /// Into this file.
    File(PathBuf),
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        match text {
            "" => Self::Beside,
            "-" => Self::Printed,
            file => Self::File(file.into()),
        }
    }
}

impl Target {
    /// The file, if it is not printed, and what writes it: a file that the user names is written through a link.
    fn file<'a>(&'a self, beside: &'a Path) -> Option<(&'a Path, Write)> {
        match self {
            Self::Beside => Some((beside, replace_file)),
            Self::File(file) => Some((file, write_file)),
            Self::Printed => None,
        }
    }
}

impl ReportArgs {
    /// What is asked for.
    fn wanted(&self) -> Vec<(Format, &Target)> {
        let all = [
            (Format::Html, &self.html),
            (Format::Junit, &self.junit),
            (Format::Markdown, &self.markdown),
            (Format::Github, &self.github),
            (Format::Tap, &self.tap),
            (Format::Json, &self.json),
        ];
        let wanted: Vec<_> = all.into_iter().filter_map(|(format, to)| Some((format, to.as_ref()?))).collect();
        if wanted.is_empty() && self.matrix.is_none() { vec![(Format::Html, &Target::Beside)] } else { wanted }
    }
}

pub(super) fn report(args: &ReportArgs) -> Result<Exit, Failure> {
    if args.matrix_cases {
        print(|out| compatibility_cases().try_for_each(|case| writeln!(out, "{case}@*")))?;
        return Ok(Exit::Success);
    }
    let run = Results::read(&args.results)?;
    let beside = results_file(&args.results);
    if let Some(partial) = run.partial() {
        let _ = writeln!(io::stderr(), "a partial run: {partial}");
    }
    for (format, target) in args.wanted() {
        let beside = beside.with_file_name(format.file_name());
        let Some((file, write)) = target.file(&beside) else {
            print(|out| format.write(&run, out))?;
            continue;
        };
        write(file, &|out| format.write(&run, out)).map_err(|error| {
            Failure::environment(format!("cannot write {}: {error}; name another file", file.display()))
        })?;
        print(|out| writeln!(out, "{}", file.display()))?;
    }
    if let Some(target) = &args.matrix {
        let others = args.with.iter().map(|path| Results::read(path));
        let runs = std::iter::once(Ok(run)).chain(others).collect::<Result<Vec<_>, _>>()?;
        matrix(&Compatibility::new(&runs, Releases::built_in()), target, &beside)?;
    }
    Ok(Exit::Success)
}

/// Writes the compatibility matrix.
fn matrix(matrix: &Compatibility, target: &Target, beside: &Path) -> Result<(), Failure> {
    if matrix.is_empty() {
        let message =
            "no cell of the compatibility matrix is in the results; `kong-pg-tls report --matrix-cases` lists them";
        return Err(Failure { exit: Exit::NothingMatched, message: message.into() });
    }
    let beside = beside.with_file_name("compatibility.md");
    let Some((file, write)) = target.file(&beside) else {
        return print(|out| out.write_all(matrix.page().as_bytes()));
    };
    let json = matrix.write(file, write).map_err(|error| {
        Failure::environment(format!("cannot write {}: {error}; name another file", file.display()))
    })?;
    print(|out| writeln!(out, "{}\n{}", file.display(), json.display()))?;
    Ok(())
}
