//! An external client: a program that speaks the protocol of `docs/client-protocol.md`.

use std::collections::VecDeque;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::unavailable::ProgramError;
use super::{Attempt, Client, ClientError, ClientOptions, Connection, Established, Open, Task, Unavailable, translate};
use crate::leaks::{Trace, Traces};
use crate::runfolder::RunFolder;
use kong_pg_client::Stage;
use kong_pg_client::{Refusal, combine};

/// How long an answer may take that needs no connection.
const LIMIT: Duration = Duration::from_secs(10);

/// How long a line of it may be, in bytes.
const LINE: u64 = 1024 * 1024;

/// How much of its log is kept.
const LOG_LINES: usize = 10;

/// A program that has shown that it knows the protocol.
pub(super) struct Program {
    command: String,
    run: Arc<RunFolder>,
    /// Processes of it that wait for a cell.
    idle: Arc<Mutex<Vec<Process>>>,
    traces: Arc<Traces>,
}

impl Program {
    /// Starts the program.
    pub(super) async fn probe(needs: &ClientOptions) -> Result<Self, Unavailable> {
        let ClientOptions { command, run, traces, .. } = needs;
        let missing = "name one with --client-command PROGRAM; docs/client-protocol.md describes the protocol";
        let command = command.as_deref().ok_or_else(|| Unavailable::missing(missing))?;
        let idle = Arc::new(Mutex::new(vec![Process::ready(command, run).await?]));
        Ok(Self { command: command.to_owned(), run: run.clone(), idle, traces: traces.clone() })
    }

    /// A process for a cell.
    async fn process(&self, cell: &str) -> Result<Process, ProgramError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let process = match idle {
            Some(process) => process,
            None => Process::ready(&self.command, &self.run).await?,
        };
        self.traces.uses(cell, process.trace.now(process.child.id()));
        Ok(process)
    }
}

#[async_trait]
impl Client for Program {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let mut process = self.process(&task.cell).await?;
        // The caller limits how long an attempt may take.
        let answer = process.ask(&cell(task)?, Duration::MAX).await?;
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
                return Err(process.fault("answers `closed` to a cell").into());
            }
        })
    }

    fn about(&self) -> String {
        self.command.clone()
    }
}

/// The request for a cell.
fn cell(task: &Task) -> Result<Value, ClientError> {
    let settings = &task.settings;
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    // Without TLS the versions are of no interest, whatever they are.
    let versions =
        if settings.ssl { translate::offered(&task.settings, &task.profile, task.stack)? } else { Vec::new() };
    // A file at which Kong would stop is left out.
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

/// What the program may answer.
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
    trace: Trace,
    child: Child,
    stdin: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: Log,
    /// Reads the log, to its end.
    reader: JoinHandle<()>,
}

impl Process {
    /// Starts the program, and sends a request of a kind that does not exist. Once it has answered, whatever it needs
    /// for itself is there.
    async fn ready(command: &str, run: &RunFolder) -> Result<Self, ProgramError> {
        let mut process = Self::start(command, run)?;
        match process.ask(&json!({ "kind": "probe" }), LIMIT).await? {
            Answer::Unsupported { .. } => Ok(process),
            _ => Err(ProgramError::KnowsEverything(command.to_owned())),
        }
    }

    fn start(command: &str, run: &RunFolder) -> Result<Self, ProgramError> {
        let failed = |source| ProgramError::Start { command: command.to_owned(), source };
        let trace = Trace::new(run).map_err(failed)?;
        let mut words = command.split_whitespace();
        let mut program = Command::new(words.next().unwrap_or_default());
        program.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C is for us.
        program.process_group(0).kill_on_drop(true);
        let (variable, folder) = trace.environment();
        program.env(variable, folder);
        let mut child = program.spawn().map_err(failed)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let log = Log::default();
        let keep = log.clone();
        let reader = tokio::spawn(async move {
            let mut output = BufReader::new(stderr);
            while let Ok(Some(line)) = next_line(&mut output).await {
                let mut log = keep.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_back(line);
                if log.len() > LOG_LINES {
                    log.pop_front();
                }
            }
        });
        Ok(Self { command: command.to_owned(), trace, child, stdin, answers: BufReader::new(stdout), log, reader })
    }

    /// Sends a line and reads the answer, which is one line, too.
    async fn ask(&mut self, line: &Value, limit: Duration) -> Result<Answer, ProgramError> {
        // If it cannot read, it will not answer, which is reported below.
        let _ = self.stdin.write_all(format!("{line}\n").as_bytes()).await;
        let answer = match tokio::time::timeout(limit, next_line(&mut self.answers)).await {
            Err(_) => return Err(self.fault(&format!("does not answer within {} s", limit.as_secs()))),
            Ok(Err(error)) => return Err(self.fault(&format!("does not answer with text ({error})"))),
            Ok(Ok(None)) => {
                let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
                let how =
                    ended.ok().and_then(Result::ok).map_or_else(|| "and runs on".into(), |ended| ended.to_string());
                // The end of its log may not have arrived yet.
                if !self.reader.is_finished() {
                    let _ = tokio::time::timeout(LIMIT, &mut self.reader).await;
                }
                return Err(self.fault(&format!("ends without an answer ({how})")));
            }
            Ok(Ok(Some(answer))) => answer,
        };
        serde_json::from_str(&answer).map_err(|error| {
            let shown: String = answer.chars().take(200).collect();
            self.fault(&format!("does not answer as docs/client-protocol.md says ({error}): {shown}"))
        })
    }

    /// What is wrong with it, and the end of its log.
    fn fault(&self, what: &str) -> ProgramError {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log: String = log.iter().map(|line| format!("\n    {line}")).collect();
        ProgramError::Protocol { command: self.command.clone(), fault: what.to_owned(), log }
    }
}

/// The next line, which may not be without end; nothing, if there is none.
async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if from.take(LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == LINE && !line.ends_with(b"\n") {
        return Err(io::Error::other(format!("a line of it is longer than {} MB", LINE / 1024 / 1024)));
    }
    let line = String::from_utf8(line).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A connection that the program reports.
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
            Err(fault) => Err(Refusal::in_other_words(Stage::Query, &fault.to_string())),
        }
    }

    async fn close(self: Box<Self>) {
        let Self { mut process, idle } = *self;
        // A process that does not follow the protocol is not used again; it ends here.
        if let Ok(Answer::Closed) = process.ask(&json!({ "kind": "close" }), LIMIT).await {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_end_is_an_error_before_it_fills_the_memory() {
        let mut endless = BufReader::new(tokio::io::repeat(b'a'));
        let error = next_line(&mut endless).await.expect_err("no line").to_string();
        assert_eq!(error, "a line of it is longer than 1 MB");
    }

    #[tokio::test]
    async fn lines_end_as_on_any_system() {
        let mut lines = BufReader::new(&b"one\r\ntwo\nthree"[..]);
        for expected in [Some("one"), Some("two"), Some("three"), None] {
            assert_eq!(next_line(&mut lines).await.expect("a line").as_deref(), expected);
        }
    }
}
