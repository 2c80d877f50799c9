//! PostgreSQL's own client library, through psql: a child process that stays for as long as its connection does.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kong_pg_client::Stage;
use kong_pg_client::{Refusal, Settings, combine};
use kong_pg_scenarios::vocabulary::TlsVersion;
use postgres_tls_server::folders_of_binaries;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{
    Attempt, Client, ClientError, ClientOptions, Established, Open, Repeater, Task, Tuning, Unavailable, translate,
};
use crate::leaks::{Trace, Traces};

/// How long psql may take to end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The first libpq with a parameter (`sslsni`) to send no server name.
const OLDEST: u16 = 14;

/// libpq's error if the server answers `N`.
const NO_TLS: &str = "server does not support SSL, but SSL was required";

/// An installed psql.
pub(super) struct Psql {
    program: PathBuf,
    version: String,
    folder: PathBuf,
    traces: Arc<Traces>,
}

impl Psql {
    /// The newest psql of this machine.
    pub(super) async fn find(needs: &ClientOptions) -> Result<Self, Unavailable> {
        let folder = needs
            .run
            .private("libpq")
            .map_err(|source| Unavailable::Io { what: "no folder for psql".into(), source })?;
        let mut newest = None;
        for candidate in folders_of_binaries() {
            let program = candidate.join("psql");
            let Some((major, version)) = version(&program).await else { continue };
            if newest.as_ref().is_none_or(|(known, _)| major > *known) {
                let (folder, traces) = (folder.clone(), needs.traces.clone());
                newest = Some((major, Self { program, version, folder, traces }));
            }
        }
        match newest {
            Some((OLDEST.., psql)) => Ok(psql),
            Some((_, psql)) => Err(Unavailable::missing(format!("{} is older than PostgreSQL {OLDEST}", psql.version))),
            None => Err(Unavailable::missing("there is no psql here; install Debian's package postgresql-client")),
        }
    }

    /// What psql and libpq take for a connection, with a mode for TLS.
    fn parameters(task: &Task, mode: &str, folder: &Path) -> Result<String, ClientError> {
        let settings = &task.settings;
        let mut parameters = vec![
            ("host", settings.host.clone()),
            ("port", settings.port.to_string()),
            ("user", settings.user.clone()),
            ("dbname", settings.database.clone()),
            // In seconds; libpq reads 1 as 2.
            ("connect_timeout", settings.timeout_ms.div_ceil(1000).to_string()),
            ("gssencmode", "disable".into()),
            ("sslmode", mode.into()),
        ];
        if mode != "disable" {
            parameters.extend(tls(task, folder)?);
        }
        let quoted =
            |(name, value): (&str, String)| format!("{name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
        Ok(parameters.into_iter().map(quoted).collect::<Vec<_>>().join(" "))
    }

    /// Starts psql.
    fn spawn(&self, task: &Task, parameters: &str, folder: &Path) -> Result<Child, ClientError> {
        let trace = Trace::of_folder(folder.to_owned());
        let mut command = Command::new(&self.program);
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password", "--dbname"]);
        command.arg(parameters);
        // Nothing of the caller's PostgreSQL or OpenSSL settings may leak into it.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("HOME", folder);
        command.env("OPENSSL_CONF", folder.join("openssl.cnf"));
        let (variable, value) = trace.environment();
        command.env(variable, value);
        if let Some(password) = &task.settings.password {
            command.env("PGPASSWORD", password);
        }
        // A group of its own: Ctrl-C is for us.
        command.process_group(0).kill_on_drop(true).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| ClientError::environment("start psql", error))?;
        self.traces.uses(&task.cell, trace.from_the_start(child.id()));
        Ok(child)
    }

    async fn attempt(&self, task: &Task, mode: &str) -> Result<Result<Session, Refusal>, ClientError> {
        let failed = |error| ClientError::environment("write libpq's files", error);
        let folder = tempfile::Builder::new().prefix("libpq-").tempdir_in(&self.folder).map_err(failed)?;
        let conf = translate::openssl_conf(task.settings.security_level);
        translate::write(folder.path(), "openssl.cnf", conf.as_bytes()).map_err(failed)?;
        let parameters = Self::parameters(task, mode, folder.path())?;
        let mut child = self.spawn(task, &parameters, folder.path())?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ClientError::environment("talk to psql", "it has no pipes"));
        };
        let lines = BufReader::new(stdout).lines();
        let mut session = Session { child, stdin, lines, parameters, pid: 0, _folder: folder };
        Ok(match session.begin().await {
            Ok(()) => Ok(session),
            Err(refusal) => Err(refusal),
        })
    }
}

/// What comes closest to Kong's settings.
fn mode(settings: &Settings) -> &'static str {
    match (settings.ssl, settings.ssl_verify) {
        (false, _) => "disable",
        (true, false) => "require",
        (true, true) => "verify-ca",
    }
}

#[async_trait]
impl Client for Psql {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let settings = &task.settings;
        let mode = mode(settings);
        let mut connections = 0;
        let mut result = self.attempt(task, mode).await?;
        connections += usize::from(result.as_ref().map_or_else(reached, |_| true));
        // libpq has no mode that continues in plaintext after `N` and after nothing else: `prefer` also does when a
        // handshake fails, or a login. So it is asked twice.
        let refused_for = |text: &str| result.as_ref().is_err_and(|refusal| refusal.text.ends_with(text));
        if settings.ssl && !settings.ssl_required && refused_for(NO_TLS) {
            result = self.attempt(task, "disable").await?;
            connections += usize::from(result.as_ref().map_or_else(reached, |_| true));
        }
        let result = result.map(|session| Established::open(session.pid, session));
        Ok(Attempt { result, connections: Some(connections), certificate: None })
    }

    async fn repeater(&self, task: &Task, tuning: Tuning) -> Result<Box<dyn Repeater>, ClientError> {
        if tuning != Tuning::default() {
            return Err(ClientError::Unsupported("psql is not configured for it".into()));
        }
        let began = self.attempt(task, mode(&task.settings)).await?;
        let session = began.map_err(|refusal| ClientError::environment("connect with psql", refusal.text))?;
        Ok(Box::new(Reconnecting(session)))
    }

    fn about(&self) -> String {
        format!("{} ({})", self.version, self.program.display())
    }

    /// Its own limit is in whole seconds, two at least.
    fn patience(&self) -> Duration {
        Duration::from_secs(4)
    }
}

async fn version(program: &Path) -> Option<(u16, String)> {
    // Debian's program of the same name is a wrapper that looks for this one.
    if program.canonicalize().ok()?.file_name()? != "psql" {
        return None;
    }
    let output = Command::new(program).arg("--version").env_clear().output().await.ok()?;
    // `psql (PostgreSQL) 15.18 (Debian ...)`
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let major = text.split_whitespace().nth(2)?.split('.').next()?.parse().ok()?;
    Some((major, text))
}

/// The parameters of a connection that asks for TLS.
fn tls(task: &Task, folder: &Path) -> Result<Vec<(&'static str, String)>, ClientError> {
    let failed = |error| ClientError::environment("write libpq's files", error);
    let settings = &task.settings;
    let mut parameters = versions(&translate::offered(&task.settings, &task.profile, task.stack)?)?;
    parameters.push(("sslsni", "0".into()));
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    if settings.ssl_verify {
        // Without a trusted file, a missing one makes libpq refuse every certificate.
        let trusted = combine(settings).ok().flatten().unwrap_or_else(|| folder.join("missing.crt"));
        parameters.push(("sslrootcert", text(trusted)));
    }
    for (parameter, path) in [("sslcert", &settings.ssl_cert), ("sslkey", &settings.ssl_cert_key)] {
        let Some(path) = path else { continue };
        // libpq looks at a key's permissions, which Kong does not.
        let copy = match translate::read(path)? {
            Some(content) => translate::write(folder, parameter, &content).map_err(failed)?,
            None => path.clone(),
        };
        parameters.push((parameter, text(copy)));
    }
    Ok(parameters)
}

/// libpq takes a range.
fn versions(offered: &[TlsVersion]) -> Result<Vec<(&'static str, String)>, ClientError> {
    let (Some(first), Some(last)) = (offered.first(), offered.last()) else { return Ok(Vec::new()) };
    if *last as usize - *first as usize + 1 != offered.len() {
        let names: Vec<_> = offered.iter().map(|version| version.as_str()).collect();
        return Err(ClientError::Unsupported(format!(
            "libpq offers a range of versions, and {} is not one",
            names.join(" ")
        )));
    }
    let name = |version: &TlsVersion| version.as_str().to_owned();
    Ok(vec![("ssl_min_protocol_version", name(first)), ("ssl_max_protocol_version", name(last))])
}

/// Whether the attempt reached the server.
fn reached(refusal: &Refusal) -> bool {
    refusal.stage != Stage::Connect
}

/// A running psql.
struct Session {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Of its connection.
    parameters: String,
    pid: i32,
    _folder: TempDir,
}

impl Session {
    async fn begin(&mut self) -> Result<(), Refusal> {
        let pid = self.ask("SELECT pg_backend_pid();\n").await?;
        self.pid = pid.parse().unwrap_or_default();
        self.ask("SHOW server_version_num;\n").await.map(drop)
    }

    async fn ask(&mut self, question: &str) -> Result<String, Refusal> {
        // If psql cannot read it, its error is reported below.
        let _ = self.stdin.write_all(question.as_bytes()).await;
        match self.lines.next_line().await {
            Ok(Some(answer)) => Ok(answer),
            _ => Err(self.ended().await),
        }
    }

    /// psql's error, once it has ended.
    async fn ended(&mut self) -> Refusal {
        let mut output = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // Output that is not UTF-8 is kept up to there.
            let _ = stderr.read_to_string(&mut output).await;
        }
        refusal(output.trim())
    }
}

/// psql's error, without the program's name and the server's address.
fn refusal(output: &str) -> Refusal {
    let text = output.strip_prefix("psql: error: ").unwrap_or(output);
    let of_connection = text.strip_prefix("connection to server at ").and_then(|rest| rest.split_once(" failed: "));
    let text = of_connection.map_or(text, |(_, why)| why);
    let stage = match of_connection {
        None => Stage::Connect,
        Some((_, why)) if why.starts_with("Connection refused") => Stage::Connect,
        Some((_, why)) if why.starts_with("FATAL:  ") => Stage::Auth,
        Some(_) => Stage::Handshake,
    };
    Refusal::in_other_words(stage, text)
}

#[async_trait]
impl Open for Session {
    async fn ask_again(&mut self) -> Result<(), Refusal> {
        self.ask("SHOW server_version_num;\n").await.map(drop)
    }

    async fn close(self: Box<Self>) {
        let Self { mut child, stdin, .. } = *self;
        drop(stdin);
        // It is killed if it does not end.
        let _ = tokio::time::timeout(END_LIMIT, child.wait()).await;
    }
}

/// A psql that stays, so that its start is no part of its connections.
struct Reconnecting(Session);

#[async_trait]
impl Repeater for Reconnecting {
    async fn connect(&mut self) -> Result<i32, Refusal> {
        let escaped = self.0.parameters.replace('\\', "\\\\").replace('\'', "\\'");
        // psql closes the connection before once it has this one.
        let question = format!("\\connect -reuse-previous=off '{escaped}'\nSELECT pg_backend_pid();\n");
        let pid = self.0.ask(&question).await?;
        Ok(pid.parse().unwrap_or_default())
    }

    async fn disconnect(&mut self) -> bool {
        false
    }

    fn processes(&self) -> Vec<i32> {
        self.0.child.id().and_then(|id| id.try_into().ok()).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "psql: error: connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  no pg_hba.conf entry",
        Stage::Auth,
        "FATAL:  no pg_hba.conf entry"
    )]
    #[case(
        "psql: error: connection to server at \"127.0.0.1\", port 5432 failed: SSL error: certificate verify failed",
        Stage::Handshake,
        "SSL error: certificate verify failed"
    )]
    #[case("psql: error: invalid sslmode value", Stage::Connect, "invalid sslmode value")]
    fn an_error_of_psql_is_kept_without_its_prefix(#[case] output: &str, #[case] stage: Stage, #[case] text: &str) {
        let refusal = refusal(output);
        assert_eq!((refusal.stage, refusal.text.as_str()), (stage, text));
    }

    #[test]
    fn versions_with_a_gap_are_no_range() {
        let named = |parameters: Vec<(&'static str, String)>| parameters.into_iter().map(|(_, value)| value);
        let range = versions(&[TlsVersion::V1_2, TlsVersion::V1_3]).expect("a range");
        assert_eq!(named(range).collect::<Vec<_>>(), ["TLSv1.2", "TLSv1.3"]);
        assert!(versions(&[TlsVersion::V1_1, TlsVersion::V1_3]).is_err());
    }
}
