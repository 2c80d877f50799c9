//! `check --live`: connects as Kong would, once on each of its stacks, and shows what the server sent.

mod attempts;
mod authorities;
mod json;
mod libpq;
mod log;
mod probe;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use kong_pg_client::conf::{FILE_KEYS, KongConf, variable};
use kong_pg_client::{ConnectionRole, Profile, Settings};

use super::configuration::{Configuration, Value};
use super::{InputError, Request};
use crate::desk::diagnose::{Circumstances, Diagnosis};
use crate::format::CausesFile;

pub use attempts::{Outcome, Stacked};
pub use json::LiveJson;
pub use libpq::Libpq;
pub use probe::{Answer, Sent};
pub use text::{write_announcement, write_result};

/// Where to connect, if not where the configuration says, and when to give up.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Host, instead of pg_host.
    pub host: Option<String>,
    /// Port, instead of pg_port.
    pub port: Option<u16>,
    /// The server's log, to show what it says of the attempts.
    pub log: Option<PathBuf>,
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
    log: Option<log::Log>,
    /// The prefix, which goes with it.
    _prefix: tempfile::TempDir,
}

/// What came of it.
#[derive(Debug)]
pub struct LiveResult {
    /// What the server answers before anybody logs in.
    pub answer: Answer,
    /// The CAs whose certificates the server asks for, if it told.
    pub authorities: Option<Vec<String>>,
    /// The logins.
    pub attempts: Vec<Stacked>,
    /// What the server has logged meanwhile, if its log was named.
    pub log: Option<Vec<String>>,
    /// What libpq makes of the same settings, if psql is here.
    pub libpq: Option<Libpq>,
}

impl LiveResult {
    /// Whether Kong connects on both stacks.
    #[must_use]
    pub fn connects(&self) -> bool {
        self.attempts.len() == 2 && self.attempts.iter().all(|attempt| matches!(attempt.outcome, Outcome::Connected))
    }
}

/// What the texts of both sides mean; nothing, if Kong connects.
#[must_use]
pub fn diagnose(plan: &Plan, result: &LiveResult, causes: &CausesFile) -> Option<Diagnosis> {
    if result.connects() {
        return None;
    }
    let kong = result.attempts.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Refused { text, .. } => Some(text.as_str()),
        Outcome::Hangs => Some("timeout"),
        Outcome::Connected => None,
    });
    let of_the_peer = match &result.answer {
        Answer::Unresolved(_) => Some("host not found"),
        Answer::Unreachable(why) => Some(why.as_str()),
        _ => None,
    };
    let log = result.log.iter().flatten().map(String::as_str);
    let text = kong.chain(of_the_peer).chain(log).collect::<Vec<_>>().join("\n");
    let circumstances = Circumstances { release: Some(plan.profile.clone()), ..Circumstances::default() };
    Some(causes.diagnose(&text, &circumstances))
}

/// Works out how Kong would connect.
///
/// # Errors
/// The configuration cannot be read, or Kong would stop at it.
pub fn plan(request: &Request, overrides: &Overrides) -> Result<Plan, LiveError> {
    let (_, kongs, _) = super::kongs(request)?;
    // Of several containers, such as one for the migrations and one for Kong itself, the first stands for all.
    let kong = kongs.iter().find(|kong| kong.uses_postgres());
    let conf = match (kong, kongs.first()) {
        (Some(kong), _) => conf(kong),
        (None, Some(other)) => {
            return Err(LiveError::NoPostgres(other.text("database").unwrap_or_default().to_owned()));
        }
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
    let follow =
        |path: &PathBuf| log::Log::follow(path).map_err(|source| LiveError::Log { path: path.clone(), source });
    let log = overrides.log.as_ref().map(follow).transpose()?;
    let label = kong.and_then(|kong| kong.label.clone());
    Ok(Plan { settings, profile, limit, password_elsewhere, label, log, _prefix: prefix })
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

/// Connects. Nothing is tried twice, and nothing takes longer than its limit.
pub async fn run(plan: &Plan) -> LiveResult {
    let answer = probe::probe(plan).await;
    if matches!(answer, Answer::Unresolved(_)) {
        return LiveResult { answer, authorities: None, attempts: Vec::new(), log: None, libpq: None };
    }
    let authorities = match &answer {
        Answer::Tls(_) => authorities::ask_for_authorities(plan).await,
        _ => None,
    };
    // What the handshakes before have left there is of no interest.
    let log = match &plan.log {
        Some(log) => Some(log.skip_to_end().await),
        None => None,
    };
    let attempts = attempts::both(plan).await;
    let log = match &log {
        Some(log) => Some(log.since().await),
        None => None,
    };
    let libpq = if matches!(answer, Answer::Unreachable(_)) { None } else { libpq::connect(plan).await };
    LiveResult { answer, authorities, attempts, log, libpq }
}
