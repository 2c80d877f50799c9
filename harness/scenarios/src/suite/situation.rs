//! A case at one point of its scenario's axes, with everything put together: certificates, files, both configurations.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use certificate_trees::{Format, Recipe, Tree};
use postgres_tls_server::{ApplyMode, Owner};

use super::planned::{Content, FileMode, PlannedFile};
use super::settings;
use super::trees::{Trees, files_help};
use crate::format::{FileDetails, FileSpec, Proxy, Setting, Setup};
use crate::load::{Problem, Segment, key};
use crate::vocabulary::RelayProgram;
use kong_pg_client::conf::{FILE_KEYS as KONG_FILE_KEYS, file_names, is_variable, variable};
use postgres_tls_server::config::{FILE_KEYS as POSTGRES_FILE_KEYS, HOSTS_FILE, files_of_hosts};

/// Both sides' configuration, as a case has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Situation {
    /// The certificates.
    pub tree: Arc<Tree>,
    /// The server's side.
    pub server: ServerSide,
    /// Kong's side.
    pub kong: KongSide,
    /// The real program between the two.
    pub relay: Option<RelaySide>,
}

/// The configuration of a program between Kong and the server before its certificates are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RelaySide {
    /// The program.
    pub program: RelayProgram,
    /// Its settings, its files by name.
    pub settings: Vec<(String, String)>,
    /// The files they name.
    pub files: BTreeMap<String, PlannedFile>,
}

/// The server's configuration before its certificates are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ServerSide {
    /// postgresql.conf.
    pub conf: Vec<(String, String)>,
    /// pg_hba.conf.
    pub hba: Vec<String>,
    /// pg_ident.conf.
    pub ident: Vec<String>,
    /// The files in the data directory.
    pub files: BTreeMap<String, PlannedFile>,
    /// How it is put in force.
    pub by: ApplyMode,
}

/// Kong's configuration before its certificates are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KongSide {
    /// kong.conf, its files by name.
    pub settings: Vec<(String, String)>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The kong.conf with which Kong's prefix was made, if it was another one.
    pub prefix: Vec<(String, String)>,
    /// The files it names, as far as they are there.
    pub files: BTreeMap<String, PlannedFile>,
    /// The security level of Kong's OpenSSL, where it is not the release's.
    pub security_level: Option<u32>,
    /// The proxy between Kong and the server.
    pub proxy: Option<Proxy>,
}

/// What becomes of a file that a setting names.
enum Planned {
    Made(PlannedFile),
    /// A directory of this name, which is there because of this file in it.
    Directory(String, PlannedFile),
    Absent,
}

impl Planned {
    /// The file to make, and its path, of what has this name.
    fn into_file(self, name: &str) -> Option<(String, PlannedFile)> {
        match self {
            Self::Made(file) => Some((name.to_owned(), file)),
            Self::Directory(path, file) => Some((path, file)),
            Self::Absent => None,
        }
    }
}

/// One of the places in a scenario file that a situation is put together from; later ones win.
pub(super) struct Layer<'s> {
    /// Where the setup is in the file.
    path: Vec<Segment>,
    setup: &'s Setup,
    /// What is wrong with the setup, whatever the layers around it are.
    problems: Vec<Problem>,
}

impl<'s> Layer<'s> {
    /// The setup at this path. Many situations may share a layer, which is checked once.
    pub(super) fn new(path: Vec<Segment>, setup: &'s Setup) -> Self {
        let Setup { postgres, kong, kong_prefix, relay, .. } = setup;
        let mut problems = Vec::new();
        let mut add = |found: Vec<Problem>, keys: &[&str]| {
            let path = below(&path, keys);
            problems.extend(found.into_iter().map(|problem| problem.below(&path)));
        };
        add(settings::postgres(&postgres.conf.0), &["postgres", "conf"]);
        add(settings::kong(&kong.0), &["kong"]);
        add(settings::kong(&kong_prefix.0), &["kong_prefix"]);
        if let Some(hba) = postgres.hba.as_ref().filter(|_| !postgres.hba_invalid) {
            add(settings::hba(hba), &["postgres", "hba"]);
        }
        if let Some(relay) = relay {
            add(settings::relay(relay.program(), relay.settings()), &["relay", relay.program().into()]);
        }
        Self { path, setup, problems }
    }
}

/// Values by name, each with the place it was written at.
type Placed<'s, V> = IndexMap<&'s str, (V, Place<'s>)>;

/// Where a value was written. Only a message needs the path, so it is put together for one.
#[derive(Debug, Clone)]
struct Place<'s> {
    section: Section<'s>,
    key: &'s str,
}

/// A part of a layer: the keys below the layer's path.
#[derive(Debug, Clone)]
struct Section<'s> {
    layer: &'s [Segment],
    keys: Rc<[&'static str]>,
}

impl Section<'_> {
    fn path(&self) -> Vec<Segment> {
        below(self.layer, &self.keys)
    }
}

impl Place<'_> {
    fn path(&self) -> Vec<Segment> {
        below(&self.section.path(), &[self.key])
    }

    /// Whether it is a place in the last layer, and that is of a case.
    fn is_of_case(&self, last: &[Segment]) -> bool {
        self.section.layer == last && last.starts_with(&[key("cases")])
    }
}

/// Puts the layers together.
///
/// `folder` has the files that are named by their paths.
pub(super) fn merge<'s>(
    trees: &Trees,
    folder: Option<&'s Path>,
    layers: &'s [Rc<Layer<'s>>],
) -> Result<Situation, Vec<Problem>> {
    let mut merged = Merged { folder, ..Merged::default() };
    for layer in layers {
        merged.add(trees, layer);
    }
    let last = layers.last().map(|layer| &layer.path[..]).unwrap_or_default();
    merged.finish(last)
}

#[derive(Default)]
struct Merged<'s> {
    folder: Option<&'s Path>,
    tree: Option<Arc<Tree>>,
    files: Placed<'s, &'s FileSpec>,
    conf: Placed<'s, &'s str>,
    kong: Placed<'s, &'s str>,
    prefix: Placed<'s, &'s str>,
    hba: &'s [String],
    ident: &'s [String],
    by: Option<ApplyMode>,
    security_level: Option<u32>,
    proxy: Option<&'s Proxy>,
    relay: Option<(RelayProgram, Placed<'s, &'s str>)>,
    problems: Vec<Problem>,
}

fn below(path: &[Segment], keys: &[&str]) -> Vec<Segment> {
    path.iter().cloned().chain(keys.iter().map(|name| key(name))).collect()
}

/// The values without their places.
fn owned(values: Placed<'_, &str>) -> impl Iterator<Item = (String, String)> {
    values.into_iter().map(|(key, (value, _))| (key.to_owned(), value.to_owned()))
}

fn overlay<'s, V, T>(
    all: &mut Placed<'s, T>,
    new: &'s IndexMap<String, Option<V>>,
    section: impl FnOnce() -> Section<'s>,
    take: impl Fn(&'s V) -> T,
) {
    if new.is_empty() {
        return;
    }
    let section = section();
    for (key, value) in new {
        match value {
            Some(value) => drop(all.insert(key, (take(value), Place { section: section.clone(), key }))),
            None => drop(all.shift_remove(key.as_str())),
        }
    }
}

impl<'s> Merged<'s> {
    fn add(&mut self, trees: &Trees, layer: &'s Layer<'s>) {
        let Setup { pki, files, postgres, kong, kong_prefix, kong_security_level, proxy, relay } = layer.setup;
        self.problems.extend(layer.problems.iter().cloned());
        let section = |keys: &[&'static str]| Section { layer: &layer.path, keys: keys.into() };
        if let Some(pki) = pki {
            match trees.resolve(pki) {
                Ok(tree) => self.tree = Some(tree),
                Err(problems) => {
                    let path = section(&["pki"]).path();
                    self.problems.extend(problems.into_iter().map(|problem| problem.below(&path)));
                }
            }
        }
        overlay(&mut self.files, files, || section(&["files"]), |spec| spec);
        let text = |value: &'s Setting| value.0.as_str();
        overlay(&mut self.conf, &postgres.conf.0, || section(&["postgres", "conf"]), text);
        overlay(&mut self.kong, &kong.0, || section(&["kong"]), text);
        overlay(&mut self.prefix, &kong_prefix.0, || section(&["kong_prefix"]), text);
        self.hba = postgres.hba.as_deref().unwrap_or(self.hba);
        self.ident = postgres.ident.as_deref().unwrap_or(self.ident);
        self.by = postgres.by.or(self.by);
        self.security_level = kong_security_level.or(self.security_level);
        if let Some(proxy) = proxy {
            self.proxy = Some(proxy);
            self.check_certificate(proxy, || section(&["proxy"]).path());
        }
        if let Some(relay) = relay {
            let program = relay.program();
            // The settings of another program take the place of all; those of the same one change it.
            let before = self.relay.take().filter(|(before, _)| *before == program);
            let (_, mut all) = before.unwrap_or((program, Placed::new()));
            overlay(&mut all, relay.settings(), || section(&["relay", program.into()]), text);
            self.relay = Some((program, all));
        }
        if self.proxy.is_some() && self.relay.is_some() {
            let help = "keep `proxy` or `relay`";
            self.problems.push(Problem::value(layer.path.clone(), "there is a proxy and a program between", help));
        }
    }

    fn finish_relay(&mut self, tree: &Tree, used: &mut Vec<&'s str>) -> Option<RelaySide> {
        let (program, all) = self.relay.take()?;
        let mut files = BTreeMap::new();
        for (_, (name, place)) in all.iter().filter(|(key, _)| program.file_keys().contains(key)) {
            files.extend(self.planned(tree, name, Some(place)).and_then(|planned| planned.into_file(name)));
            used.push(name);
        }
        Some(RelaySide { program, settings: owned(all).collect(), files })
    }

    /// `last` is the path of the last layer.
    fn finish(mut self, last: &[Segment]) -> Result<Situation, Vec<Problem>> {
        // Without the certificates that were meant, every file would be a problem of its own.
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let no_certificates = self.tree.is_none();
        let tree = self.tree.take().unwrap_or_default();
        let mut used = Vec::new();
        let by = match self.by {
            None if settings::needs_restart(self.conf.keys()) => ApplyMode::Start,
            by => by.unwrap_or_default(),
        };
        let mut server = ServerSide { by, hba: self.hba.to_vec(), ident: self.ident.to_vec(), ..Default::default() };
        for (name, place) in self.server_files() {
            let planned = self.planned(&tree, name, place.as_ref());
            server.files.extend(planned.and_then(|planned| planned.into_file(name)));
            used.push(name);
        }
        let mut kong =
            KongSide { security_level: self.security_level, proxy: self.proxy.cloned(), ..KongSide::default() };
        for (value, place) in self.values_with_files() {
            for name in file_names(value) {
                let planned = self.planned(&tree, name, Some(&place));
                kong.files.extend(planned.and_then(|planned| planned.into_file(name)));
                used.push(name);
            }
        }
        let relay = self.finish_relay(&tree, &mut used);
        // Files of a scenario or an axis may be of use to some cases only, and those of a case to an earlier step only.
        let is_unused = |name: &str, place: &Place<'_>| place.is_of_case(last) && !used.contains(&name);
        for (name, (_, place)) in self.files.iter().filter(|(name, (_, place))| is_unused(name, place)) {
            let help = "name it in postgres.conf, in kong or in relay, or take it out";
            self.problems.push(Problem::key(place.path(), format!("no setting names the file `{name}`"), help));
        }
        server.conf = owned(self.conf).collect();
        (kong.environment, kong.settings) = owned(self.kong).partition(|(key, _)| is_variable(key));
        kong.prefix = owned(self.prefix).collect();
        if no_certificates {
            // One is enough: the answer to all is the same.
            self.problems.truncate(1);
        }
        if self.problems.is_empty() { Ok(Situation { tree, server, kong, relay }) } else { Err(self.problems) }
    }

    /// The values of Kong's settings that name files, wherever they are set.
    fn values_with_files(&self) -> Vec<(&'s str, Place<'s>)> {
        let set = KONG_FILE_KEYS.iter().flat_map(|key| {
            [self.kong.get(*key), self.kong.get(variable(key).as_str()), self.prefix.get(*key)].into_iter().flatten()
        });
        set.cloned().collect()
    }

    fn check_certificate(&mut self, proxy: &Proxy, path: impl FnOnce() -> Vec<Segment>) {
        let has = |name: &&String| self.tree.as_ref().is_some_and(|tree| tree.has_certificate(name));
        if let Some(missing) = proxy.certificate.as_ref().filter(|name| !has(name)) {
            let message = format!("no certificate of this case is called `{missing}`");
            let help = files_help(missing, self.tree.as_deref().unwrap_or(&Tree::default()));
            self.problems.push(Problem::value(path(), message, help));
        }
    }

    /// The files that the server looks for: those its settings name, those in the folder that one of them names,
    /// pg_hosts.conf with those that it names, and where TLS is on the two default names.
    fn server_files(&self) -> Vec<(&'s str, Option<Place<'s>>)> {
        let folder = self.conf.get("ssl_crl_dir").map(|(folder, _)| format!("{folder}/"));
        let is_inside = |name: &str| folder.as_ref().is_some_and(|folder| name.starts_with(folder));
        let inside = self.files.iter().filter(|(name, _)| is_inside(name));
        let mut files: Vec<_> = inside.map(|(name, (_, place))| (*name, Some(place.clone()))).collect();
        if let Some((hosts, place)) = self.files.get(HOSTS_FILE) {
            let text = if let FileSpec::Detailed(details) = hosts { details.text.as_deref() } else { None };
            let named = files_of_hosts(text.unwrap_or_default()).chain([HOSTS_FILE]);
            files.extend(named.map(|name| (name, Some(place.clone()))));
        }
        let tls = self.conf.get("ssl").is_some_and(|(value, _)| *value == "on");
        for (key, default) in POSTGRES_FILE_KEYS {
            match (self.conf.get(*key), default) {
                (Some((name, place)), _) if !name.is_empty() => files.push((name, Some(place.clone()))),
                (None, Some(name)) if tls || self.files.contains_key(*name) => {
                    let file = self.files.get(*name).map(|(_, place)| place);
                    let ssl = self.conf.get("ssl").map(|(_, place)| place);
                    files.push((*name, file.or(ssl).cloned()));
                }
                _ => {}
            }
        }
        files
    }

    /// A file beside the scenario; what is wrong with it is at `at`.
    fn own(&mut self, path: &str, at: Vec<Segment>) -> Result<Content, ()> {
        let (message, help) = match self.folder.map(|folder| Content::own(folder, path)) {
            Some(Ok(content)) => return Ok(content),
            Some(Err(error)) => (format!("{path} cannot be read: {error}"), "expected a path from the scenario file"),
            None => (format!("{path} is a path"), "only scenarios of a folder, of --scenarios, have files beside them"),
        };
        self.problems.push(Problem::value(at, message, help));
        Err(())
    }

    /// What becomes of a file that a setting names; nothing, if nothing makes it.
    fn planned(&mut self, tree: &Tree, name: &str, named_at: Option<&Place<'_>>) -> Option<Planned> {
        let path_of = |place: Option<&Place<'_>>| place.map(Place::path).unwrap_or_default();
        if !is_file_name(name) {
            let help = "expected letters, digits, `.`, `_`, `@` and `-`, and no path out of the folder";
            self.problems.push(Problem::value(path_of(named_at), format!("`{name}` is not a file name"), help));
            return None;
        }
        let file = self.files.get(name).cloned();
        let spec = file.as_ref().map(|(spec, _)| *spec);
        let path = || path_of(file.as_ref().map(|(_, place)| place).or(named_at));
        let details = match spec {
            None => FileDetails { of: Some(vec![name.to_owned()]), ..FileDetails::default() },
            Some(FileSpec::One(word)) if word == "absent" => return Some(Planned::Absent),
            Some(FileSpec::One(word)) if word == "directory" => {
                let owner = Owner::DatabaseUser;
                let content = Content::Artifacts(Vec::new(), Format::default());
                let file = PlannedFile { content, mode: FileMode::Octal(0o600), owner, group: owner };
                return Some(Planned::Directory(format!("{name}/empty"), file));
            }
            Some(FileSpec::One(path)) if path.starts_with("./") || path.starts_with("../") => {
                FileDetails { path: Some(path.clone()), ..FileDetails::default() }
            }
            Some(FileSpec::One(other)) => FileDetails { of: Some(vec![other.clone()]), ..FileDetails::default() },
            Some(FileSpec::Several(parts)) => FileDetails { of: Some(parts.clone()), ..FileDetails::default() },
            Some(FileSpec::Detailed(details)) => details.clone(),
        };
        let itself = || vec![name.to_owned()];
        let of_path = details.path.as_ref().map(|own| self.own(own, path())).transpose().ok()?;
        let content = match (details.text, details.text_behind, details.of) {
            _ if of_path.is_some() => of_path?,
            (None, None, of) => Content::Artifacts(of.unwrap_or_else(itself), details.format.unwrap_or_default()),
            (Some(text), None, of) => Content::Between(text, of.unwrap_or_default(), String::new()),
            (text, Some(behind), of) => Content::Between(text.unwrap_or_default(), of.unwrap_or_else(itself), behind),
        };
        let parts: &[String] = match &content {
            Content::Artifacts(parts, _) | Content::Between(_, parts, _) => parts,
            Content::Own(..) => &[],
        };
        let unknown: Vec<_> = parts.iter().filter(|part| tree.artifact(part).is_none()).collect();
        for part in &unknown {
            let message = format!("no certificate of this case makes the file `{part}`");
            self.problems.push(Problem::value(path(), message, files_help(part, tree)));
        }
        if !unknown.is_empty() {
            return None;
        }
        let owner = details.owner.unwrap_or(Owner::DatabaseUser);
        let mode = match details.mode.as_deref() {
            Some("recipe") => FileMode::OfRecipe,
            mode => FileMode::Octal(mode.and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0o600)),
        };
        if mode == FileMode::OfRecipe && !parts.iter().all(|part| is_key_of_recipe(tree, part)) {
            let help = "expected a key that the recipe of the tree makes";
            self.problems.push(Problem::value(path(), format!("no recipe leaves a mode for `{name}`"), help));
            return None;
        }
        Some(Planned::Made(PlannedFile { content, mode, owner, group: details.group.unwrap_or(owner) }))
    }
}

/// Whether the tree's recipe makes the key in this file.
fn is_key_of_recipe(tree: &Tree, file: &str) -> bool {
    let made = tree.recipe.map(Recipe::certificates).unwrap_or_default();
    file.strip_suffix(".key").is_some_and(|name| made.contains(&name))
}

/// Names go into folders of the run and into a shell's command line on the server.
fn is_file_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    name.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_plain))
}

#[cfg(test)]
mod tests;
