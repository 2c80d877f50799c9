//! A shell in a container, which lives as long as the container. It starts and stops a server in milliseconds, where the
//! engine takes a second to start a container.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};

use crate::error::{RuntimeError, within};
use crate::log::LogBook;

/// How long one step in a container may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// What the shell prints on its standard output after commands, before their number and their exit status.
const DONE: &str = "postgres-tls-server: done";
/// What the shell prints on its standard error when the server has ended.
const ENDED: &str = "postgres-tls-server: the server has ended";

/// A shell that reads commands from its standard input. Their output comes on its standard output, the server's on its
/// standard error.
pub(super) struct Shell {
    /// The mutex is never locked. It only makes the writer [`Sync`], which a host has to be.
    input: Mutex<Pin<Box<dyn AsyncWrite + Send>>>,
    /// The lines of standard output, and why there are no more if the engine gives a reason.
    output: mpsc::UnboundedReceiver<Result<String, bollard::errors::Error>>,
    /// How many times commands were run, so that the end of one that took too long is not mistaken for the end of the next.
    count: u64,
    /// The server's.
    pub(super) log: LogBook,
}

impl Shell {
    /// Attaches to a container whose main process is a shell, and defines functions that later commands call.
    pub(super) async fn attach(engine: &bollard::Docker, id: &str, functions: &str) -> Result<Self, RuntimeError> {
        let action = "attach to a container";
        let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
        let attached = within(LIMIT, action, engine.attach_container(id, Some(options))).await?;
        let attached = attached.map_err(RuntimeError::failing(action))?;
        let log = LogBook::default();
        let (sender, output) = mpsc::unbounded_channel();
        tokio::spawn(read(attached.output, sender, log.clone()));
        let mut shell = Self { input: Mutex::new(attached.input), output, count: 0, log };
        shell.write(action, functions).await?;
        Ok(shell)
    }

    /// Runs commands one after the other up to the first that fails, and returns their output.
    pub(super) async fn run(&mut self, action: &'static str, commands: &str) -> Result<String, RuntimeError> {
        self.count += 1;
        let done = format!("{DONE} {} ", self.count);
        self.write(action, &format!("(set -e\n{commands}\n) 2>&1\necho \"{done}$?\"\n")).await?;
        let mut output = String::new();
        let end = async {
            while let Some(line) = self.output.recv().await {
                let line = match line {
                    Ok(line) => line,
                    Err(error) => {
                        output.push_str("the connection to the container has failed: ");
                        output.push_str(&error.to_string());
                        return false;
                    }
                };
                if let Some((before, status)) = line.split_once(&done) {
                    output.push_str(before);
                    return status == "0";
                }
                output.push_str(&line);
                output.push('\n');
            }
            output.push_str("the container has ended");
            false
        };
        if within(LIMIT, action, end).await? { Ok(output) } else { Err(RuntimeError::failed(action, output.trim())) }
    }

    /// Starts a server in the background. The log is open until it has ended.
    pub(super) async fn run_in_background(&mut self, command: &str) -> Result<(), RuntimeError> {
        self.log.open();
        self.write("start PostgreSQL", &format!("{{ {command}; echo \"{ENDED}\"; }} >&2 &\n")).await
    }

    async fn write(&mut self, action: &'static str, lines: &str) -> Result<(), RuntimeError> {
        let input = self.input.get_mut();
        let writing = async {
            input.write_all(lines.as_bytes()).await?;
            input.flush().await
        };
        within(LIMIT, action, writing).await?.map_err(RuntimeError::failing(action))
    }
}

/// Distributes the output of a container, line by line, until it has ended.
async fn read(
    mut output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    lines: mpsc::UnboundedSender<Result<String, bollard::errors::Error>>,
    log: LogBook,
) {
    let (mut of_shell, mut of_server) = (Lines::default(), Lines::default());
    while let Some(part) = output.next().await {
        match part {
            Err(error) => {
                let _ = lines.send(Err(error));
                break;
            }
            // There is no receiver left once the shell is dropped.
            Ok(LogOutput::StdOut { message }) => of_shell.add(&message, |line| drop(lines.send(Ok(line)))),
            Ok(other) => of_server.add(&other.into_bytes(), |line| match line.as_str() {
                ENDED => log.close(),
                line => log.append(line),
            }),
        }
    }
    log.close();
}

/// The part of a line that has arrived so far.
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
    fn a_line_may_arrive_in_parts() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for part in ["[1] LOG:  o", "ne\n[1] LOG:  two\n[1]", " LOG:  three\n"] {
            lines.add(part.as_bytes(), |line| seen.push(line));
        }
        assert_eq!(seen, ["[1] LOG:  one", "[1] LOG:  two", "[1] LOG:  three"]);
    }
}
