//! Kong's configuration as a release reads it, each setting with the place where it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kong_pg_client::conf::{KongConf, is_on};
use kong_pg_client::{ConnectionRole, Edition, Profile, Settings};

use super::fault::Place;

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// `pg_ssl`.
    pub(super) key: String,
    /// As it is written there: `pg_ssl` or `KONG_PG_SSL`.
    pub(super) name: String,
    /// Its value.
    pub(super) value: Value,
    /// Where.
    pub(super) place: Place,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// It stands there.
    Known(String),
    /// It comes from somewhere else: a Secret, a vault, a variable of the shell.
    Elsewhere,
}

impl Setting {
    /// The value, if it is known and not empty; Kong takes an empty one for none.
    #[must_use]
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Known(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// What one source of settings holds, in the order in which it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    /// What it is, if a file has several: `container proxy of Deployment kong`.
    pub(super) label: Option<String>,
    /// The settings.
    pub(super) settings: Vec<Setting>,
    /// Whether the paths in it are those of a container's file system.
    pub(super) of_container: bool,
    /// Folders and files of this machine that the container has, by their paths there.
    pub(super) mounts: Vec<(String, PathBuf)>,
    /// Faults of the source's own, such as a value that is no string.
    pub(super) faults: Vec<super::fault::Fault>,
}

/// How paths of a configuration are found on this machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    /// The folder that the container's root directory is in.
    pub(super) root: Option<PathBuf>,
    /// Folders and files of this machine that the container has, by their paths there.
    pub(super) mounts: Vec<(String, PathBuf)>,
    /// Whether a path that is not here may well be there, in a container.
    pub(super) of_container: bool,
}

impl Paths {
    /// Where a path leads to.
    #[must_use]
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        if let Some(root) = &self.root {
            return root.join(path.trim_start_matches('/'));
        }
        let inside = |(there, here): &(String, PathBuf)| {
            let below = Path::new(path).strip_prefix(there).ok().filter(|_| here.exists())?;
            Some((there.len(), if below.as_os_str().is_empty() { here.clone() } else { here.join(below) }))
        };
        let mounted = self.mounts.iter().filter_map(inside).max_by_key(|(length, _)| *length);
        mounted.map_or_else(|| PathBuf::from(path), |(_, here)| here)
    }

    /// Whether a file that is not found may be elsewhere.
    #[must_use]
    pub(super) fn is_uncertain(&self, path: &Path) -> bool {
        let mounted = || self.mounts.iter().any(|(_, here)| here.exists() && path.starts_with(here));
        self.of_container && self.root.is_none() && !path.exists() && !mounted()
    }
}

/// Kong's configuration.
#[derive(Debug)]
pub(super) struct Configuration {
    /// What it is, if there are several.
    pub(super) label: Option<String>,
    /// The release that reads it.
    pub(super) profile: Profile,
    /// How its paths are found.
    pub(super) paths: Paths,
    /// Where to put what is wrong because a setting is missing.
    pub(super) place: Place,
    settings: BTreeMap<String, Setting>,
    /// Settings that a later one of the same source replaces.
    pub(super) repeated: Vec<(Setting, Setting)>,
    /// How Kong connects, the release's defaults included.
    pub(super) main: Connection,
    /// The same of the read-only connection, if there is one.
    pub(super) read_only: Option<Connection>,
}

/// How Kong connects, as far as it is about TLS.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// TLS is asked for.
    pub(super) ssl: bool,
    /// TLS is insisted on.
    pub(super) required: bool,
    /// The server's certificate is verified.
    pub(super) verify: bool,
    /// The version that LuaSec speaks.
    pub(super) version: String,
    /// The versions that a cosocket offers.
    pub(super) protocols: String,
    /// How many intermediates a cosocket accepts.
    pub(super) depth: u32,
    /// The security level of the release's OpenSSL.
    pub(super) security_level: u32,
    /// The role.
    pub(super) user: String,
    /// The database.
    pub(super) database: String,
}

impl Configuration {
    /// Puts sources together; later ones replace what earlier ones say.
    #[must_use]
    pub(super) fn new(sources: &[&Source], profile: &Profile, root: Option<&Path>, place: Place) -> Self {
        let mut settings = BTreeMap::<String, Setting>::new();
        let mut repeated = Vec::new();
        for source in sources {
            let mut own = BTreeMap::<String, Setting>::new();
            for setting in &source.settings {
                if let Some(earlier) = own.insert(setting.key.clone(), setting.clone()) {
                    repeated.push((earlier, setting.clone()));
                }
            }
            settings.extend(own);
        }
        let of = |role| Connection::read(&settings, profile, role);
        let main = of(ConnectionRole::Main);
        let has_reader = settings.get("pg_ro_host").is_some_and(|host| host.value != Value::Known(String::new()));
        let read_only = has_reader.then(|| of(ConnectionRole::ReadOnly));
        Self {
            label: sources.last().and_then(|source| source.label.clone()),
            profile: profile.clone(),
            paths: Paths {
                root: root.map(Path::to_owned),
                mounts: sources.iter().flat_map(|source| source.mounts.clone()).collect(),
                of_container: sources.iter().any(|source| source.of_container),
            },
            place,
            settings,
            repeated,
            main,
            read_only,
        }
    }

    /// The setting of that name, if it is there with a value.
    #[must_use]
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key).filter(|setting| setting.value != Value::Known(String::new()))
    }

    /// The value of a setting, if it is there and known.
    #[must_use]
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Setting::text)
    }

    /// All settings.
    pub(super) fn all(&self) -> impl Iterator<Item = &Setting> {
        self.settings.values()
    }

    /// Where a setting is written, or else the whole file.
    #[must_use]
    pub(super) fn place_of(&self, key: &str) -> &Place {
        self.settings.get(key).map_or(&self.place, |setting| &setting.place)
    }

    /// Whether it is the open-source edition.
    #[must_use]
    pub(super) fn is_oss(&self) -> bool {
        self.profile.edition == Edition::Oss
    }

    /// Whether Kong uses PostgreSQL at all.
    #[must_use]
    pub(super) fn uses_postgres(&self) -> bool {
        self.text("database").is_none_or(|database| database == "postgres")
    }

    /// Whether a setting is there, is on, and means something to this edition.
    #[must_use]
    pub(super) fn switches_on(&self, key: &str) -> bool {
        !self.profile.ignores(key) && self.text(key).is_some_and(is_on)
    }
}

impl Connection {
    /// Reads what the release makes of the settings. What Kong would stop at is reported by rules of its own, and left
    /// out here.
    fn read(settings: &BTreeMap<String, Setting>, profile: &Profile, role: ConnectionRole) -> Self {
        const NUMBERS: [&str; 5] = ["pg_port", "pg_timeout", "pg_ro_port", "pg_ro_timeout", "lua_ssl_verify_depth"];
        let bad = |setting: &Setting, text: &str| {
            // The files are looked at elsewhere, and not on this machine's root if they are a container's.
            setting.key == "lua_ssl_trusted_certificate"
                || NUMBERS.contains(&setting.key.as_str()) && text.parse::<u32>().is_err()
                || setting.key.ends_with("ssl_version") && refusal_of_version(text, profile).is_some()
        };
        let known = settings.values().filter_map(|setting| Some((setting, setting.text()?)));
        let conf =
            known.filter(|(setting, text)| !bad(setting, text)).fold(KongConf::default(), |conf, (setting, text)| {
                conf.with_variable(&kong_pg_client::conf::variable(&setting.key), text)
            });
        let read = Settings::read(&conf, profile, role, ("127.0.0.1", 5432), PathBuf::new());
        let read =
            read.or_else(|_| Settings::read(&KongConf::default(), profile, role, ("127.0.0.1", 5432), PathBuf::new()));
        let Ok(settings) = read else { unreachable!("a release can read its own defaults") };
        Self {
            // nginx does not start with one that is not a whole number; a separate rule reports that.
            depth: settings.verify_depth().unwrap_or(u32::MAX),
            ssl: settings.ssl,
            required: settings.ssl_required,
            verify: settings.ssl_verify,
            version: settings.ssl_version,
            protocols: settings.protocols,
            security_level: settings.security_level,
            user: settings.user,
            database: settings.database,
        }
    }
}

/// Kong's error for a value of `pg_ssl_version` that it refuses before it connects.
#[must_use]
pub(super) fn refusal_of_version(value: &str, profile: &Profile) -> Option<String> {
    let conf = KongConf::default().with_variable("KONG_PG_SSL_VERSION", value);
    Settings::read(&conf, profile, ConnectionRole::Main, ("127.0.0.1", 5432), PathBuf::new())
        .err()
        .map(|error| error.to_string())
}
