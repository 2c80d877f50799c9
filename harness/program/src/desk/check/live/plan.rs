//! How Kong would connect, from its configuration.

use std::path::PathBuf;
use std::time::Duration;

use kong_pg_client::conf::{FILE_KEYS, KongConf, variable};
use kong_pg_client::{ConnectionRole, Profile, Settings};

use super::super::configuration::{Configuration, Value};
use super::super::{InputError, Request, kongs as check_kongs};
use super::log::Log;
use super::superuser::{Dsn, SuperuserError};

/// Where to connect, if not where the configuration says, and when to give up.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Host, instead of pg_host.
    pub host: Option<String>,
    /// Port, instead of pg_port.
    pub port: Option<u16>,
    /// The server's log, to show its lines about the attempts.
    pub log: Option<PathBuf>,
    /// The connection string of a superuser, to see the server's side.
    pub superuser: Option<String>,
    /// How long each step may take, instead of pg_timeout or 10 s.
    pub limit: Option<Duration>,
}

/// Why there is nothing to connect with.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Kong keeps its configuration elsewhere.
    #[error("this Kong does not use PostgreSQL: database = {0}")]
    NoPostgres(String),
    /// Kong would stop before it connects.
    #[error("Kong stops before it connects: {0}")]
    Refused(String),
    /// The server's log cannot be read.
    #[error("cannot read the log {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The superuser's connection string is invalid.
    #[error(transparent)]
    Superuser(#[from] SuperuserError),
    /// There is no folder for the files that Kong writes at its start.
    #[error("no folder for Kong's own files: {0}")]
    Folder(#[from] std::io::Error),
}

/// What is going to be done.
pub struct Plan {
    /// How Kong connects.
    pub settings: Settings,
    /// The release.
    pub profile: Profile,
    /// How long each step may take.
    pub limit: Duration,
    /// The container whose settings these are.
    pub label: Option<String>,
    /// Whether the password is set, and not known here.
    pub password_elsewhere: bool,
    /// The server's log.
    pub(super) log: Option<Log>,
    /// How a superuser connects.
    pub(super) superuser: Option<Dsn>,
    /// Kong's configuration, if there is one.
    pub(super) kong: Option<Configuration>,
    /// The prefix, which goes with it.
    _prefix: tempfile::TempDir,
}

/// Works out how Kong would connect.
///
/// # Errors
/// The configuration cannot be read, or Kong would stop at it.
pub fn plan(request: &Request, overrides: &Overrides) -> Result<Plan, LiveError> {
    let (_, kongs, _) = check_kongs(request)?;
    let other = kongs.first().map(|kong| kong.text("database").unwrap_or_default().to_owned());
    // Of several containers, such as one for the migrations and one for Kong itself, the first stands for all.
    let of_plan = kongs.into_iter().find(Configuration::uses_postgres);
    let kong = of_plan.as_ref();
    let conf = match (kong, other) {
        (Some(kong), _) => conf(kong),
        (None, Some(other)) => return Err(LiveError::NoPostgres(other)),
        (None, None) if overrides.host.is_some() => KongConf::default(),
        (None, None) => return Err(InputError::Nothing.into()),
    };
    let prefix = tempfile::tempdir()?;
    let profile = request.profile.clone();
    let server = ("127.0.0.1", 5432);
    let mut settings = Settings::read(&conf, &profile, ConnectionRole::Main, server, PathBuf::from(prefix.path()))
        .map_err(|error| LiveError::Refused(error.to_string()))?;
    settings.host = overrides.host.clone().unwrap_or(settings.host);
    settings.port = overrides.port.unwrap_or(settings.port);
    let password_elsewhere =
        kong.and_then(|kong| kong.get("pg_password")).is_some_and(|setting| setting.value == Value::Elsewhere);
    let given = std::env::var("KONG_PG_PASSWORD").ok().filter(|_| password_elsewhere);
    let password_elsewhere = password_elsewhere && given.is_none();
    settings.password = given.or(settings.password);
    let own = conf.get("pg_timeout").map(|_| Duration::from_millis(settings.timeout_ms));
    let limit = overrides.limit.or(own).unwrap_or(Duration::from_secs(10));
    settings.timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let follow = |path: &PathBuf| Log::follow(path).map_err(|source| LiveError::Log { path: path.clone(), source });
    let log = overrides.log.as_ref().map(follow).transpose()?;
    let superuser = overrides.superuser.as_deref().map(Dsn::read).transpose()?;
    let label = kong.and_then(|kong| kong.label.clone());
    Ok(Plan { settings, profile, limit, password_elsewhere, label, log, superuser, kong: of_plan, _prefix: prefix })
}

/// The settings as Kong's client takes them, with the paths of this machine.
fn conf(kong: &Configuration) -> KongConf {
    let here = |key: &str, text: &str| {
        if !FILE_KEYS.contains(&key) || (kong.paths.root.is_none() && kong.paths.mounts.is_empty()) {
            return text.to_owned();
        }
        let path = |entry: &str| match entry.trim() {
            "system" => "system".to_owned(),
            file => kong.paths.resolve(file).display().to_string(),
        };
        text.split(',').map(path).collect::<Vec<_>>().join(",")
    };
    kong.all().fold(KongConf::default(), |conf, setting| match &setting.value {
        Value::Known(text) => conf.with_variable(&variable(&setting.key), &here(&setting.key, text)),
        Value::Elsewhere => conf,
    })
}
