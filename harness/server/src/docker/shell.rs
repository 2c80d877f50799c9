//! A shell in a container that stays for as long as the container, and does what it is told. It starts and stops the
//! server as fast as a shell does, where the engine takes a second for a container.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};

use crate::log::LogBook;
use crate::runtime::RuntimeError;

/// How long anything may take that a container does.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// What the shell says on its standard output after an order, before the order's number and its exit status.
const DONE: &str = "kong-pg-tls: done";
/// What the shell says on its standard error when the server has ended.
const ENDED: &str = "kong-pg-tls: the server has ended";

/// A shell that reads its orders from its standard input. What orders say comes on its standard output, what the server
/// says on its standard error.
pub(super) struct Shell {
    /// Locked by nobody; it makes of a writer something that threads can share.
    input: Mutex<Pin<Box<dyn AsyncWrite + Send>>>,
    said: mpsc::UnboundedReceiver<String>,
    /// How many orders there were: the end of one that nobody waited for is not taken for another's.
    orders: u64,
    /// The server's.
    pub(super) log: LogBook,
}

impl Shell {
    /// Speaks to the shell that a container is.
    pub(super) async fn attach(engine: &bollard::Docker, id: &str) -> Result<Self, RuntimeError> {
        let doing = "attach to a container";
        let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
        let attached = limited(doing, engine.attach_container(id, Some(options))).await?;
        let attached = attached.map_err(|error| RuntimeError::failed(doing, error))?;
        let log = LogBook::default();
        let (sender, said) = mpsc::unbounded_channel();
        tokio::spawn(read(attached.output, sender, log.clone()));
        Ok(Self { input: Mutex::new(attached.input), said, orders: 0, log })
    }

    /// Has commands done one after the other, and returns what they say. Stops at the first that fails.
    pub(super) async fn run(&mut self, doing: &'static str, commands: &str) -> Result<String, RuntimeError> {
        self.orders += 1;
        let done = format!("{DONE} {} ", self.orders);
        self.tell(doing, &format!("(set -e\n{commands}\n) 2>&1\necho \"{done}$?\"\n")).await?;
        let mut said = String::new();
        let end = async {
            while let Some(line) = self.said.recv().await {
                if let Some((before, status)) = line.split_once(&done) {
                    said.push_str(before);
                    return status == "0";
                }
                said.push_str(&line);
                said.push('\n');
            }
            said.push_str("the container has ended");
            false
        };
        if limited(doing, end).await? { Ok(said) } else { Err(RuntimeError::failed(doing, said.trim())) }
    }

    /// Has a server run in the background. The log is open until it has ended.
    pub(super) async fn serve(&mut self, command: &str) -> Result<(), RuntimeError> {
        self.log.open();
        self.tell("start PostgreSQL", &format!("{{ {command}; echo \"{ENDED}\"; }} >&2 &\n")).await
    }

    async fn tell(&mut self, doing: &'static str, lines: &str) -> Result<(), RuntimeError> {
        let input = self.input.get_mut();
        let relevant_lines = async {
            input.write_all(lines.as_bytes()).await?;
            input.flush().await
        };
        limited(doing, relevant_lines).await?.map_err(|error| RuntimeError::failed(doing, error))
    }
}

pub(super) async fn limited<T>(doing: &'static str, work: impl Future<Output = T>) -> Result<T, RuntimeError> {
    tokio::time::timeout(LIMIT, work).await.map_err(|_| RuntimeError::timeout(doing, LIMIT))
}

/// A word that the shell takes as it is.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Hands out what comes from a container, line by line, until it has ended.
async fn read(
    mut output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    said: mpsc::UnboundedSender<String>,
    log: LogBook,
) {
    let (mut of_orders, mut of_server) = (Lines::default(), Lines::default());
    while let Some(Ok(part)) = output.next().await {
        match part {
            // Nobody waits for an order that took too long.
            LogOutput::StdOut { message } => of_orders.add(&message, |line| drop(said.send(line))),
            other => of_server.add(&other.into_bytes(), |line| match line.as_str() {
                ENDED => log.close(),
                line => log.append(line),
            }),
        }
    }
    log.close();
}

/// What has come of a line so far.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, part: &[u8], mut each: impl FnMut(String)) {
        self.0.extend_from_slice(part);
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = self.0.drain(..=end).collect();
            each(String::from_utf8_lossy(&line[..end]).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_parts() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for part in ["[1] LOG:  o", "ne\n[1] LOG:  two\n[1]", " LOG:  three\n"] {
            lines.add(part.as_bytes(), |line| seen.push(line));
        }
        assert_eq!(seen, ["[1] LOG:  one", "[1] LOG:  two", "[1] LOG:  three"]);
    }
}
