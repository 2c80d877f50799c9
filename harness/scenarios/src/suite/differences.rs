//! Where clients other than Kong legitimately behave differently: each place once, with its reason.

use std::sync::Arc;

use super::case::Case;
use crate::format::{DifferenceEntry, DifferencesFile, Divergence};
use crate::load::{Fault, Problem, Segment, Source, key, read};
use crate::vocabulary::{ClientKind, Globs};

/// A place where a client legitimately behaves differently from Kong.
#[derive(Debug)]
pub struct Difference {
    /// The client.
    pub client: ClientKind,
    /// As it is written.
    pub entry: DifferenceEntry,
    /// The file and line it is written at.
    pub place: String,
    globs: Option<Globs>,
}

/// What a client did, and what Kong would say there.
#[derive(Debug, Clone, Copy)]
pub struct ClientOutcome<'a> {
    /// What it did.
    pub does: Divergence,
    /// Its message, if it did not connect.
    pub says: Option<&'a str>,
    /// What Kong may say, if it does not connect.
    pub kong: &'a [String],
}

impl Difference {
    /// Whether it covers a case, whatever the stack and the PostgreSQL major.
    #[must_use]
    pub fn covers(&self, case: &Case) -> bool {
        self.globs.as_ref().is_none_or(|globs| globs.is_match(&case.id))
    }

    /// Whether it says that this is what the client does.
    #[must_use]
    pub fn matches(&self, did: ClientOutcome<'_>) -> bool {
        let DifferenceEntry { kong, says, does, .. } = &self.entry;
        *does == did.does
            && (kong.is_empty() || did.kong.iter().any(|text| kong.contains(text)))
            && (says.is_empty() || did.says.is_some_and(|text| says.iter().any(|known| known == text)))
    }
}

/// Reads the file. With all cases of the suite, an entry for none of them is a fault.
pub(super) fn read_differences(
    source: &Source,
    cases: Option<&[Arc<Case>]>,
) -> Result<Vec<Arc<Difference>>, Vec<Fault>> {
    let DifferencesFile { pgmoon, libpq, rustls, command } = read(source)?;
    let of_clients = [
        (ClientKind::Pgmoon, pgmoon),
        (ClientKind::Libpq, libpq),
        (ClientKind::Rustls, rustls),
        (ClientKind::Command, command),
    ];
    let mut differences = Vec::new();
    let mut faults = Vec::new();
    for (client, entries) in of_clients {
        for (number, entry) in entries.into_iter().enumerate() {
            let path = [key(client.as_str()), Segment::Index(number)];
            match globs(&entry, cases) {
                Ok(globs) => {
                    let place = format!("{}:{}", source.path.display(), source.locate(&path).line);
                    differences.push(Arc::new(Difference { client, entry, place, globs }));
                }
                Err((index, message)) => {
                    let help = "a glob matches a whole id, like `mtls/*`: see `kong-pg-tls list`";
                    let problem = Problem::value(vec![key("cells"), Segment::Index(index)], message, help);
                    faults.push(source.fault(problem.below(&path)));
                }
            }
        }
    }
    if faults.is_empty() { Ok(differences) } else { Err(faults) }
}

fn globs(entry: &DifferenceEntry, cases: Option<&[Arc<Case>]>) -> Result<Option<Globs>, (usize, String)> {
    let all = Globs::new(&entry.cells).map_err(|error| (error.index, error.to_string()))?;
    if let Some(cases) = cases {
        for (index, text) in entry.cells.iter().enumerate() {
            let one = Globs::new(std::slice::from_ref(text)).map_err(|error| (index, error.to_string()))?;
            if !cases.iter().any(|case| one.is_match(&case.id)) {
                return Err((index, format!("no case matches `{text}`")));
            }
        }
    }
    Ok((!entry.cells.is_empty()).then_some(all))
}
