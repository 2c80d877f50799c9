//! Both sides of a cell with their certificates made: what serializers write, and what `up` runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use certificate_trees::{Authority, PkiError};
use indexmap::IndexMap;
use kong_pg_client::conf::KongConf;
use kong_pg_client::{Edition, Profile};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{KongSide, Step, TextContext, Texts};
use postgres_tls_server::{Configuration, Owner};

use super::error::ExportError;
use super::folder::{FolderError, NewFolder};
use super::format::Format;
use crate::report::outcome;
use crate::run::materials::{self, Located, MadeFile};

/// Where Kong reaches the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The image of a release, as its repository and tag. A driver has none.
#[must_use]
pub fn image_of(release: &Profile) -> Option<(&'static str, String)> {
    let name = release.to_string();
    let (repository, tag) = match release.edition {
        Edition::Oss => ("kong", name.strip_suffix("-oss")),
        Edition::Enterprise => ("kong/kong-gateway", name.strip_suffix("-enterprise")),
        Edition::Driver => ("", None),
    };
    Some((repository, tag?.to_owned()))
}

/// Both sides of a cell, as its first step has them.
#[derive(Debug)]
pub struct Deployment {
    /// The cell.
    pub cell: Cell,
    /// The server's configuration with its files.
    pub server: Configuration,
    /// The files that Kong's settings name, by name.
    pub files: BTreeMap<String, MadeFile>,
    /// What must happen when Kong connects, in one line.
    pub expected: Option<String>,
}

impl Deployment {
    /// Makes the certificates of a cell.
    ///
    /// # Errors
    /// If one of them cannot be made.
    pub fn make(cell: Cell, texts: &Texts, authority: &Authority) -> Result<Self, PkiError> {
        let Some(step) = cell.case.steps.first() else {
            return Ok(Self { cell, server: Configuration::default(), files: BTreeMap::new(), expected: None });
        };
        let tree = authority.tree(&step.situation.tree);
        let server = materials::server(&tree, &step.situation)?;
        let files = materials::kong(&tree, &step.situation)?;
        let expected = step.expect.as_ref().map(|expectation| {
            let text = outcome(expectation.on(cell.stack, cell.profile.edition));
            let value = |name: &str| {
                // What only a run knows.
                let is_of_run = matches!(name, "host" | "datadir" | "kong") || name.contains(" of ");
                is_of_run.then(|| format!("<{name}>"))
            };
            let context = TextContext { major: cell.major, openssl: Some(cell.profile.openssl), value: &value };
            texts.expand(&text, &context).map_or(text, |lines| lines.join(" / ")).replace('\n', " / ")
        });
        Ok(Self { cell, server, files, expected })
    }

    /// The first step of the case.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        self.cell.case.steps.first()
    }

    fn kong_side(&self) -> Option<&KongSide> {
        self.step().map(|step| &step.situation.kong)
    }

    /// Kong's settings, with its files in a folder. Those of the environment take the place of kong.conf's, as they do
    /// for Kong. The address is that of the cell, where it has one of its own.
    #[must_use]
    pub fn kong(&self, folder: &Path, address: Option<&Address>) -> IndexMap<String, String> {
        let mut all = IndexMap::new();
        if let Some(Address { host, port }) = address {
            all.extend([("pg_host".to_owned(), host.clone()), ("pg_port".to_owned(), port.to_string())]);
        }
        let Some(side) = self.kong_side() else { return all };
        let at = Located { folder, files: &self.files };
        let located = |(key, value): &(String, String)| (key.clone(), at.value(key, value));
        all.extend(side.settings.iter().map(located));
        for (name, value) in side.environment.iter().map(located) {
            let read = KongConf::default().with_variable(&name, &value);
            all.extend(read.all().map(|(key, value, _)| (key.to_owned(), value.to_owned())));
        }
        all
    }

    /// What is different from the cell in an export, as far as it is not about one format alone.
    fn omissions(&self, format: Format) -> Vec<String> {
        let mut omissions = Vec::new();
        if format == Format::Scenario {
            return omissions;
        }
        if let Some(side) = self.kong_side() {
            if let Some(proxy) = &side.proxy {
                let does = serde_json::to_value(proxy.does).ok();
                let does = does.as_ref().and_then(|does| does.as_str()).unwrap_or("a proxy").to_owned();
                omissions.push(format!("the proxy between Kong and the server ({does})"));
            }
            if let Some(relay) = self.step().and_then(|step| step.situation.relay.as_ref()) {
                omissions.push(format!("{} between Kong and the server", relay.program));
            }
            if let Some(level) = side.security_level {
                omissions.push(format!("security level {level} of Kong's OpenSSL"));
            }
            if !side.prefix.is_empty() {
                omissions.push("what an earlier kong.conf has left in Kong's prefix".into());
            }
        }
        if self.cell.case.steps.len() > 1 {
            omissions.push("what the case changes after the first connection".into());
        }
        let foreign = |(_, file): &(_, &postgres_tls_server::File)| {
            file.owner != Owner::DatabaseUser || file.group != Owner::DatabaseUser
        };
        if format == Format::Cnpg && self.server.files.iter().any(|file| foreign(&file)) {
            omissions.push("the owners of the server's files".into());
        }
        omissions
    }

    /// What an export begins with, in comments.
    pub(super) fn header(&self, format: Format) -> String {
        let case = &self.cell.case;
        let mut text = format!("# {}\n", self.cell.id);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {}", case.name);
        if let Some(expected) = &self.expected {
            let _ = writeln!(text, "# Kong {} on {}: {expected}", self.cell.profile, self.cell.stack);
        }
        for omission in self.omissions(format) {
            let _ = writeln!(text, "# Not in here: {omission}.");
        }
        text
    }

    /// Kong's image, for containers.
    pub(super) fn image(&self, format: Format) -> Result<(&'static str, String), ExportError> {
        let release = &self.cell.profile;
        let no_kong = || {
            let why = format!("{release} is a driver without a Kong around it; choose a release with --kong");
            ExportError::NotPossible { format, why }
        };
        image_of(release).ok_or_else(no_kong)
    }

    /// Both sides' files in a folder, in `kong/` and `postgres/`.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn write(&self, folder: &NewFolder) -> Result<(), FolderError> {
        // In a container Kong is another user than the one who owns these files, so that it is the folder around them
        // that keeps others out.
        let kong = folder.folder("kong", 0o755)?;
        for (name, file) in &self.files {
            let mode = if file.mode & 0o444 == 0 { file.mode } else { 0o644 };
            kong.file(name, &file.content, mode)?;
        }
        let postgres = folder.folder("postgres", 0o700)?;
        for (name, text) in self.server_texts() {
            postgres.file(name, text.as_bytes(), 0o600)?;
        }
        for (name, file) in &self.server.files {
            postgres.file(&format!("files/{name}"), &file.content, 0o600)?;
        }
        Ok(())
    }

    /// The server's three configuration files.
    #[must_use]
    pub fn server_texts(&self) -> [(&'static str, String); 3] {
        let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect();
        [
            ("postgresql.conf", self.server.postgresql_conf()),
            ("pg_hba.conf", lines(&self.server.hba)),
            ("pg_ident.conf", lines(&self.server.ident)),
        ]
    }
}
