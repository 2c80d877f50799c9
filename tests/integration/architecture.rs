//! The direction of the rooms of a crate, and that no files import each other in a circle.
//!
//! Reads `use` declarations and paths as text. A name that a module re-exports counts as an import of the file that
//! defines it, and a `pub use` of a child module as one only if the module itself uses the name. Code under
//! `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use rstest::rstest;

/// The rooms of a crate, from the ground up, with what each is for: a room imports only from those listed before it.
type Rooms = &'static [(&'static str, &'static str)];

const OF_SCENARIOS: Rooms = &[
    ("vocabulary", "words that every room uses: TLS version, range of releases, kind of client"),
    ("format", "the types of the scenario files, as serde reads them"),
    ("load", "reading YAML, with the position of every fault"),
    ("suite", "compiling scenario files to cases"),
    ("roles", "the roles and databases of the servers of a suite"),
    ("plan", "cases times majors, releases, stacks and clients: the cells"),
];

const OF_PROGRAM: Rooms = &[
    ("runfolder", "the folder a run works in, and its removal"),
    ("leaks", "what outlives its cell or its run: processes, ports, containers, files"),
    ("proxy", "proxies between client and server"),
    ("relay", "real programs between client and server"),
    ("client", "the clients that can run a cell"),
    ("judge", "an observation against its expectation: the verdict"),
    ("run", "running cells; emits events"),
    ("record", "what a run has found out: its log and its result file"),
    ("vacuity", "whether the cases can fail: cells with something broken in them"),
    ("compare", "two runs, or two parts of one, against each other"),
    ("report", "records for people and programs"),
    ("learn", "texts of new versions, from runs in which they were missing"),
    ("desk", "checking and diagnosing an installation of the user's, and reproducing it"),
    ("session", "what a command needs to plan and run"),
    ("upgrade", "what an upgrade changes for a configuration"),
    ("bench", "what TLS costs: measurements against real servers"),
    ("cli", "the command line"),
];

/// The sources of the crates of the workspace.
const CRATES: [&str; 5] = [
    "harness/certificates/src",
    "harness/server/src",
    "harness/kong/src",
    "harness/scenarios/src",
    "harness/program/src",
];

#[rstest]
#[case::scenarios("harness/scenarios/src", OF_SCENARIOS)]
#[case::program("harness/program/src", OF_PROGRAM)]
fn a_room_imports_only_from_rooms_below_it(#[case] root: &str, #[case] rooms: Rooms) {
    let sources = Sources::read(root);
    let level = |file: &str| {
        let room = file.split('/').next().expect("a path").trim_end_matches(".rs");
        rooms.iter().position(|(name, _)| *name == room)
    };
    let mut faults = Vec::new();
    for (file, imports) in sources.imports() {
        if ["lib.rs", "main.rs"].contains(&file.as_str()) {
            continue;
        }
        let Some(own) = level(&file) else {
            faults.push(format!("{file} is in no room"));
            continue;
        };
        let upwards = imports.iter().filter(|import| level(import).is_none_or(|level| level > own));
        faults.extend(upwards.map(|import| format!("{file} imports from {import}")));
    }
    assert!(faults.is_empty(), "against the order of the rooms of {root}:\n{}", faults.join("\n"));
}

/// Reports are made of what is recorded: none decides a verdict, or what a difference means, again.
#[test]
fn no_report_judges() {
    const JUDGES: [&str; 2] = ["judge/decide.rs", "judge/races.rs"];
    let sources = Sources::read("harness/program/src");
    let imports = sources.imports();
    assert!(imports["run/cell.rs"].iter().any(|import| *import == JUDGES[0]), "the room that judges is not found");
    let judging = |imports: &BTreeSet<String>| imports.iter().any(|import| JUDGES.contains(&import.as_str()));
    let reports = imports.iter().filter(|(file, _)| file.starts_with("report/"));
    let faults: Vec<_> = reports.filter(|(_, imports)| judging(imports)).map(|(file, _)| file).collect();
    assert!(faults.is_empty(), "reports that judge: {faults:?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut faults = Vec::new();
    for root in CRATES {
        for circle in circles(&Sources::read(root).imports()) {
            faults.push(format!("{root}: {circle:?}"));
        }
    }
    assert!(faults.is_empty(), "files that import each other in a circle:\n{}", faults.join("\n"));
}

#[test]
fn imports_are_found_through_re_exports_aliases_and_paths() {
    let sources = Sources::of(&[
        ("lib.rs", "mod a;\nmod b;\npub use self::b::{Inner, deep::*};"),
        ("a.rs", "use crate::{Inner, b};\nfn f() -> Inner { b::helper(\"super::b::nothing\") } // super::b::comment"),
        ("b/mod.rs", "mod deep;\nmod inner;\npub use self::inner::Inner;\npub fn helper() {}"),
        (
            "b/inner.rs",
            "pub struct Inner;\nfn f() { super::super::a::f() }\n#[cfg(test)]\nmod tests { use super::super::deep; }",
        ),
        ("b/deep.rs", ""),
    ]);
    let imports = sources.imports();
    let of = |file: &str| imports[file].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("a.rs"), ["b/inner.rs", "b/mod.rs"]);
    assert_eq!(of("b/inner.rs"), ["a.rs"]);
    assert!(of("b/mod.rs").is_empty() && of("lib.rs").is_empty());
    assert_eq!(Vec::from_iter(circles(&imports)), [["a.rs", "b/inner.rs"]]);
}

/// A module as its segments from the crate's root.
type Module = Vec<String>;

struct Source {
    file: String,
    /// Imported names, with their absolute paths.
    names: BTreeMap<String, Module>,
    /// The absolute paths that the code uses.
    paths: BTreeSet<Module>,
}

struct Sources(BTreeMap<Module, Source>);

impl Sources {
    fn read(root: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let (mut folders, mut files) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder of sources") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let file = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
                    files.push((file, fs::read_to_string(path).expect("a source file")));
                }
            }
        }
        assert!(!files.is_empty(), "no sources in {}", root.display());
        let files: Vec<_> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
        Self::of(&files)
    }

    fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().filter(|(file, _)| *file != "tests.rs" && !file.ends_with("/tests.rs"));
        let files: Vec<_> = files.map(|(file, text)| (module_of(file), *file, code(text))).collect();
        let modules: BTreeSet<Module> = files.iter().map(|(module, ..)| module.clone()).collect();
        let sources = files.iter().map(|(module, file, code)| {
            let (names, paths) = names_and_paths(module, code, &modules);
            (module.clone(), Source { file: (*file).to_owned(), names, paths })
        });
        Self(sources.collect())
    }

    /// Which files each file imports from.
    fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let of = |source: &Source| {
            let files = source.paths.iter().filter_map(|path| self.defining_file(path, 0));
            files.filter(|file| *file != source.file).collect()
        };
        self.0.values().map(|source| (source.file.clone(), of(source))).collect()
    }

    /// The file that defines what a path names, through re-exports. None for a path that ends at a module.
    fn defining_file(&self, path: &[String], depth: usize) -> Option<String> {
        assert!(depth < 20, "{path:?} is re-exported in a circle");
        let end = (0..=path.len()).rev().find(|end| self.0.contains_key(&path[..*end]))?;
        let (source, name) = (&self.0[&path[..end]], path.get(end)?);
        match source.names.get(name) {
            Some(other) => self.defining_file(&[other, &path[end + 1..]].concat(), depth + 1),
            None => Some(source.file.clone()),
        }
    }
}

fn module_of(file: &str) -> Module {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if ["lib", "main"].contains(&path) { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// A file without its comments, its literals and its tests.
fn code(text: &str) -> String {
    static NOISE: LazyLock<Regex> = LazyLock::new(|| {
        let tests = r"#\[cfg\(test\)\]\n(?:pub\([a-z]+\) )?mod tests.*";
        let literals = r##"r#".*?"#|"(?:\\.|[^"\\])*"|'(?:\\[^']+|[^'\\])'"##;
        Regex::new(&format!(r"(?s){tests}|//[^\n]*|{literals}")).expect("a valid pattern")
    });
    NOISE.replace_all(text, " ").into_owned()
}

static DECLARATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(pub(?:\([^)]*\))? )?\buse ([^;]+);").expect("a valid pattern"));

static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[a-z_]\w*(?:::\w+)+").expect("a valid pattern"));

/// The names a module imports, and the absolute paths that its code uses.
fn names_and_paths(
    module: &Module,
    code: &str,
    modules: &BTreeSet<Module>,
) -> (BTreeMap<String, Module>, BTreeSet<Module>) {
    let (mut names, mut paths) = (BTreeMap::new(), BTreeSet::new());
    let rest = DECLARATION.replace_all(code, " ");
    let uses = |rest: &str, name: &str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    for found in DECLARATION.captures_iter(code) {
        for (path, name) in leaves(&found[2]) {
            let Some(path) = absolute(module, &path, &BTreeMap::new(), modules) else { continue };
            let hands_on = found.get(1).is_some() && path.starts_with(module);
            if !hands_on || uses(&rest, &name) {
                paths.insert(path.clone());
            }
            names.insert(name, path);
        }
    }
    for found in PATH.find_iter(&rest) {
        let path: Vec<_> = found.as_str().split("::").map(str::to_owned).collect();
        paths.extend(absolute(module, &path, &names, modules));
    }
    (names, paths)
}

/// A path from the crate's root, if it is one of this crate.
fn absolute(
    module: &Module,
    path: &[String],
    names: &BTreeMap<String, Module>,
    modules: &BTreeSet<Module>,
) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let child = [module.as_slice(), std::slice::from_ref(first)].concat();
    let start = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => {
            let parents = path.iter().take_while(|segment| *segment == "super").count();
            let start = &module[..module.len() - parents];
            return Some([start, &path[parents..]].concat());
        }
        _ if modules.contains(&child) => child,
        _ => names.get(first)?.clone(),
    };
    Some([&start, rest].concat())
}

/// The paths of a `use` declaration, each with the name that it brings in.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some((prefix, group)) = tree.split_once('{') {
        let prefix = prefix.split("::").map(str::trim).filter(|segment| !segment.is_empty());
        let prefix: Vec<_> = prefix.map(str::to_owned).collect();
        let group = group.strip_suffix('}').expect("a closed group");
        let mut depth = 0;
        let parts = group.split(|character| {
            depth += i32::from(character == '{') - i32::from(character == '}');
            character == ',' && depth == 0
        });
        let parts: Vec<_> = parts.filter(|part| !part.trim().is_empty()).collect();
        let below = parts.iter().flat_map(|part| leaves(part));
        return below
            .map(|(path, name)| {
                if path == ["self"] {
                    (prefix.clone(), last(&prefix))
                } else {
                    ([prefix.as_slice(), &path].concat(), name)
                }
            })
            .collect();
    }
    let (path, name) =
        tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim().to_owned())));
    let path: Vec<_> = path.trim().split("::").map(str::to_owned).collect();
    let name = name.unwrap_or_else(|| last(&path));
    vec![(path, name)]
}

fn last(path: &[String]) -> String {
    path.last().cloned().unwrap_or_default()
}

/// The groups of files that reach each other.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reached = |from: &String| {
        let (mut open, mut seen) = (vec![from], BTreeSet::new());
        while let Some(file) = open.pop() {
            open.extend(imports.get(file).into_iter().flatten().filter(|import| seen.insert((*import).clone())));
        }
        seen
    };
    let reach: BTreeMap<_, _> = imports.keys().map(|file| (file, reached(file))).collect();
    let circle = |file: &String| reach[file].iter().filter(|other| reach[*other].contains(file)).cloned().collect();
    reach.keys().filter(|file| reach[**file].contains(**file)).map(|file| circle(file)).collect()
}
