//! A stranger's client: a program that speaks the protocol of `docs/client-protocol.md`.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::{Attempt, Client, ClientError, Connection, Established, Open, Task, translate};
use kong_pg_client::Stage;
use kong_pg_client::{Refusal, combine};

/// How long it may take to answer where nothing has to be reached.
const LIMIT: Duration = Duration::from_secs(10);

/// How much of its log is kept.
const LOG_LINES: usize = 10;

/// A program that has shown that it knows the protocol.
pub(super) struct Program {
    command: String,
    /// Processes of it that wait for a cell.
    idle: Arc<Mutex<Vec<Process>>>,
}

impl Program {
    /// Starts it, and asks for something that nobody knows.
    pub(super) async fn probe(command: Option<&str>) -> Result<Self, String> {
        let command =
            command.ok_or("name one with --client-command PROGRAM; docs/client-protocol.md says how it is asked")?;
        let mut process = Process::start(command)?;
        let answer = process.ask(&json!({ "kind": "probe" }), LIMIT).await?;
        match answer {
            Answer::Unsupported { .. } => {
                let idle = Arc::new(Mutex::new(vec![process]));
                Ok(Self { command: command.to_owned(), idle })
            }
            _ => Err(format!("{command} does not answer `unsupported` to a kind of line that it cannot know")),
        }
    }

    fn process(&self) -> Result<Process, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Process::start(&self.command), Ok)
    }
}

#[async_trait]
impl Client for Program {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let mut process = self.process().map_err(ClientError::Fault)?;
        // Whoever waits for the attempt has a limit of his own.
        let answer = process.ask(&cell(task)?, Duration::MAX).await.map_err(ClientError::Fault)?;
        let again = |process| self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        Ok(match answer {
            Answer::Unsupported { reason } => {
                again(process);
                let reason = reason.unwrap_or_else(|| "it does not say why".into());
                return Err(ClientError::Unsupported(format!("{} cannot: {reason}", self.command)));
            }
            Answer::Refused { error } => {
                again(process);
                let result = Err(Refusal::in_other_words(Stage::Handshake, &error));
                Attempt { result, connections: None, certificate: None }
            }
            Answer::Connected { pid, tls, .. } => {
                let open = Box::new(Session { process, idle: self.idle.clone() });
                let claimed_tls = Some(tls.unwrap_or_else(|| "off".into()));
                let connection = Connection { pid: pid.unwrap_or_default(), claimed_tls, open };
                Attempt { result: Ok(Established::Open(connection)), connections: Some(1), certificate: None }
            }
            Answer::Closed => {
                return Err(ClientError::Fault(format!("{} answers `closed` to a cell", self.command)));
            }
        })
    }

    fn about(&self) -> String {
        self.command.clone()
    }
}

/// What a line says of a cell.
fn cell(task: &Task) -> Result<Value, ClientError> {
    let settings = &task.settings;
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    // Without TLS the versions are of no interest, whatever they are.
    let versions = if settings.ssl { translate::offered(task)? } else { Vec::new() };
    // Where Kong would stop at a file, the program is told of none.
    let trusted = combine(settings).ok().flatten();
    let kong: serde_json::Map<_, _> = task.conf.all().map(|(key, value, _)| (key.to_owned(), value.into())).collect();
    Ok(json!({
        "kind": "connect",
        "cell": task.cell,
        "stack": task.stack,
        "kong": kong,
        "host": settings.host,
        "port": settings.port,
        "user": settings.user,
        "password": settings.password,
        "database": settings.database,
        "timeout_ms": settings.timeout_ms,
        "tls": settings.ssl,
        "tls_required": settings.ssl_required,
        "tls_verify": settings.ssl_verify,
        "tls_versions": versions.iter().map(|version| version.as_str()).collect::<Vec<_>>(),
        "trusted": path(&trusted),
        "verify_depth": settings.verify_depth(),
        "certificate": path(&settings.ssl_cert),
        "key": path(&settings.ssl_cert_key),
    }))
}

/// What the program may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Answer {
    Connected {
        pid: Option<i32>,
        /// That there is an answer is what counts.
        #[serde(rename = "server_version_num")]
        _answer: String,
        tls: Option<String>,
    },
    Refused {
        error: String,
    },
    Unsupported {
        reason: Option<String>,
    },
    Closed,
}

/// The last lines of a log.
type Log = Arc<Mutex<VecDeque<String>>>;

/// A running program.
struct Process {
    command: String,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    log: Log,
    /// Reads the log, to its end.
    reader: JoinHandle<()>,
}

impl Process {
    fn start(command: &str) -> Result<Self, String> {
        let mut words = command.split_whitespace();
        let mut program = Command::new(words.next().unwrap_or_default());
        program.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C is for us.
        program.process_group(0).kill_on_drop(true);
        let mut child = program.spawn().map_err(|error| format!("{command} does not start: {error}"))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(format!("{command} has no pipes"));
        };
        let log = Log::default();
        let keep = log.clone();
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = keep.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_back(line);
                if log.len() > LOG_LINES {
                    log.pop_front();
                }
            }
        });
        Ok(Self { command: command.to_owned(), child, stdin, lines: BufReader::new(stdout).lines(), log, reader })
    }

    /// Has it answer a line with one.
    async fn ask(&mut self, line: &Value, limit: Duration) -> Result<Answer, String> {
        // What keeps it from listening shows when it does not answer.
        let _ = self.stdin.write_all(format!("{line}\n").as_bytes()).await;
        let said = match tokio::time::timeout(limit, self.lines.next_line()).await {
            Err(_) => return Err(self.fault(&format!("does not answer within {} s", limit.as_secs()))),
            Ok(Err(error)) => return Err(self.fault(&format!("answers with what is no text ({error})"))),
            Ok(Ok(None)) => {
                let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
                let how =
                    ended.ok().and_then(Result::ok).map_or_else(|| "and runs on".into(), |ended| ended.to_string());
                // What it said last may still be on its way.
                if !self.reader.is_finished() {
                    let _ = tokio::time::timeout(LIMIT, &mut self.reader).await;
                }
                return Err(self.fault(&format!("ends without an answer ({how})")));
            }
            Ok(Ok(Some(said))) => said,
        };
        serde_json::from_str(&said).map_err(|error| {
            let shown: String = said.chars().take(200).collect();
            self.fault(&format!("does not answer as docs/client-protocol.md says ({error}): {shown}"))
        })
    }

    /// What is wrong with it, and the end of its log.
    fn fault(&self, what: &str) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log: String = log.iter().map(|line| format!("\n    {line}")).collect();
        format!("{} {what}{log}", self.command)
    }
}

/// A connection that it says it has.
struct Session {
    process: Process,
    idle: Arc<Mutex<Vec<Process>>>,
}

#[async_trait]
impl Open for Session {
    async fn ask_again(&mut self) -> Result<(), Refusal> {
        match self.process.ask(&json!({ "kind": "again" }), LIMIT).await {
            Ok(Answer::Connected { .. }) => Ok(()),
            Ok(_) => Err(Refusal::in_other_words(Stage::Query, "the connection is broken")),
            Err(fault) => Err(Refusal::in_other_words(Stage::Query, &fault)),
        }
    }

    async fn close(self: Box<Self>) {
        let Self { mut process, idle } = *self;
        // One that does not do as it is told is not asked again; it ends here.
        if let Ok(Answer::Closed) = process.ask(&json!({ "kind": "close" }), LIMIT).await {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
    }
}
