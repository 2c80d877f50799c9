//! The server's log, line by line, and which connection each line belongs to.
//!
//! A line may be written after the client has gone on; what tells that nothing more is coming is the postmaster,
//! which logs the end of a process after the process has ended.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::control::TlsProof;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The process that wrote it; unknown where the line has no prefix.
    pub pid: Option<i32>,
    /// The line without the prefix: `LOG:  ...`.
    pub text: String,
}

/// The log of a server. Copies of it are the same log.
#[derive(Debug, Clone)]
pub struct LogBook {
    lines: Arc<Mutex<Vec<LogLine>>>,
    /// How many lines there are, and whether the server still writes.
    state: Arc<watch::Sender<(usize, bool)>>,
}

impl Default for LogBook {
    fn default() -> Self {
        Self { lines: Arc::default(), state: Arc::new(watch::Sender::new((0, false))) }
    }
}

impl LogBook {
    fn lock(&self) -> MutexGuard<'_, Vec<LogLine>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server begins to write.
    pub(super) fn open(&self) {
        self.state.send_modify(|(_, open)| *open = true);
    }

    /// The server has ended, and has written everything.
    pub(super) fn close(&self) {
        self.state.send_modify(|(_, open)| *open = false);
    }

    /// Adds a line as the server wrote it.
    pub(super) fn append(&self, line: &str) {
        let mut lines = self.lock();
        let previous = lines.last().and_then(|line| line.pid);
        lines.push(parse(line, previous));
        let count = lines.len();
        drop(lines);
        self.state.send_modify(|(known, _)| *known = count);
    }

    /// How many lines there are.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    /// The lines since a mark.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<LogLine> {
        self.lock().get(mark..).unwrap_or_default().to_vec()
    }

    /// Waits until the lines since a mark have an answer, or the server has ended; `None` if it takes too long.
    pub async fn wait<T>(
        &self,
        mark: usize,
        limit: Duration,
        mut answer: impl FnMut(&[LogLine], bool) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.state.subscribe();
        let waiting = async {
            loop {
                let (_, open) = *state.borrow_and_update();
                if let Some(found) = answer(self.lock().get(mark..).unwrap_or_default(), open) {
                    return Some(found);
                }
                state.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, waiting).await.ok().flatten()
    }
}

/// `[123] LOG:  text`; what has no prefix goes on with the line before it.
fn parse(line: &str, previous: Option<i32>) -> LogLine {
    let prefixed = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match prefixed.and_then(|(pid, text)| Some((pid.parse().ok()?, text))) {
        Some((pid, text)) => LogLine { pid: Some(pid), text: text.to_owned() },
        None => LogLine { pid: previous.filter(|_| line.starts_with('\t')), text: line.to_owned() },
    }
}

/// The processes that were started for connections, in order.
pub(super) fn connections(lines: &[LogLine]) -> Vec<i32> {
    lines.iter().filter_map(|line| started(&line.text)).collect()
}

/// Whether so many connections have begun, and every one that has begun has ended, but for those that stay open.
pub(super) fn are_over(lines: &[LogLine], at_least: usize, open: &[i32]) -> bool {
    let begun = connections(lines);
    let ended: HashSet<_> = lines.iter().filter_map(|line| ended(&line.text)).collect();
    begun.len() >= at_least && begun.iter().all(|pid| ended.contains(pid) || open.contains(pid))
}

/// `forked new backend, pid=1 socket=9`, and since PostgreSQL 18 `forked new client backend, pid=1 socket=9`.
fn started(text: &str) -> Option<i32> {
    let rest = text.strip_prefix("DEBUG:  forked new ")?;
    let rest = rest.strip_prefix("backend, pid=").or_else(|| rest.strip_prefix("client backend, pid="))?;
    rest.split(' ').next()?.parse().ok()
}

/// `server process (PID 1) exited with exit code 0`, and since PostgreSQL 18 `client backend (PID 1) exited ...`.
fn ended(text: &str) -> Option<i32> {
    let (_, rest) = text.split_once(":  ")?;
    let rest = rest.strip_prefix("server process (PID ").or_else(|| rest.strip_prefix("client backend (PID "))?;
    rest.split(')').next()?.parse().ok()
}

/// What a connection is that the server lets in: `connection authorized: user=kong database=kong SSL enabled
/// (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)`.
pub(super) fn authorized(text: &str) -> Option<TlsProof> {
    let rest = text.strip_prefix("LOG:  connection authorized: ")?;
    let Some((_, tls)) = rest.split_once(" SSL enabled (") else { return Some(TlsProof::default()) };
    let value = |name: &str| {
        let (_, value) = tls
            .trim_end_matches(')')
            .split(", ")
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)?;
        Some(value.to_owned())
    };
    Some(TlsProof { version: value("protocol"), cipher: value("cipher"), client_dn: None })
}

/// Whether a line is one that every server or every connection writes, so that no expectation names it.
pub(super) fn is_routine(text: &str) -> bool {
    const ROUTINE: [&str; 13] = [
        "LOG:  connection received: ",
        "LOG:  connection authenticated: ",
        "LOG:  connection authorized: ",
        "LOG:  starting PostgreSQL ",
        "LOG:  listening on ",
        "LOG:  database system was shut down at ",
        "LOG:  database system was interrupted",
        "LOG:  database system is ready to accept connections",
        "LOG:  database system is shut down",
        "LOG:  received SIGHUP, reloading configuration files",
        "LOG:  parameter \"",
        "LOG:  received fast shutdown request",
        "DEBUG:  ",
    ];
    ROUTINE.iter().any(|routine| text.starts_with(routine))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(lines: &[&str]) -> Vec<LogLine> {
        let book = LogBook::default();
        for line in lines {
            book.append(line);
        }
        book.since(0)
    }

    #[test]
    fn a_line_that_goes_on_belongs_to_the_process_that_began_it() {
        let lines = book(&["[12] DETAIL:  one", "\ttwo", "Enter PEM pass phrase:"]);
        assert_eq!(lines.iter().map(|line| line.pid).collect::<Vec<_>>(), [Some(12), Some(12), None]);
    }

    #[test]
    fn a_connection_is_over_when_the_postmaster_says_so() {
        let begun = "[1] DEBUG:  forked new backend, pid=12 socket=9";
        let said = "[12] FATAL:  no pg_hba.conf entry";
        let ended = "[1] DEBUG:  server process (PID 12) exited with exit code 1";
        assert!(!are_over(&book(&[begun, said]), 1, &[]));
        assert!(are_over(&book(&[begun, said, ended]), 1, &[]));
        assert!(!are_over(&book(&[begun, said, ended]), 2, &[]), "a second one has not even begun");
        assert!(!are_over(&book(&[]), 1, &[]));
    }

    #[test]
    fn the_words_of_postgresql_18_are_understood() {
        let begun = "[1] DEBUG:  forked new client backend, pid=12 socket=9";
        let ended = "[1] DEBUG:  client backend (PID 12) exited with exit code 0";
        assert_eq!(connections(&book(&[begun, ended])), [12]);
        assert!(are_over(&book(&[begun, ended]), 1, &[]));
    }

    #[test]
    fn what_a_connection_was_is_in_the_log() {
        let tls = "LOG:  connection authorized: user=kong database=kong SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)";
        let proof = authorized(tls).expect("a proof");
        assert_eq!(
            (proof.version.as_deref(), proof.cipher.as_deref()),
            (Some("TLSv1.3"), Some("TLS_AES_256_GCM_SHA384"))
        );
        assert_eq!(authorized("LOG:  connection authorized: user=kong database=kong"), Some(TlsProof::default()));
        assert_eq!(authorized("LOG:  connection received: host=127.0.0.1 port=1"), None);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_answer_or_with_the_limit() {
        let book = LogBook::default();
        let writer = book.clone();
        tokio::spawn(async move { writer.append("[1] LOG:  here") });
        let found = book.wait(0, Duration::from_secs(5), |lines, _| lines.first().map(|line| line.text.clone())).await;
        assert_eq!(found.as_deref(), Some("LOG:  here"));
        assert_eq!(book.wait(1, Duration::from_millis(10), |lines, _| lines.first().cloned()).await, None);
    }
}
