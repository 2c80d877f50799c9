//! What is measured: the modes, in the language of the scenarios, and the clients.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use indexmap::IndexMap;
use kong_pg_client::Stack;
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::Suite;
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::Major;
use rust_embed::Embed;

use crate::client::Tuning;

/// The scenario files of the modes.
#[derive(Embed)]
#[folder = "harness/program/src/bench/modes"]
struct Files;

/// The scenario with what is not a separate mode.
pub(super) const STORM: &str = "6-storm";

/// The groups of a key exchange, as OpenSSL lists them.
pub(super) struct Groups {
    /// Those that the client offers; OpenSSL's own if there are none.
    pub(super) client: Option<&'static str>,
    /// Those that the server takes.
    pub(super) server: String,
}

/// A client on one of Kong's stacks, where it has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) client: ClientKind,
    pub(super) stack: Stack,
}

impl Subject {
    /// The emulated Kong, while it serves requests: the one that is compared first.
    pub(super) const KONG: Self = Self { client: ClientKind::Kong, stack: Stack::Cosocket };

    /// Those of clients.
    pub(super) fn all(clients: &[ClientKind]) -> impl Iterator<Item = Self> {
        let of = |client: &ClientKind| Stack::ALL.iter().map(|stack| (*client, *stack)).collect::<Vec<_>>();
        clients.iter().flat_map(of).map(|(client, stack)| Self { client, stack }).filter(|subject| subject.is_one())
    }

    /// Other clients have one stack, whichever of Kong's they stand for.
    fn is_one(self) -> bool {
        self.has_both_stacks() || self.stack == Stack::Cosocket
    }

    fn has_both_stacks(self) -> bool {
        matches!(self.client, ClientKind::Kong | ClientKind::Openresty | ClientKind::Pgmoon)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.client)?;
        if self.has_both_stacks() { write!(f, " {}", self.stack) } else { Ok(()) }
    }
}

/// Something that a connection can be.
pub(super) struct Mode {
    /// `TLS 1.3, verified`
    pub(super) name: String,
    /// The title of its scenario.
    pub(super) group: String,
    /// The scenario of its file.
    pub(super) scenario: String,
    pub(super) tuning: Tuning,
    pub(super) cells: Vec<(Subject, Cell)>,
}

impl Mode {
    /// Its cell of a client, if that is measured.
    pub(super) fn cell(&self, subject: Subject) -> Option<&Cell> {
        self.cells.iter().find(|(of, _)| *of == subject).map(|(_, cell)| cell)
    }

    /// The id of its case.
    pub(super) fn id(&self) -> &str {
        self.cells.first().map(|(_, cell)| cell.case.id.as_str()).unwrap_or_default()
    }

    /// Why the server is too old or too new for it.
    pub(super) fn excluded(&self) -> Option<String> {
        self.cells.first()?.1.excluded()
    }

    /// The groups of its key exchange on a server of this major.
    pub(super) fn groups(&self, major: Major) -> Groups {
        let conf =
            self.cells.first().and_then(|(_, cell)| cell.case.steps.first()).map(|step| &step.situation.server.conf);
        let set = conf.into_iter().flatten().find(|(key, _)| key == "ssl_groups").map(|(_, value)| value.clone());
        // The defaults of ssl_ecdh_curve and, since PostgreSQL 18, of ssl_groups.
        let default = if major < Major(18) { "P-256" } else { "X25519:P-256" };
        Groups { client: self.tuning.group, server: set.unwrap_or_else(|| default.to_owned()) }
    }
}

/// Writes the scenario files into a folder.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    Files::iter().try_for_each(|name| {
        let file = Files::get(&name).map(|file| file.data).unwrap_or_default();
        fs::write(folder.join(&*name), file)
    })
}

/// The modes of cells, in the order of their files. A mode that is not for every client has the cells of the others.
pub(super) fn modes(cells: &[Cell], suite: &Suite) -> Vec<Mode> {
    let mut modes = IndexMap::<&str, Mode>::new();
    for cell in cells {
        let subject = Subject { client: cell.client, stack: cell.stack };
        if !subject.is_one() {
            continue;
        }
        let scenario = suite.scenarios.iter().find(|scenario| scenario.id == cell.case.scenario);
        let mode = modes.entry(&cell.case.id).or_insert_with(|| Mode {
            name: cell.case.name.clone(),
            group: scenario.map(|scenario| scenario.title.clone()).unwrap_or_default(),
            scenario: cell.case.scenario.clone(),
            tuning: tuning(&cell.case.name),
            cells: Vec::new(),
        });
        mode.cells.push((subject, cell.clone()));
    }
    for mode in modes.values_mut().filter(|mode| mode.cells.iter().any(|(_, cell)| cell.excluded().is_none())) {
        mode.cells.retain(|(_, cell)| cell.excluded().is_none());
    }
    modes.into_values().collect()
}

/// What a mode needs that Kong has no setting for.
fn tuning(mode: &str) -> Tuning {
    match mode {
        "P-256 at once" => Tuning { group: Some("P-256"), direct: false },
        "direct TLS" => Tuning { group: None, direct: true },
        _ => Tuning::default(),
    }
}
