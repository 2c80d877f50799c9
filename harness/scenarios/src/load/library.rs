//! Where the files of a suite come from: a folder, or the program itself.

use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

use super::source::{Fault, Source};

#[derive(RustEmbed)]
#[folder = "../../scenarios"]
struct BuiltIn;

/// The files that are no scenarios.
pub(crate) const PKI: &str = "pki.yaml";
pub(crate) const TEXTS: &str = "texts.yaml";
pub(crate) const OUTCOMES: &str = "outcomes.yaml";
pub(crate) const CLAIMS: &str = "claims.yaml";
pub(crate) const DIFFERENCES: &str = "differences.yaml";
pub(crate) const CAUSES: &str = "causes.yaml";
const NO_SCENARIOS: [&str; 6] = [PKI, TEXTS, OUTCOMES, CLAIMS, DIFFERENCES, CAUSES];

/// A scenario file and the path that its cells' ids begin with.
pub(crate) struct ScenarioFile {
    pub(crate) id: String,
    pub(crate) source: Source,
}

/// The files of a suite.
pub(crate) struct Library {
    /// Whether it is of a folder, and not built in.
    pub(crate) is_of_folder: bool,
    /// Whether that folder has outcomes of its own.
    pub(crate) has_outcomes: bool,
    pub(crate) scenarios: Vec<ScenarioFile>,
    pub(crate) pki: Source,
    pub(crate) texts: Source,
    pub(crate) outcomes: Source,
    pub(crate) claims: Source,
    pub(crate) differences: Source,
    pub(crate) causes: Source,
}

impl Library {
    /// The suite that is built into the program.
    pub(crate) fn built_in() -> Self {
        let mut names: Vec<_> = BuiltIn::iter().collect();
        names.sort();
        let scenarios = names.iter().filter(|name| !NO_SCENARIOS.contains(&&***name)).filter_map(|name| {
            let id = name.strip_suffix(".yaml")?.to_owned();
            Some(ScenarioFile { id, source: built_in(name) })
        });
        Self { scenarios: scenarios.collect(), ..Self::without_scenarios() }
    }

    /// The file of causes that is built into the program.
    pub(crate) fn built_in_causes() -> Source {
        built_in(CAUSES)
    }

    fn without_scenarios() -> Self {
        Self {
            is_of_folder: false,
            has_outcomes: false,
            scenarios: Vec::new(),
            pki: built_in(PKI),
            texts: built_in(TEXTS),
            outcomes: built_in(OUTCOMES),
            claims: built_in(CLAIMS),
            differences: built_in(DIFFERENCES),
            causes: Self::built_in_causes(),
        }
    }

    /// The suite of a folder. What it does not have of the files that are no scenarios is as in the built-in one, but
    /// for the differences, which are those of its own cases.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, Vec<Fault>> {
        let mut files = Vec::new();
        collect(folder, &mut files).map_err(|(path, error)| vec![Fault::unreadable(&path, &error)])?;
        files.sort();
        let none = Source::new(folder.join(DIFFERENCES), "{}".into());
        let mut library = Self { is_of_folder: true, differences: none, ..Self::without_scenarios() };
        let mut faults = Vec::new();
        for path in files {
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    faults.push(Fault::unreadable(&path, &error));
                    continue;
                }
            };
            let relative = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
            let id = relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
            let source = Source::new(path, text);
            match format!("{id}.yaml").as_str() {
                PKI => library.pki = source,
                TEXTS => library.texts = source,
                OUTCOMES => (library.has_outcomes, library.outcomes) = (true, source),
                CLAIMS => library.claims = source,
                DIFFERENCES => library.differences = source,
                CAUSES => library.causes = source,
                _ => library.scenarios.push(ScenarioFile { id, source }),
            }
        }
        if faults.is_empty() { Ok(library) } else { Err(faults) }
    }
}

fn built_in(name: &str) -> Source {
    let text = BuiltIn::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
    Source::new(Path::new("scenarios").join(name), text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |error| (folder.to_owned(), error);
    for entry in std::fs::read_dir(folder).map_err(at)? {
        let entry = entry.map_err(at)?;
        let path = entry.path();
        if entry.file_type().map_err(at)?.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}
