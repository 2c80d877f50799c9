//! What the server has configured, and what of it does not fit Kong.

use serde::Serialize;

use super::super::configuration::Configuration;
use super::super::fault::{Fault, Place};
use super::super::rules;
use super::super::server::{HbaLine, PostgresqlConf, Server};
use super::Plan;
use super::superuser::{Row, Superuser, SuperuserError};

/// The server's side.
#[derive(Debug, Default, Serialize)]
pub struct ServerSide {
    /// `18.6`
    pub version: String,
    /// Settings that bear on TLS and on logins.
    pub settings: Vec<ServerSetting>,
    /// The rules of pg_hba.conf, in force or not.
    pub rules: Vec<Rule>,
    /// Kong's role, in words.
    pub role: Option<String>,
    /// What this superuser may not see, or what is not there.
    pub unseen: Vec<String>,
    /// What does not fit Kong.
    #[serde(skip)]
    pub faults: Vec<Fault>,
}

/// A setting of the server, as it is in force.
#[derive(Debug, Serialize)]
pub struct ServerSetting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Where it is written, if it is.
    pub place: Option<String>,
    /// Whether the file has another value, which waits for a restart.
    pub pending_restart: bool,
}

/// A rule of pg_hba.conf.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// `/etc/postgresql/18/main/pg_hba.conf:3`
    pub place: String,
    /// The line.
    pub line: String,
    /// Why the server does not take it.
    pub error: Option<String>,
}

/// Reads the server's side. What only a superuser may see is named if the role is not one, and the rest is read.
pub(super) async fn read(superuser: &Superuser, plan: &Plan) -> Result<ServerSide, SuperuserError> {
    let number = superuser.version_number().await?;
    let mut side = ServerSide {
        version: superuser.value("SHOW server_version").await?.unwrap_or_default(),
        ..ServerSide::default()
    };
    let settings = superuser.settings().await?;
    side.settings = settings.iter().filter_map(setting).collect();
    let rules = match superuser.rules(number).await {
        Ok(rules) => Some(rules),
        Err(error) => {
            side.unseen.push(format!("pg_hba.conf: {error}"));
            None
        }
    };
    side.rules = rules.iter().flatten().filter_map(rule).collect();
    match superuser.role(&plan.settings.user).await {
        Ok(Some(role)) => side.role = Some(role),
        Ok(None) => side.role = Some("does not exist".into()),
        Err(error) => side.unseen.push(format!("the role {}: {error}", plan.settings.user)),
    }
    if let Some(kong) = &plan.kong {
        let major = u16::try_from(number / 10_000).unwrap_or_default();
        side.faults = faults(kong, &settings, rules.as_deref(), major);
    }
    Ok(side)
}

fn setting(row: &Row) -> Option<ServerSetting> {
    let [Some(name), Some(value), file, line, pending] = &row[..] else { return None };
    let place = file.as_ref().map(|file| place(file, line.as_deref()).to_string());
    let pending_restart = pending.as_deref() == Some("t");
    Some(ServerSetting { name: name.clone(), value: value.clone(), place, pending_restart })
}

fn rule(row: &Row) -> Option<Rule> {
    let [number, line, error, file] = &row[..] else { return None };
    let place = place(file.as_deref().unwrap_or("pg_hba.conf"), number.as_deref()).to_string();
    Some(Rule { place, line: line.clone().unwrap_or_default(), error: error.clone() })
}

fn place(file: &str, line: Option<&str>) -> Place {
    let line = line.and_then(|line| line.parse().ok());
    line.map_or_else(|| Place::file(file), |line| Place::line(file, line))
}

/// What does not fit Kong. The server's files are on its own machine, and are not looked at.
fn faults(kong: &Configuration, settings: &[Row], rules: Option<&[Row]>, major: u16) -> Vec<Fault> {
    let conf = settings.iter().filter_map(|row| match &row[..] {
        [Some(name), Some(value), file, line, _] => {
            let place = place(file.as_deref().unwrap_or("the server's settings"), line.as_deref());
            Some((name.clone(), value.clone(), place))
        }
        _ => None,
    });
    let hba = rules.map(|rules| {
        let line = |row: &Row| {
            let [number, Some(line), None, file] = &row[..] else { return None };
            let place = place(file.as_deref().unwrap_or("pg_hba.conf"), number.as_deref());
            Some(HbaLine::of_rule(place, line, major))
        };
        let file = rules.iter().find_map(|row| row.last()?.clone()).unwrap_or_else(|| "pg_hba.conf".into());
        (file, rules.iter().filter_map(line).collect())
    });
    let server = Server { conf: Some(PostgresqlConf::in_force(conf)), hba, ident: None, major };
    rules::check_in_force(kong, &server)
}
