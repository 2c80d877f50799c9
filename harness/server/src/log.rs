//! The server's log, line by line, and which connection each line belongs to.
//!
//! A line may be written after the client has gone on. That a connection's lines are complete is known from the
//! postmaster, which logs the end of a process after the process has ended.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The process that wrote it; `None` where the line has no prefix.
    pub pid: Option<i32>,
    /// The line without the prefix: `LOG:  ...`.
    pub text: String,
}

/// The log of a server. A clone is the same log.
#[derive(Debug, Clone)]
pub struct LogBook {
    book: Arc<Mutex<Book>>,
    /// How many lines there are, and whether the server is running.
    state: Arc<watch::Sender<(usize, bool)>>,
}

#[derive(Debug, Default)]
struct Book {
    /// How many lines have been forgotten.
    forgotten: usize,
    /// Those since then.
    lines: Vec<LogLine>,
    /// The process that wrote the last line.
    last: Option<i32>,
    /// The processes that have been started for connections since the server was started. An earlier one may have had
    /// the number that the server itself has now.
    backends: HashSet<i32>,
}

impl Book {
    fn mark(&self) -> usize {
        self.forgotten + self.lines.len()
    }

    fn since(&self, mark: usize) -> &[LogLine] {
        self.lines.get(mark.saturating_sub(self.forgotten)..).unwrap_or_default()
    }
}

impl Default for LogBook {
    fn default() -> Self {
        Self { book: Arc::default(), state: Arc::new(watch::Sender::new((0, false))) }
    }
}

impl LogBook {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server has been started.
    pub(crate) fn open(&self) {
        self.lock().backends.clear();
        self.state.send_modify(|(_, open)| *open = true);
    }

    /// The server has ended, and all its lines have been added.
    pub(crate) fn close(&self) {
        self.state.send_modify(|(_, open)| *open = false);
    }

    /// Adds a line as the server wrote it.
    pub(crate) fn append(&self, line: &str) {
        let mut book = self.lock();
        let line = parse(line, book.last);
        book.last = line.pid;
        book.backends.extend(started(&line.text));
        book.lines.push(line);
        let count = book.mark();
        drop(book);
        self.state.send_modify(|(known, _)| *known = count);
    }

    /// Forgets all lines. Marks stay valid: a server that is used by thousands in turn would otherwise keep all of theirs.
    pub(crate) fn forget(&self) {
        let mut book = self.lock();
        book.forgotten = book.mark();
        book.lines.clear();
    }

    /// How many lines there have been.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.lock().mark()
    }

    /// The lines since a mark, except for those that were forgotten when a lease ended.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<LogLine> {
        self.lock().since(mark).to_vec()
    }

    /// The lines since a mark that the server itself wrote, up to the first connection that it has accepted since: none of
    /// those of connections, which may have begun earlier.
    pub(crate) fn of_server_until_a_connection(&self, mark: usize) -> Vec<LogLine> {
        let book = self.lock();
        let is_own = |line: &&LogLine| line.pid.is_none_or(|pid| !book.backends.contains(&pid));
        let until = book.since(mark).iter().take_while(|line| started(&line.text).is_none());
        until.filter(is_own).cloned().collect()
    }

    /// Waits until `condition` yields a value for the lines since a mark and whether the server is running. It is
    /// evaluated at each change. `None` if that takes longer than `limit`.
    pub async fn wait<T>(
        &self,
        mark: usize,
        limit: Duration,
        mut condition: impl FnMut(&[LogLine], bool) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.state.subscribe();
        let waiting = async {
            loop {
                let (_, is_open) = *state.borrow_and_update();
                if let Some(found) = condition(self.lock().since(mark), is_open) {
                    return Some(found);
                }
                state.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, waiting).await.ok().flatten()
    }
}

/// `[123] LOG:  text`. A line that begins with a tab continues the one before it.
fn parse(line: &str, previous: Option<i32>) -> LogLine {
    let prefixed = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match prefixed.and_then(|(pid, text)| Some((pid.parse().ok()?, text))) {
        Some((pid, text)) => LogLine { pid: Some(pid), text: text.to_owned() },
        None => LogLine { pid: previous.filter(|_| line.starts_with('\t')), text: line.to_owned() },
    }
}

/// The processes that were started for connections, in order.
pub(crate) fn connections(lines: &[LogLine]) -> Vec<i32> {
    lines.iter().filter_map(|line| started(&line.text)).collect()
}

/// Whether every connection that has begun has ended, except for those of the processes in `open`.
pub(crate) fn have_ended(lines: &[LogLine], open: &[i32]) -> bool {
    let ended: HashSet<_> = lines.iter().filter_map(|line| ended(&line.text)).collect();
    connections(lines).iter().all(|pid| ended.contains(pid) || open.contains(pid))
}

/// Whether the process of a connection has ended.
pub(crate) fn has_ended(lines: &[LogLine], pid: i32) -> bool {
    lines.iter().any(|line| ended(&line.text) == Some(pid))
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

/// The postmaster's first line of a reload.
const RELOAD: &str = "LOG:  received SIGHUP, reloading configuration files";

/// Whether a reload begins with this line.
pub(crate) fn begins_reload(text: &str) -> bool {
    text == RELOAD
}

/// Whether a line is one that every server or every connection writes.
pub(crate) fn is_routine(text: &str) -> bool {
    const ROUTINE: [&str; 12] = [
        "LOG:  connection received: ",
        "LOG:  connection authenticated: ",
        "LOG:  connection authorized: ",
        "LOG:  starting PostgreSQL ",
        "LOG:  listening on ",
        "LOG:  database system was shut down at ",
        "LOG:  database system was interrupted",
        "LOG:  database system is ready to accept connections",
        "LOG:  database system is shut down",
        RELOAD,
        "LOG:  received fast shutdown request",
        "DEBUG:  ",
    ];
    // `parameter "ssl" changed to "on"`, `parameter "ssl" removed from configuration file, reset to default`
    let parameter = text.strip_prefix("LOG:  parameter \"").and_then(|rest| rest.split_once("\" "));
    let is_change =
        parameter.is_some_and(|(_, what)| what.starts_with("changed to ") || what.starts_with("removed from "));
    is_change || ROUTINE.iter().any(|routine| text.starts_with(routine))
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;
    use proptest::test_runner::{Config as ProptestConfig, RngSeed};

    use super::*;

    fn book(lines: &[&str]) -> Vec<LogLine> {
        let book = LogBook::default();
        for line in lines {
            book.append(line);
        }
        book.since(0)
    }

    #[test]
    fn a_continuation_belongs_to_the_process_that_began_the_message() {
        let lines = book(&["[12] DETAIL:  one", "\ttwo", "Enter PEM pass phrase:"]);
        assert_eq!(lines.iter().map(|line| line.pid).collect::<Vec<_>>(), [Some(12), Some(12), None]);
    }

    #[test]
    fn a_connection_has_ended_when_the_postmaster_logs_its_exit() {
        let begun = "[1] DEBUG:  forked new backend, pid=12 socket=9";
        let message = "[12] FATAL:  no pg_hba.conf entry";
        let ended = "[1] DEBUG:  server process (PID 12) exited with exit code 1";
        assert!(!have_ended(&book(&[begun, message]), &[]));
        assert!(have_ended(&book(&[begun, message, ended]), &[]));
        assert!(have_ended(&book(&[begun, message]), &[12]), "it is known to stay open");
        assert!(has_ended(&book(&[begun, message, ended]), 12));
        assert!(!has_ended(&book(&[begun, message, ended]), 13) && !has_ended(&book(&[begun, message]), 12));
        assert!(have_ended(&book(&[]), &[]));
    }

    #[test]
    fn the_messages_of_postgresql_18_are_understood() {
        let begun = "[1] DEBUG:  forked new client backend, pid=12 socket=9";
        let ended = "[1] DEBUG:  client backend (PID 12) exited with exit code 0";
        assert_eq!(connections(&book(&[begun, ended])), [12]);
        assert!(!have_ended(&book(&[begun]), &[]));
        assert!(have_ended(&book(&[begun, ended]), &[]));
    }

    #[test]
    fn only_messages_that_every_server_writes_are_routine() {
        assert!(is_routine("LOG:  connection received: host=127.0.0.1 port=1"));
        assert!(is_routine("LOG:  parameter \"ssl\" changed to \"on\""));
        assert!(is_routine("LOG:  parameter \"ssl\" removed from configuration file, reset to default"));
        assert!(!is_routine(
            "LOG:  parameter \"oauth_validator_libraries\" must be set for authentication method \"oauth\""
        ));
        assert!(!is_routine("LOG:  could not accept SSL connection: certificate verify failed"));
    }

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn the_servers_own_lines_are_not_those_of_a_connection_that_began_earlier() {
        let book = LogBook::default();
        book.append("[1] DEBUG:  forked new backend, pid=12 socket=9");
        let mark = book.mark();
        book.append("[12] LOG:  could not receive data from client: Connection reset by peer");
        book.append("[1] LOG:  SSL configuration was not reloaded");
        let lines = book.of_server_until_a_connection(mark);
        assert_eq!(texts(&lines), ["LOG:  SSL configuration was not reloaded"]);
    }

    #[test]
    fn what_the_server_logs_after_a_connection_is_not_of_the_reload_before_it() {
        let book = LogBook::default();
        book.append("[1] LOG:  received SIGHUP, reloading configuration files");
        book.append("[1] LOG:  SSL configuration was not reloaded");
        book.append("[12] LOG:  connection received: host=127.0.0.1 port=1");
        book.append("[1] DEBUG:  forked new backend, pid=12 socket=9");
        book.append("[1] LOG:  server process (PID 12) was terminated by signal 9: Killed");
        let lines = book.of_server_until_a_connection(0);
        let own = ["LOG:  received SIGHUP, reloading configuration files", "LOG:  SSL configuration was not reloaded"];
        assert_eq!(texts(&lines), own);
    }

    #[test]
    fn a_server_may_have_the_number_of_a_connection_to_the_one_before_it() {
        let book = LogBook::default();
        book.open();
        book.append("[1] DEBUG:  forked new backend, pid=12 socket=9");
        book.close();
        book.open();
        book.append("[12] LOG:  SSL configuration was not reloaded");
        assert_eq!(book.of_server_until_a_connection(1).len(), 1);
    }

    #[test]
    fn marks_stay_valid_when_lines_are_forgotten() {
        let book = LogBook::default();
        book.append("[12] DETAIL:  one");
        let before = book.mark();
        book.forget();
        book.append("\ttwo");
        let continued = LogLine { pid: Some(12), text: "\ttwo".into() };
        assert_eq!([book.since(0), book.since(before)], [[continued.clone()], [continued]]);
        assert_eq!((before, book.mark(), book.since(book.mark())), (1, 2, Vec::new()));
    }

    #[tokio::test]
    async fn waiting_ends_with_the_condition_or_with_the_limit() {
        let book = LogBook::default();
        let writer = book.clone();
        tokio::spawn(async move { writer.append("[1] LOG:  here") });
        let found = book.wait(0, Duration::from_secs(5), |lines, _| lines.first().map(|line| line.text.clone())).await;
        assert_eq!(found.as_deref(), Some("LOG:  here"));
        assert_eq!(book.wait(1, Duration::from_millis(10), |lines, _| lines.first().cloned()).await, None);
    }

    /// Parts of the lines that mean something, and what could be taken for them.
    const PARTS: [&str; 14] = [
        "[",
        "[12] ",
        "[-1] ",
        "[99999999999] ",
        "\t",
        "DEBUG:  forked new backend, pid=",
        "DEBUG:  forked new client backend, pid=12 socket=9",
        "server process (PID ",
        "client backend (PID 12) exited",
        "LOG:  ",
        ":  ",
        "\0",
        "\u{2028}",
        "12",
    ];

    proptest::proptest! {
        // The same lines in each run, and nothing is written beside the source.
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_line_is_read(lines in proptest::collection::vec(
            proptest::collection::vec(proptest::prop_oneof![
                proptest::sample::select(&PARTS[..]).prop_map(str::to_owned),
                ".{0,12}",
            ], 0..8).prop_map(|parts| parts.concat()),
            0..16,
        )) {
            let read = book(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            proptest::prop_assert_eq!(read.len(), lines.len());
            let begun = connections(&read);
            proptest::prop_assert!(have_ended(&read, &begun));
            proptest::prop_assert!(begun.iter().all(|pid| !have_ended(&read, &[]) || has_ended(&read, *pid)));
            let _ = read.iter().filter(|line| is_routine(&line.text)).count();
        }
    }
}
