//! The process that runs the cells of a nextest run. It loads the suite once and keeps the servers, which the processes
//! of the tests would each have to start. It ends, and removes everything, when nextest does, however that ends.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener as Socket;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::meeting::Meeting;
use super::{Collect, Outcome, Tests};

const ARGUMENT: &str = "--broker";

/// What a broker is started for.
pub(super) struct Order {
    /// The folder to meet in.
    pub(super) meeting: PathBuf,
    /// The process of nextest.
    pub(super) nextest: u32,
}

impl Order {
    pub(super) fn arguments(&self) -> [OsString; 3] {
        [ARGUMENT.into(), self.meeting.clone().into(), self.nextest.to_string().into()]
    }

    /// The order, if this process is started as a broker.
    pub(super) fn from_arguments() -> Option<Self> {
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        let [first, meeting, nextest] = &arguments[..] else { return None };
        let nextest = nextest.to_str()?.parse().ok()?;
        (first == ARGUMENT).then(|| Self { meeting: meeting.into(), nextest })
    }
}

/// Serves until nextest has ended.
pub(super) fn serve(order: &Order, collect: Collect) -> ExitCode {
    let meeting = Meeting(order.meeting.clone());
    let served = match meeting.lock() {
        Ok(Some(lock)) => Broker { meeting, _lock: lock }.serve(order.nextest, collect),
        // Another serves.
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => Err(error),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The only broker of a meeting. The folder goes with this value.
struct Broker {
    meeting: Meeting,
    _lock: File,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.meeting.0);
    }
}

impl Broker {
    fn serve(self, nextest: u32, collect: Collect) -> io::Result<()> {
        // That of a broker that was killed.
        let _ = std::fs::remove_file(self.meeting.socket());
        let socket = Socket::bind(self.meeting.socket())?;
        socket.set_nonblocking(true)?;
        let mut tests = Tests::new();
        // A fault is every test's.
        let fault = collect(&mut tests).err().map(|error| format!("the cells cannot be run: {error}"));
        let tests = Arc::new(tests);
        tests.runtime.block_on(accept(socket, nextest, &tests, fault))?;
        if let Some(tests) = Arc::into_inner(tests) {
            tests.close();
        }
        Ok(())
    }
}

/// Waits until a process has ended.
async fn end_of(process: u32) {
    // One that has ended and is not waited for yet has no program any more, and its number may get another.
    let program = || std::fs::read_link(format!("/proc/{process}/exe")).ok();
    let first = program();
    while first.is_some() && program() == first {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Answers until nextest has ended or this process is asked to end. Nothing is running then.
async fn accept(socket: Socket, nextest: u32, tests: &Arc<Tests>, fault: Option<String>) -> io::Result<()> {
    let listener = UnixListener::from_std(socket)?;
    let mut nextest = std::pin::pin!(end_of(nextest));
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (end, ending) = watch::channel(());
    let mut answers = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            Some(_) = answers.join_next() => continue,
            () = &mut nextest => break,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        let (tests, fault, ending) = (tests.clone(), fault.clone(), ending.clone());
        let runtime = tests.runtime.handle().clone();
        // A run is not `Send`.
        answers.spawn_blocking(move || runtime.block_on(answer(stream, &tests, fault, ending)));
    }
    drop(end);
    while answers.join_next().await.is_some() {}
    Ok(())
}

/// Runs the cell that a test names. It is cancelled with the test.
async fn answer(mut stream: UnixStream, tests: &Tests, fault: Option<String>, mut ending: watch::Receiver<()>) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let Ok(Some(name)) = lines.next_line().await else { return };
    let cancelled = async {
        tokio::select! {
            _ = lines.next_line() => {}
            _ = ending.changed() => {}
        }
    };
    let outcome = match fault {
        Some(fault) => Outcome::Failed(fault),
        None => tests.outcome(&name, cancelled).await,
    };
    let answer = serde_json::to_string(&outcome).expect("JSON");
    // Nobody may be waiting any more.
    let _ = write.write_all(format!("{answer}\n").as_bytes()).await;
}
