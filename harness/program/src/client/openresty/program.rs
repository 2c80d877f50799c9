//! A running program of Kong's stacks: a child process of this one, or a process in a container.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How much of a container's output waits to be read before the container has to wait.
const BUFFER: usize = 65536;

/// What to run: a program with its arguments and all of its environment, in a folder.
pub(super) struct Invocation<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [&'a OsStr],
    pub(super) environment: &'a [(&'a str, String)],
    pub(super) folder: &'a Path,
}

/// The end of a pipe that is written to.
pub(super) type Input = Box<dyn AsyncWrite + Send + Sync + Unpin>;
/// The end of a pipe that is read from.
pub(super) type Output = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// A running program. A child process ends with this value; one in a container has to be ended by its number, or ends
/// with the container.
pub(super) struct Program {
    process: Process,
    pub(super) stdin: Option<Input>,
    pub(super) stdout: Option<Output>,
}

enum Process {
    Child(Box<Child>),
    /// Whether it has ended.
    Contained(watch::Receiver<bool>),
}

impl Program {
    /// Starts a child process.
    pub(super) fn spawn(invocation: &Invocation<'_>) -> io::Result<Self> {
        let mut command = Command::new(invocation.program);
        command.args(invocation.arguments).current_dir(invocation.folder);
        command.env_clear().envs(invocation.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn()?;
        let stdin = child.stdin.take().map(|stdin| Box::new(stdin) as Input);
        let stdout = child.stdout.take().map(|stdout| Box::new(stdout) as Output);
        Ok(Self { process: Process::Child(Box::new(child)), stdin, stdout })
    }

    /// Starts a process in a container. To the process, the end of this one looks like the end of its standard input.
    pub(super) async fn exec(
        engine: &bollard::Docker,
        container: &str,
        invocation: &Invocation<'_>,
    ) -> io::Result<Self> {
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        let arguments = invocation.arguments.iter().map(|argument| text(argument));
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            cmd: Some([text(invocation.program.as_os_str())].into_iter().chain(arguments).collect()),
            env: Some(invocation.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: Some(text(invocation.folder.as_os_str())),
            ..CreateExecOptions::default()
        };
        let created = engine.create_exec(container, options).await.map_err(io::Error::other)?;
        let started = engine.start_exec(&created.id, None).await.map_err(io::Error::other)?;
        let StartExecResults::Attached { mut output, mut input } = started else {
            return Err(io::Error::other("the engine has not attached to the process"));
        };
        let (stdin, mut to_input) = tokio::io::duplex(BUFFER);
        tokio::spawn(async move {
            // It may have ended, or closed its standard input.
            let _ = tokio::io::copy(&mut to_input, &mut input).await;
            let _ = input.shutdown().await;
        });
        let (mut from_output, stdout): (DuplexStream, DuplexStream) = tokio::io::duplex(BUFFER);
        let (ended, has_ended) = watch::channel(false);
        tokio::spawn(async move {
            while let Some(Ok(part)) = output.next().await {
                if let LogOutput::StdOut { message } = part {
                    // Without a reader, the end of the process still has to be noticed.
                    let _ = from_output.write_all(&message).await;
                }
            }
            ended.send_replace(true);
        });
        Ok(Self {
            process: Process::Contained(has_ended),
            stdin: Some(Box::new(stdin)),
            stdout: Some(Box::new(stdout)),
        })
    }

    /// Whether it has ended. Its number may be another process' then.
    pub(super) fn has_ended(&mut self) -> bool {
        match &mut self.process {
            Process::Child(child) => !matches!(child.try_wait(), Ok(None)),
            Process::Contained(ended) => *ended.borrow(),
        }
    }

    /// Waits until it has ended.
    pub(super) async fn wait(&mut self) {
        match &mut self.process {
            Process::Child(child) => drop(child.wait().await),
            Process::Contained(ended) => drop(ended.wait_for(|ended| *ended).await),
        }
    }
}
