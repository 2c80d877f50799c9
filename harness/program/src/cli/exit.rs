//! How a command ends, and what it prints.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::desk::naming::NamingError;
use crate::record::ReadError;
use crate::report::ReportError;
use crate::session::{SessionError, with_advice};
use crate::vacuity::TextsError;
use postgres_tls_server::RuntimeError;

/// How the program ends. It never ends with success after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every cell that was run is as expected, and at least one was.
    Success = 0,
    /// Wrong usage, or a mistake in a scenario file.
    Usage = 2,
    /// The environment failed (no runtime, a server that does not start where it should, a folder that cannot be
    /// written), or something that was asked for could not be run here.
    Environment = 3,
    /// Nothing matched.
    NothingMatched = 4,
    /// A cell is not as expected.
    Failed = 100,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends early: an exit status and a message.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    pub(super) fn environment(message: impl Into<String>) -> Self {
        Self { exit: Exit::Environment, message: message.into() }
    }

    pub(super) fn report(&self) -> ExitCode {
        print_error(&format!("kong-pg-tls: {}", self.message));
        self.exit.into()
    }
}

/// Writes to the standard error, which may be closed.
fn print_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes to the standard output. A closed pipe is no failure: the reader has seen enough.
pub(super) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot write to the standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes one JSON value, for people as well.
pub(super) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<TextsError> for Failure {
    fn from(error: TextsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::environment(with_advice(&error))
    }
}

impl From<NamingError> for Failure {
    fn from(error: NamingError) -> Self {
        let exit = if matches!(error, NamingError::Nothing { .. }) { Exit::NothingMatched } else { Exit::Usage };
        Self { exit, message: error.to_string() }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let exit = match &error {
            SessionError::Scenarios(faults) => {
                let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
                for fault in faults {
                    print_error(&format!("{}\n", fault.render(colour)));
                }
                Exit::Usage
            }
            SessionError::Request(_) | SessionError::Releases(_) | SessionError::ImageRelease(_) => Exit::Usage,
            SessionError::NothingMatched(_) => Exit::NothingMatched,
            SessionError::Runtime(_) | SessionError::Client(_) | SessionError::Folder(_) => Exit::Environment,
        };
        Self { exit, message: error.to_string() }
    }
}
