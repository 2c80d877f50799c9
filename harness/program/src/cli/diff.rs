//! `diff`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Failure, print, write_json};
use crate::compare::{Axis, Comparison, NoSuchPart, Run, write_markdown, write_text};
use crate::record::Results;
use crate::report::{write_file, write_two_runs};

const EXAMPLES: &str = "\
Examples:
  kong-pg-tls diff before/ after/                         two result folders
  kong-pg-tls diff old.json new.json --markdown           a table for a pull request
  kong-pg-tls diff before/ after/ --texts                 a changed text counts as a regression
  kong-pg-tls diff before/ after/ --html diff.html        a page with both runs side by side
  kong-pg-tls diff results/ --kong 3.13,3.14              two releases of one run
  kong-pg-tls diff results/ --postgres 15,17              two majors of one run
  kong-pg-tls diff a/ b/ --kong 3.14 --client kong,kong-image   the emulated Kong and a real one

Exit status:
  0 nothing regressed   2 not a result file   4 no such cells   100 something regressed";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiffArgs {
    /// The results to compare with: a results.json or the folder that has one.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The results to look at; those of OLD, if two releases, majors or clients of one run are compared.
    #[arg(value_name = "NEW")]
    new: Option<PathBuf>,
    /// Only cells of this release, or of one in OLD and of another in NEW.
    #[arg(long, value_name = "OLD[,NEW]", value_parser = sides)]
    kong: Option<Sides>,
    /// Only cells on this PostgreSQL major, or on one in OLD and on another in NEW.
    #[arg(long, value_name = "OLD[,NEW]", value_parser = sides)]
    postgres: Option<Sides>,
    /// Only cells of this client, or of one in OLD and of another in NEW.
    #[arg(long, value_name = "OLD[,NEW]", value_parser = sides)]
    client: Option<Sides>,
    /// Count changed texts as regressions.
    #[arg(long)]
    texts: bool,
    /// Write a Markdown table.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
    /// Write a page with both runs side by side; only results of this version can be in it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "markdown"])]
    html: Option<PathBuf>,
}

/// What is compared with what.
#[derive(Debug, Clone)]
struct Sides {
    old: String,
    new: String,
}

fn sides(text: &str) -> Result<Sides, String> {
    let (old, new) = text.split_once(',').unwrap_or((text, text));
    if [old, new].iter().any(|side| side.is_empty() || side.contains(',')) {
        return Err("expected one value, or two like 15,17".into());
    }
    Ok(Sides { old: old.to_owned(), new: new.to_owned() })
}

impl DiffArgs {
    fn sides(&self) -> impl Iterator<Item = (Axis, &Sides)> {
        let all = [(Axis::Kong, &self.kong), (Axis::Postgres, &self.postgres), (Axis::Client, &self.client)];
        all.into_iter().filter_map(|(axis, sides)| Some((axis, sides.as_ref()?)))
    }

    /// Both runs, or both parts of one.
    fn runs(&self) -> Result<(Run, Run), Failure> {
        let read =
            |path: &PathBuf| Run::read(path).map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() });
        let mut old = read(&self.old)?;
        let mut new = match &self.new {
            Some(path) => read(path)?,
            None if self.sides().any(|(_, sides)| sides.old != sides.new) => old.clone(),
            None => return Err(nothing_to_compare_with(&old)),
        };
        for (axis, sides) in self.sides() {
            (old, new) = (old.part(axis, &sides.old)?, new.part(axis, &sides.new)?);
        }
        Ok((old, new))
    }
}

fn nothing_to_compare_with(run: &Run) -> Failure {
    let has = |axis| format!("{axis} {}", run.values(axis).join(", "));
    Failure::usage(format!(
        "there is nothing to compare the run with: name another one, or two of its releases or majors, like --postgres \
         15,17; it has {} and {}",
        has(Axis::Kong),
        has(Axis::Postgres)
    ))
}

impl From<NoSuchPart> for Failure {
    fn from(error: NoSuchPart) -> Self {
        Self { exit: Exit::NothingMatched, message: error.to_string() }
    }
}

pub(super) fn diff(args: &DiffArgs) -> Result<Exit, Failure> {
    let (old, new) = args.runs()?;
    let comparison = Comparison::new(&old, &new);
    if let Some(file) = &args.html {
        page(args, &comparison, file)?;
    }
    print(|out| match args {
        DiffArgs { html: Some(file), .. } => writeln!(out, "{}: {}", comparison.summary(), file.display()),
        DiffArgs { json: true, .. } => write_json(out, &comparison),
        DiffArgs { markdown: true, .. } => write_markdown(out, &comparison),
        _ => write_text(out, &comparison),
    })?;
    Ok(if comparison.is_worse(args.texts) { Exit::Failed } else { Exit::Success })
}

/// Writes the page.
fn page(args: &DiffArgs, comparison: &Comparison, file: &Path) -> Result<(), Failure> {
    let old = Results::read(&args.old)?;
    let new = args.new.as_deref().map(Results::read).transpose()?;
    write_file(file, &|out| write_two_runs(out, &old, new.as_ref().unwrap_or(&old), comparison))
        .map_err(|error| Failure::environment(format!("cannot write {}: {error}; name another file", file.display())))
}
