//! One test as nextest runs it, in a process of its own: it has the broker run the cell.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use kong_pg_tls::judge::Verdict;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::Outcome;
use super::broker::Order;
use super::meeting::Meeting;

/// How long the broker may take to accept connections, which it does before it loads the suite.
const LIMIT: Duration = Duration::from_secs(60);

/// The one test that this process is for.
pub(super) struct NextestTest {
    name: String,
    meeting: Meeting,
}

impl NextestTest {
    /// The test, if nextest runs this process.
    pub(super) fn from_environment(arguments: &Arguments, program: &str) -> Option<Self> {
        let run = std::env::var("NEXTEST_RUN_ID").ok()?;
        let name = arguments.filter.clone().filter(|_| arguments.exact && !arguments.list)?;
        Some(Self { name, meeting: Meeting::of(program, &run) })
    }

    /// Runs it.
    pub(super) fn run(self, arguments: &Arguments) -> ExitCode {
        let name = self.name.clone();
        let run = move || match self.ask()? {
            Outcome::Passed => Ok(Completion::Completed),
            // It does not apply here, which is all right. Nextest knows no test that is ignored while it runs.
            Outcome::NotRun { verdict: Verdict::Unsupported, reason } => Ok(Completion::ignored_with(reason)),
            Outcome::NotRun { verdict, reason } => {
                Err(format!("{verdict}: {reason}\nNextest cannot show a test as not run: see CONTRIBUTING.md.").into())
            }
            Outcome::Failed(text) => Err(text.into()),
        };
        libtest_mimic::run(arguments, vec![Trial::ignorable_test(name, run).with_ignored_flag(arguments.ignored)])
            .exit_code()
    }

    fn ask(&self) -> Result<Outcome, Failed> {
        let mut stream = self.connect()?;
        let mut answer = String::new();
        let asked = writeln!(stream, "{}", self.name).and_then(|()| BufReader::new(stream).read_line(&mut answer));
        let ended =
            |why: &str| Failed::from(format!("the process that runs the cells has ended: {why}\n{}", self.log()));
        asked.map_err(|error| ended(&error.to_string()))?;
        serde_json::from_str(&answer).map_err(|_| ended("it gave no answer"))
    }

    /// Connects to the broker, and starts one if there is none.
    fn connect(&self) -> Result<UnixStream, Failed> {
        let start = Instant::now();
        let mut broker: Option<Child> = None;
        loop {
            let error = match UnixStream::connect(self.meeting.socket()) {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            if start.elapsed() > LIMIT {
                return Err(format!("no process runs the cells: {error}\n{}", self.log()).into());
            }
            // One that ended well has found another.
            if broker.as_mut().is_none_or(|broker| broker.try_wait().is_ok_and(|ended| ended.is_some())) {
                broker = Some(self.start_broker()?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn start_broker(&self) -> Result<Child, Failed> {
        let start = || {
            self.meeting.make()?;
            let log = OpenOptions::new().append(true).create(true).mode(0o600).open(self.meeting.log())?;
            let order = Order { meeting: self.meeting.0.clone(), nextest: parent_id() };
            // A process group of its own, which nextest does not signal.
            Command::new(std::env::current_exe()?)
                .args(order.arguments())
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
        };
        start().map_err(|error: std::io::Error| format!("cannot start the process that runs the cells: {error}").into())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.meeting.log()).unwrap_or_default()
    }
}
