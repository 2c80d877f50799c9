//! A server of the user's, measured from where one stands: the same connections, as far as it lets them in.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kong_pg_client::conf::KongConf;
use kong_pg_client::{ConnectionRole, Kong, Profile, Refusal, Settings, SettingsError, Stack, Trusted, TrustedEntry};
use kong_pg_scenarios::vocabulary::ClientKind;
use tokio::net::TcpStream;
use tokio_postgres::config::Host;

use super::cpu::ServerProcesses;
use super::error::BenchError;
use super::estimate::median;
use super::handshake::{Pair, compare, pairs_of};
use super::modes::Subject;
use super::pace::{Pace, Watch};
use super::results::{Handshake, Measurements, NotMeasured};
use crate::client::{Client, ClientError, Clients, KongConfFiles, Task, Tuning};
use crate::runfolder::RunFolder;
use crate::session::ClientRequest;

/// How often the distance is measured.
const PINGS: usize = 5;

/// How long a TCP connection may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A server, and how to log in: libpq's connection string or URI.
#[derive(Clone)]
pub struct Dsn {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
    root: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

/// Without the password.
impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

/// Why a connection string cannot be used. No text has its password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DsnError {
    /// It is invalid.
    #[error(
        "not a connection string of libpq: {0}; one looks like postgresql://kong@db.example.com/kong?sslrootcert=ca.crt"
    )]
    Invalid(String),
    /// It names no host, or a socket.
    #[error("the connection string names no host")]
    NoHost,
    /// A certificate is of no use without its key.
    #[error("sslcert and sslkey are needed both, or neither")]
    HalfACertificate,
}

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        let (mut root, mut certificate, mut key) = (None, None, None);
        // The certificates are not tokio-postgres' to read, and every way to use TLS is measured.
        let mut is_ours = |parameter: &str| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let file = || (!value.is_empty()).then(|| PathBuf::from(value.trim_matches('\'')));
            match name.trim() {
                "sslrootcert" => root = file(),
                "sslcert" => certificate = file(),
                "sslkey" => key = file(),
                "sslmode" | "channel_binding" | "sslnegotiation" => {}
                _ => return false,
            }
            true
        };
        let rest = match text.split_once('?') {
            Some((address, parameters)) if text.contains("://") => {
                let left: Vec<_> = parameters.split('&').filter(|parameter| !is_ours(parameter)).collect();
                if left.is_empty() { address.to_owned() } else { format!("{address}?{}", left.join("&")) }
            }
            None if text.contains("://") => text.to_owned(),
            _ => text.split_whitespace().filter(|parameter| !is_ours(parameter)).collect::<Vec<_>>().join(" "),
        };
        let config: tokio_postgres::Config = rest.parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            DsnError::Invalid(why.unwrap_or_else(|| error.to_string()))
        })?;
        let Some(Host::Tcp(host)) = config.get_hosts().first() else { return Err(DsnError::NoHost) };
        let user = config.get_user().unwrap_or("kong");
        let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        let certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(DsnError::HalfACertificate),
        };
        Ok(Self {
            host: host.clone(),
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: user.to_owned(),
            password: password.or_else(|| std::env::var("PGPASSWORD").ok()),
            database: config.get_dbname().unwrap_or(user).to_owned(),
            root,
            certificate,
        })
    }
}

impl Dsn {
    /// What is going to be done, before anything is.
    #[must_use]
    pub fn announce(&self, pace: &Pace) -> String {
        let Self { host, port, user, database, .. } = self;
        // One in each mode is not counted, and each has one to compare it with.
        let most = self.modes().len() * Subject::all(pace.clients).count() * (pace.pairs + 1) * 2 * pace.rounds;
        format!(
            "connects to {host}:{port} as {user}, database {database}, at most {most} times and one at a time; each \
connection asks for the version, and nothing is written"
        )
    }

    /// The modes, as Kong's settings.
    fn modes(&self) -> Vec<(&'static str, String)> {
        let tls = |version: &str, protocol: &str, verify: &str| {
            format!(
                "pg_ssl = on\npg_ssl_required = on\npg_ssl_version = {version}\nlua_ssl_protocols = {protocol}\npg_ssl_verify = {verify}\n"
            )
        };
        let mut modes = vec![
            ("plaintext", "pg_ssl = off\n".to_owned()),
            ("TLS 1.2", tls("tlsv1_2", "TLSv1.2", "off")),
            ("TLS 1.3", tls("tlsv1_3", "TLSv1.3", "off")),
        ];
        if self.root.is_some() {
            modes.push(("TLS 1.3, verified", tls("tlsv1_3", "TLSv1.3", "on")));
        }
        modes
    }

    fn task(&self, conf: &str, stack: Stack, folder: &RunFolder) -> Result<Task, SettingsError> {
        let profile = Arc::new(Profile::newest().clone());
        let conf = KongConf::read(conf);
        let prefix = folder.path().to_owned();
        let address = (self.host.as_str(), self.port);
        let mut settings = Settings::read(&conf, &profile, ConnectionRole::Main, address, prefix)?;
        settings.user.clone_from(&self.user);
        settings.password.clone_from(&self.password);
        settings.database.clone_from(&self.database);
        settings.trusted = match &self.root {
            Some(root) => Trusted::Combined(vec![TrustedEntry::File(root.clone())]),
            None => Trusted::Nothing,
        };
        if let (true, Some((certificate, key))) = (settings.ssl, &self.certificate) {
            settings.ssl_cert = Some(certificate.clone());
            settings.ssl_cert_key = Some(key.clone());
        }
        let files = KongConfFiles { conf: String::new(), environment: Vec::new(), stale: None };
        Ok(Task { cell: "".into(), conf, files, settings, profile, stack, container: None, pools: false, tap: None })
    }
}

/// A mode with a client, on the way.
struct Row<'c> {
    mode: &'static str,
    subject: Subject,
    client: &'c dyn Client,
    task: Task,
    /// What it is compared with.
    base: Task,
    rounds: Vec<Vec<Pair>>,
}

/// Measures. What the server rejects is noted with the client's text.
///
/// # Errors
/// The server cannot be reached at all, or lets nothing in.
pub async fn measure_server(dsn: &Dsn, pace: &Pace, watch: &mut Watch<'_>) -> Result<Measurements, BenchError> {
    let clock = Instant::now();
    let mut measurements = Measurements::new();
    let folder = Arc::new(RunFolder::create().map_err(BenchError::io("make a folder"))?);
    let mut kinds = pace.clients.to_vec();
    let clients = loop {
        match Clients::ready(&kinds, &ClientRequest::default().options(&folder, false)).await {
            Ok(clients) => break clients,
            Err(error) => {
                kinds.retain(|kind| *kind != error.kind);
                measurements
                    .not_measured
                    .push(NotMeasured { what: format!("the client {}", error.kind), why: error.why.to_string() });
            }
        }
    };
    let done = with_clients(dsn, pace, watch, &clients, &kinds, &folder, &mut measurements).await;
    clients.close().await;
    done?;
    measurements.clients = clients.about().into_iter().map(|(client, about)| (client.to_string(), about)).collect();
    measurements.seconds = clock.elapsed().as_secs();
    Ok(measurements)
}

async fn with_clients(
    dsn: &Dsn,
    pace: &Pace,
    watch: &mut Watch<'_>,
    clients: &Clients,
    kinds: &[ClientKind],
    folder: &RunFolder,
    measurements: &mut Measurements,
) -> Result<(), BenchError> {
    let distance = distance(dsn).await?;
    let (mut rows, mut base, mut major) = (Vec::new(), None, 0);
    for (mode, conf) in dsn.modes() {
        watch.report(&format!("trying {mode}"), 0, 1)?;
        let task = |stack| dsn.task(&conf, stack, folder).map_err(|error| BenchError::Dsn(error.to_string()));
        // Kong says whether the server lets such connections in.
        match version(&task(Stack::Cosocket)?).await {
            Ok(version) => major = version,
            Err(refusal) => {
                measurements.not_measured.push(NotMeasured { what: mode.to_owned(), why: refusal.text });
                continue;
            }
        }
        let (base_mode, base_conf) = base.get_or_insert((mode, conf.clone())).clone();
        if base_mode != "plaintext" && mode == base_mode {
            let why = format!("the ratios are to {base_mode}");
            measurements.not_measured.push(NotMeasured { what: "ratios to plaintext".to_owned(), why });
        }
        for subject in Subject::all(kinds) {
            let base =
                dsn.task(&base_conf, subject.stack, folder).map_err(|error| BenchError::Dsn(error.to_string()))?;
            let client = clients.get(subject.client)?;
            rows.push(Row { mode, subject, client, task: task(subject.stack)?, base, rounds: Vec::new() });
        }
    }
    if rows.is_empty() {
        let why: Vec<_> =
            measurements.not_measured.iter().map(|missing| format!("{}: {}", missing.what, missing.why)).collect();
        return Err(BenchError::Dsn(format!("{}:{} lets nothing in: {}", dsn.host, dsn.port, why.join("; "))));
    }
    let begun = Instant::now();
    for round in 0..pace.rounds {
        let count = rows.len();
        for (place, row) in rows.iter_mut().enumerate() {
            watch.report(&format!("round {}: {} ({})", round + 1, row.mode, row.subject), place, count)?;
            if let Err(why) = row.round(pace.pairs).await {
                measurements.not_measured.push(NotMeasured { what: format!("{} ({})", row.mode, row.subject), why });
            }
        }
        if begun.elapsed() > pace.handshakes {
            break;
        }
    }
    let group = format!("{}:{}", dsn.host, dsn.port);
    measurements.servers.push(format!("PostgreSQL {major} at {group}, a TCP connection takes {distance:.2} ms"));
    measurements.handshakes = rows.iter().filter_map(|row| row.finish(&group, major)).collect();
    measurements.not_measured.sort();
    measurements.not_measured.dedup();
    Ok(())
}

impl Row<'_> {
    async fn round(&mut self, pairs: usize) -> Result<(), String> {
        let failed = |error: ClientError| error.to_string();
        let mut measured = self.client.repeater(&self.task, Tuning::default()).await.map_err(failed)?;
        let mut base = self.client.repeater(&self.base, Tuning::default()).await.map_err(failed)?;
        let mut server = ServerProcesses::elsewhere();
        let taken = pairs_of(&mut *measured, &mut *base, &mut server, pairs).await;
        self.rounds.push(taken.map_err(|refusal| refusal.text)?);
        Ok(())
    }

    fn finish(&self, group: &str, postgres: u16) -> Option<Handshake> {
        Some(Handshake {
            mode: self.mode.to_owned(),
            group: group.to_owned(),
            client: self.subject.to_string(),
            postgres,
            pairs: self.rounds.iter().map(Vec::len).sum(),
            time: compare(&self.rounds, |sample| Some(sample.time))?,
            client_cpu: compare(&self.rounds, |sample| Some(sample.client_cpu)),
            server_cpu: None,
            limit: None,
        })
    }
}

/// How long a TCP connection takes, in milliseconds.
async fn distance(dsn: &Dsn) -> Result<f64, BenchError> {
    let mut times = Vec::new();
    for _ in 0..PINGS {
        let begun = Instant::now();
        let connected = tokio::time::timeout(LIMIT, TcpStream::connect((dsn.host.as_str(), dsn.port))).await;
        connected.unwrap_or_else(|late| Err(late.into())).map_err(BenchError::io("reach the server"))?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(times))
}

/// The server's major version, if it lets such a connection in.
async fn version(task: &Task) -> Result<u16, Refusal> {
    let kong = Kong::start(task.settings.clone(), (*task.profile).clone(), task.stack)?;
    let mut connection = kong.connect().await.result?;
    let version = connection.ask("SHOW server_version_num").await?;
    connection.close().await;
    let number: Option<u32> = version.and_then(|version| version.parse().ok());
    Ok(number.and_then(|number| (number / 10_000).try_into().ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("postgresql://kong:secret@db:6432/gw?sslmode=verify-full&sslrootcert=ca.crt&sslcert=c.crt&sslkey=c.key")]
    #[case(
        "host=db port=6432 user=kong password=secret dbname=gw sslmode=require sslrootcert='ca.crt' sslcert=c.crt sslkey=c.key"
    )]
    fn a_connection_string_is_read_as_libpq_reads_it(#[case] text: &str) {
        let dsn: Dsn = text.parse().expect("a connection string");
        assert_eq!((dsn.host.as_str(), dsn.port, dsn.user.as_str(), dsn.database.as_str()), ("db", 6432, "kong", "gw"));
        assert_eq!(dsn.root.as_deref(), Some("ca.crt".as_ref()));
        assert_eq!(dsn.certificate, Some(("c.crt".into(), "c.key".into())));
        assert!(!dsn.announce(&Pace::QUICK).contains("secret"));
    }

    #[rstest]
    #[case("postgresql:///kong", "names no host")]
    #[case("host=db sslcert=c.crt", "needed both")]
    #[case("host=db port=secret", "not a connection string")]
    fn an_invalid_one_is_rejected_with_the_reason(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<Dsn>().expect_err("an error").to_string();
        assert!(error.contains(expected), "{error}");
    }
}
