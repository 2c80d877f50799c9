//! Writing down what was observed, where a scenario leaves open what must happen.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use kong_pg_client::Stack;
use kong_pg_scenarios::load::fill;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::Blank;
use serde_json::{Value, json};

use crate::judge::Expected;
use crate::record::{CellRecord, Results};

/// An expectation that has been written.
#[derive(Debug)]
pub struct Blessed {
    /// The file and line.
    pub place: String,
    /// What was written there.
    pub expectation: Value,
}

/// Why an expectation was not written.
#[derive(Debug, thiserror::Error)]
pub enum BlessError {
    /// Cells that share the expectation were observed to end differently.
    #[error(
        "{place}: {one} and {other} end differently; name one PostgreSQL and one release with --postgres and --kong"
    )]
    Differs {
        /// The file and line.
        place: String,
        /// A cell.
        one: String,
        /// Another one.
        other: String,
    },
    /// An expectation is about both of Kong's stacks.
    #[error("{place}: only {stack} was run; leave --stack out")]
    OneStack {
        /// The file and line.
        place: String,
        /// The stack.
        stack: Stack,
    },
    /// There is nothing that could be expected.
    #[error("{place}: nothing can be written of {cell}: {reason}")]
    Nothing {
        /// The file and line.
        place: String,
        /// The cell.
        cell: String,
        /// Why.
        reason: String,
    },
    /// A scenario file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether a cell has been run, and its scenario leaves open what must happen.
#[must_use]
pub fn is_open(record: &CellRecord) -> bool {
    matches!(record.expected.as_deref(), Some(Expected::Open { .. }))
}

/// Writes what was observed into the scenario files, each expectation once. Nothing is written if anything contradicts.
///
/// # Errors
/// The first contradiction, or a file that cannot be written.
pub fn bless(cells: &[Cell], results: &Results) -> Result<Vec<Blessed>, BlessError> {
    let mut observed = BTreeMap::<(&PathBuf, usize), (&Blank, Seen)>::new();
    for record in results.cells.iter().filter(|record| is_open(record)) {
        let Some(blank) = blank_of(cells, record) else { continue };
        let place = (&blank.file, blank.key.line);
        let seen = &mut observed.entry(place).or_insert_with(|| (blank, Seen::default())).1;
        seen.add(record, &shown(blank))?;
    }
    let mut blessed = Vec::new();
    let mut texts = BTreeMap::<&PathBuf, String>::new();
    // From the end of each file, so that the lines above keep their numbers.
    for (blank, seen) in observed.values().rev() {
        let expectation = seen.expectation(&shown(blank))?;
        let io = |source| BlessError::Io { path: blank.file.clone(), source };
        let text = match texts.remove(&blank.file) {
            Some(text) => text,
            None => std::fs::read_to_string(&blank.file).map_err(io)?,
        };
        texts.insert(&blank.file, fill(&text, blank.key, &expectation));
        blessed.push(Blessed { place: shown(blank), expectation });
    }
    for (path, text) in texts {
        std::fs::write(path, text).map_err(|source| BlessError::Io { path: path.clone(), source })?;
    }
    blessed.reverse();
    Ok(blessed)
}

fn shown(blank: &Blank) -> String {
    format!("{}:{}", blank.file.display(), blank.key.line)
}

fn blank_of<'c>(cells: &'c [Cell], record: &CellRecord) -> Option<&'c Blank> {
    let cell = cells.iter().find(|cell| cell.id == record.id)?;
    cell.case.steps.get(record.step?)?.blank.as_ref()
}

/// What was observed on each stack, and in which cell.
#[derive(Default)]
struct Seen(Vec<(Stack, String, Value)>);

impl Seen {
    fn add(&mut self, record: &CellRecord, place: &str) -> Result<(), BlessError> {
        let Some(Expected::Open { would_be: Some(value) }) = record.expected.as_deref() else {
            let reason = record.reason.clone().unwrap_or_default();
            return Err(BlessError::Nothing { place: place.to_owned(), cell: record.id.to_string(), reason });
        };
        match self.0.iter().find(|(stack, ..)| *stack == record.stack) {
            Some((_, one, known)) if known != value => {
                Err(BlessError::Differs { place: place.to_owned(), one: one.clone(), other: record.id.to_string() })
            }
            Some(_) => Ok(()),
            None => {
                self.0.push((record.stack, record.id.to_string(), value.clone()));
                Ok(())
            }
        }
    }

    fn expectation(&self, place: &str) -> Result<Value, BlessError> {
        let on = |stack: Stack| self.0.iter().find(|(of, ..)| *of == stack).map(|(.., value)| value);
        match (on(Stack::Luasec), on(Stack::Cosocket)) {
            (Some(luasec), Some(cosocket)) if luasec == cosocket => Ok(luasec.clone()),
            (Some(luasec), Some(cosocket)) => Ok(json!({ "luasec": luasec, "cosocket": cosocket })),
            (luasec, _) => {
                let stack = if luasec.is_some() { Stack::Luasec } else { Stack::Cosocket };
                Err(BlessError::OneStack { place: place.to_owned(), stack })
            }
        }
    }
}
