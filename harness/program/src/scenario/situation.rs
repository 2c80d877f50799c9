//! A case at one point of its scenario's axes, with everything put together: certificates, files, both configurations.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use certificate_trees::Format;
use postgres_tls_server::{ApplyMode, Owner};

use super::files::{FileDetails, FileSpec, Files};
use super::model::{Pki, Postgres};
use super::proxy::Proxy;
use super::setting::KongSettings;
use super::trees::Trees;
use super::yaml::{Segment, Target};
use certificate_trees::Tree;
use kong_pg_client::conf::{FILE_KEYS as KONG_FILE_KEYS, file_names, is_variable, variable};
use postgres_tls_server::config::FILE_KEYS as POSTGRES_FILE_KEYS;

/// Both sides' configuration, as a case has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Situation {
    /// The certificates.
    pub tree: Arc<Tree>,
    /// The server's side.
    pub server: ServerSide,
    /// Kong's side.
    pub kong: KongSide,
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
    /// What kong.conf said when Kong's prefix was made, if that was something else.
    pub prefix: Vec<(String, String)>,
    /// The files it names, as far as they are there.
    pub files: BTreeMap<String, PlannedFile>,
    /// The security level of Kong's OpenSSL, where it is not the release's.
    pub security_level: Option<u32>,
    /// What stands between Kong and the server.
    pub proxy: Option<Proxy>,
}

/// A file that is going to be made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlannedFile {
    /// What it holds.
    pub content: Content,
    /// Its mode.
    pub mode: u32,
    /// Its owner.
    pub owner: Owner,
    /// Its group.
    pub group: Owner,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Content {
    /// Files of the tree, one after the other, in a form.
    Artifacts(Vec<String>, Format),
    /// A text, and files of the tree after it.
    Text(String, Vec<String>),
}

/// What becomes of a file that a setting names.
enum Planned {
    Made(PlannedFile),
    Absent,
}

/// Something that is wrong with a situation: where in the scenario file, what, and what was expected.
pub(super) struct Wrong {
    pub(super) path: Vec<Segment>,
    pub(super) target: Target,
    pub(super) message: String,
    pub(super) help: String,
}

/// One of the places in a scenario file that a situation is put together from; later ones win.
#[derive(Clone)]
pub(super) struct Layer<'s> {
    pub(super) path: Vec<Segment>,
    pub(super) pki: Option<&'s Pki>,
    pub(super) files: &'s Files,
    pub(super) postgres: &'s Postgres,
    pub(super) kong: &'s KongSettings,
    pub(super) prefix: &'s KongSettings,
    pub(super) security_level: Option<u32>,
    pub(super) proxy: Option<&'s Proxy>,
}

/// Values by name, each with the place it was written at.
type Placed<V> = IndexMap<String, (V, Vec<Segment>)>;

/// Puts the layers together.
pub(super) fn merge(trees: &Trees, layers: &[Layer<'_>]) -> Result<Situation, Vec<Wrong>> {
    let mut merged = Merged::default();
    for layer in layers {
        merged.add(trees, layer);
    }
    merged.finish()
}

#[derive(Default)]
struct Merged<'s> {
    tree: Option<Arc<Tree>>,
    files: Placed<&'s FileSpec>,
    conf: Placed<String>,
    kong: Placed<String>,
    prefix: Placed<String>,
    hba: Vec<String>,
    ident: Vec<String>,
    by: ApplyMode,
    security_level: Option<u32>,
    proxy: Option<Proxy>,
    wrongs: Vec<Wrong>,
}

fn below(path: &[Segment], keys: &[&str]) -> Vec<Segment> {
    path.iter().cloned().chain(keys.iter().map(|key| Segment::Key((*key).to_owned()))).collect()
}

fn overlay<'v, V, T>(
    all: &mut Placed<T>,
    new: &'v IndexMap<String, Option<V>>,
    path: &[Segment],
    take: impl Fn(&'v V) -> T,
) {
    for (key, value) in new {
        match value {
            Some(value) => drop(all.insert(key.clone(), (take(value), below(path, &[key])))),
            None => drop(all.shift_remove(key)),
        }
    }
}

impl<'s> Merged<'s> {
    fn add(&mut self, trees: &Trees, layer: &Layer<'s>) {
        if let Some(pki) = layer.pki {
            match trees.resolve(pki) {
                Ok(tree) => self.tree = Some(tree),
                Err(wrongs) => self.wrongs.extend(wrongs.into_iter().map(|(inside, message, help)| Wrong {
                    path: below(&layer.path, &["pki"]).into_iter().chain(inside).collect(),
                    target: Target::Value,
                    message,
                    help,
                })),
            }
        }
        overlay(&mut self.files, layer.files, &below(&layer.path, &["files"]), |spec| spec);
        let conf = below(&layer.path, &["postgres", "conf"]);
        overlay(&mut self.conf, &layer.postgres.conf.0, &conf, |value| value.0.clone());
        overlay(&mut self.kong, &layer.kong.0, &below(&layer.path, &["kong"]), |value| value.0.clone());
        let prefix = below(&layer.path, &["kong_prefix"]);
        overlay(&mut self.prefix, &layer.prefix.0, &prefix, |value| value.0.clone());
        if let Some(hba) = &layer.postgres.hba {
            self.hba.clone_from(hba);
        }
        if let Some(ident) = &layer.postgres.ident {
            self.ident.clone_from(ident);
        }
        self.by = layer.postgres.by.unwrap_or(self.by);
        self.security_level = layer.security_level.or(self.security_level);
        if let Some(proxy) = layer.proxy {
            self.proxy = Some(proxy.clone());
            self.check_certificate(proxy, below(&layer.path, &["proxy"]));
        }
    }

    fn finish(mut self) -> Result<Situation, Vec<Wrong>> {
        let tree = self.tree.take().unwrap_or_default();
        let mut used = Vec::new();
        let mut server =
            ServerSide { by: self.by, hba: self.hba.clone(), ident: self.ident.clone(), ..Default::default() };
        for (name, path) in self.server_files() {
            if let Some(Planned::Made(file)) = self.planned(&tree, &name, &path) {
                server.files.insert(name.clone(), file);
            }
            used.push(name);
        }
        let mut kong =
            KongSide { security_level: self.security_level, proxy: self.proxy.clone(), ..KongSide::default() };
        for (value, path) in self.values_with_files() {
            for name in file_names(&value) {
                if let Some(Planned::Made(file)) = self.planned(&tree, name, &path) {
                    kong.files.insert(name.to_owned(), file);
                }
                used.push(name.to_owned());
            }
        }
        // What a scenario or an axis says may be of use to some of the cases only.
        let of_case = |path: &[Segment]| path.first() == Some(&Segment::Key("cases".into()));
        for (name, (_, path)) in self.files.iter().filter(|(name, (_, path))| of_case(path) && !used.contains(name)) {
            self.wrongs.push(Wrong {
                path: path.clone(),
                target: Target::Key { occurrence: 0 },
                message: format!("no setting names the file `{name}`"),
                help: "name it in postgres.conf or in kong, or take it out".into(),
            });
        }
        server.conf = self.conf.into_iter().map(|(key, (value, _))| (key, value)).collect();
        let kongs = self.kong.into_iter().map(|(key, (value, _))| (key, value));
        (kong.environment, kong.settings) = kongs.partition(|(key, _)| is_variable(key));
        kong.prefix = self.prefix.into_iter().map(|(key, (value, _))| (key, value)).collect();
        if self.wrongs.is_empty() { Ok(Situation { tree, server, kong }) } else { Err(self.wrongs) }
    }

    /// The values of Kong's settings that name files, wherever they are set.
    fn values_with_files(&self) -> Vec<(String, Vec<Segment>)> {
        let set = KONG_FILE_KEYS.iter().flat_map(|key| {
            [self.kong.get(*key), self.kong.get(&variable(key)), self.prefix.get(*key)].into_iter().flatten()
        });
        set.cloned().collect()
    }

    fn check_certificate(&mut self, proxy: &Proxy, path: Vec<Segment>) {
        let has = |name: &&String| self.tree.as_ref().is_some_and(|tree| tree.has_certificate(name));
        if let Some(missing) = proxy.with.as_ref().filter(|name| !has(name)) {
            let message = format!("no certificate of this case is called `{missing}`");
            let files = self.tree.as_ref().map(|tree| tree.files().join(", ")).unwrap_or_default();
            let help = format!("the tree makes {files}");
            self.wrongs.push(Wrong { path, target: Target::Value, message, help });
        }
    }

    /// The files that the server looks for: those its settings name, those in the folder that one of them names, and
    /// where TLS is on the two default names.
    fn server_files(&self) -> Vec<(String, Vec<Segment>)> {
        let folder = self.conf.get("ssl_crl_dir").map(|(folder, _)| format!("{folder}/"));
        let is_inside = |name: &str| folder.as_ref().is_some_and(|folder| name.starts_with(folder));
        let inside = self.files.iter().filter(|(name, _)| is_inside(name));
        let mut files: Vec<_> = inside.map(|(name, (_, path))| (name.clone(), path.clone())).collect();
        let tls = self.conf.get("ssl").is_some_and(|(value, _)| value == "on");
        for (key, default) in POSTGRES_FILE_KEYS {
            match (self.conf.get(*key), default) {
                (Some((name, path)), _) if !name.is_empty() => files.push((name.clone(), path.clone())),
                (None, Some(name)) if tls || self.files.contains_key(*name) => {
                    let path = self.files.get(*name).map(|(_, path)| path.clone());
                    let ssl = self.conf.get("ssl").map(|(_, path)| path.clone());
                    files.push(((*name).to_owned(), path.or(ssl).unwrap_or_default()));
                }
                _ => {}
            }
        }
        files
    }

    /// What becomes of a file that a setting names; nothing, if nothing makes it.
    fn planned(&mut self, tree: &Tree, name: &str, named_at: &[Segment]) -> Option<Planned> {
        if !is_file_name(name) {
            self.wrongs.push(Wrong {
                path: named_at.to_vec(),
                target: Target::Value,
                message: format!("`{name}` is no name for a file of a case"),
                help: "expected letters, digits, `.`, `_`, `@` and `-`, and no way out of the folder".into(),
            });
            return None;
        }
        let (spec, path) =
            self.files.get(name).cloned().map_or((None, named_at.to_vec()), |(spec, at)| (Some(spec), at));
        let itself = || FileDetails { of: Some(vec![name.to_owned()]), ..FileDetails::default() };
        let details = match spec {
            None => itself(),
            Some(FileSpec::One(word)) if word == "absent" => return Some(Planned::Absent),
            Some(FileSpec::One(other)) => FileDetails { of: Some(vec![other.clone()]), ..FileDetails::default() },
            Some(FileSpec::Several(parts)) => FileDetails { of: Some(parts.clone()), ..FileDetails::default() },
            Some(FileSpec::Detailed(details)) => details.clone(),
        };
        let content = match (details.text, details.of) {
            (Some(text), of) => Content::Text(text, of.unwrap_or_default()),
            (None, of) => {
                Content::Artifacts(of.unwrap_or_else(|| vec![name.to_owned()]), details.format.unwrap_or_default())
            }
        };
        let (Content::Artifacts(parts, _) | Content::Text(_, parts)) = &content;
        let unknown: Vec<_> = parts.iter().filter(|part| tree.artifact(part).is_none()).collect();
        for part in &unknown {
            self.wrongs.push(Wrong {
                path: path.clone(),
                target: Target::Value,
                message: format!("no certificate of this case makes the file `{part}`"),
                help: format!("the tree makes {}", tree.files().join(", ")),
            });
        }
        if !unknown.is_empty() {
            return None;
        }
        let owner = details.owner.unwrap_or(Owner::DatabaseUser);
        let mode = details.mode.and_then(|mode| u32::from_str_radix(&mode, 8).ok()).unwrap_or(0o600);
        Some(Planned::Made(PlannedFile { content, mode, owner, group: details.group.unwrap_or(owner) }))
    }
}

/// Names go into folders of the run and into a shell's command line on the server.
fn is_file_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    name.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_plain))
}
