//! Where clients that are not Kong part from it: each place once, with its reason.

use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Case;
use super::source::{Fault, Source};
use super::yaml::{Segment, Target};
use crate::vocabulary::ClientKind;
use crate::vocabulary::PostgresRange;
use kong_pg_client::Stack;

/// What `differences.yaml` holds: the clients that do not speak as Kong, each with where it parts from it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferencesFile {
    /// PostgreSQL's own client library.
    #[serde(default)]
    pub libpq: Vec<DifferenceEntry>,
    /// The strict modern client.
    #[serde(default)]
    pub rustls: Vec<DifferenceEntry>,
    /// A stranger's program.
    #[serde(default)]
    pub command: Vec<DifferenceEntry>,
}

/// A place where a client parts from Kong.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceEntry {
    /// Globs for the ids of the cases, `scenario/path::case-slug`; all, if not given.
    #[serde(default)]
    pub cells: Vec<String>,
    /// On this of Kong's stacks only.
    pub stack: Option<Stack>,
    /// On these PostgreSQL majors only.
    pub postgres: Option<PostgresRange>,
    /// Only where Kong says one of these.
    #[serde(default)]
    pub kong: Vec<String>,
    /// Only where the client says one of these.
    #[serde(default)]
    pub says: Vec<String>,
    /// What the client does.
    pub does: Divergence,
    /// Why that is right for it.
    pub because: String,
}

/// What a client does, where Kong does something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Divergence {
    /// It connects, or in another way than Kong.
    Connects,
    /// It does not connect.
    Refuses,
    /// It has no counterpart for what is asked for.
    Unsupported,
}

/// A place where a client parts from Kong, ready to be found.
#[derive(Debug)]
pub struct Difference {
    /// The client.
    pub client: ClientKind,
    /// As it is written.
    pub entry: DifferenceEntry,
    /// The file and line it is written at.
    pub place: String,
    globs: Option<GlobSet>,
}

/// What a client did, and what Kong would say there.
#[derive(Debug, Clone, Copy)]
pub struct ClientOutcome<'a> {
    /// What it did.
    pub does: Divergence,
    /// What it said, if it did not connect.
    pub says: Option<&'a str>,
    /// What Kong may say, if it does not connect.
    pub kong: &'a [String],
}

impl Difference {
    /// Whether it speaks of a cell.
    #[must_use]
    pub fn is_about(&self, cell: &crate::plan::Cell) -> bool {
        self.client == cell.client
            && self.entry.stack.is_none_or(|stack| stack == cell.stack)
            && self.entry.postgres.is_none_or(|range| range.contains(cell.major))
            && self.globs.as_ref().is_none_or(|globs| globs.is_match(&cell.case.id))
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

/// Reads the file; what is written for no case at all is a fault.
pub(super) fn read(source: &Source, cases: &[Arc<Case>]) -> Result<Vec<Arc<Difference>>, Vec<Fault>> {
    let DifferencesFile { libpq, rustls, command } = super::schema::read(source)?;
    let mut differences = Vec::new();
    let mut faults = Vec::new();
    for (client, entries) in [(ClientKind::Libpq, libpq), (ClientKind::Rustls, rustls), (ClientKind::Command, command)]
    {
        for (number, entry) in entries.into_iter().enumerate() {
            let path = [Segment::Key(client.to_string()), Segment::Index(number)];
            let globs = match globs(&entry, cases) {
                Ok(globs) => globs,
                Err((wrong, message)) => {
                    let path = [&path[..], &[Segment::Key("cells".into()), Segment::Index(wrong)]].concat();
                    let help = "a glob matches a whole id, like `mtls/*`: see `kong-pg-tls list`";
                    faults.push(source.fault(&path, Target::Value, message, help.into()));
                    continue;
                }
            };
            let position = source.locate(&path);
            let place = format!("{}:{}", source.path.display(), position.line);
            differences.push(Arc::new(Difference { client, entry, place, globs }));
        }
    }
    if faults.is_empty() { Ok(differences) } else { Err(faults) }
}

fn globs(entry: &DifferenceEntry, cases: &[Arc<Case>]) -> Result<Option<GlobSet>, (usize, String)> {
    let mut set = GlobSetBuilder::new();
    for (number, text) in entry.cells.iter().enumerate() {
        let glob = Glob::new(text).map_err(|error| (number, format!("bad glob: {error}")))?;
        let matcher = glob.compile_matcher();
        if !cases.iter().any(|case| matcher.is_match(&case.id)) {
            return Err((number, format!("no case matches `{text}`")));
        }
        set.add(glob);
    }
    let set = set.build().map_err(|error| (0, format!("bad glob: {error}")))?;
    Ok((!entry.cells.is_empty()).then_some(set))
}
