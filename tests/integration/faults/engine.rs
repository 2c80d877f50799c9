//! A Docker engine that can be killed: in name spaces of its own, so that its bridge and its processes are not those of the
//! machine's engine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long an engine may take to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// The first process of the name spaces. It outlives the engine, and starts it whenever the file `wanted` is there.
const INIT: &str = "\
ip link set lo up
mount -t tmpfs tmpfs /run
echo '{}' >daemon.json
while sleep 0.1; do
    [ -e wanted ] || continue
    rm -f wanted /run/engine.pid
    dockerd --config-file \"$PWD/daemon.json\" --data-root \"$PWD/data\" --exec-root \"$PWD/exec\" \\
        --pidfile /run/engine.pid --host \"unix://$PWD/engine.sock\" --storage-driver \"$0\" >>engine.log 2>&1
done";

/// An engine of our own. It ends with this value, and so does all that it has started.
pub(crate) struct Engine {
    folder: PathBuf,
    name_spaces: Child,
}

impl Engine {
    /// Starts one with the files in a folder, and gives it an image of the machine's engine.
    pub(crate) fn start(folder: &Path, image: &str) -> Self {
        std::fs::create_dir(folder).expect("a folder");
        // Folders of containers within folders of containers need what the machine's engine uses.
        let driver =
            Command::new("docker").args(["info", "--format", "{{.Driver}}"]).output().expect("the program docker");
        let driver = String::from_utf8_lossy(&driver.stdout).trim().to_owned();
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            INIT,
            &driver,
        ]);
        command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let engine = Self { folder: folder.to_owned(), name_spaces: command.spawn().expect("the program unshare") };
        engine.run();
        let mut saved = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().expect("a program");
        let loaded = engine.docker(&["load"]).stdin(saved.stdout.take().expect("a pipe")).output().expect("a program");
        assert!(loaded.status.success() && saved.wait().is_ok_and(|status| status.success()), "{loaded:?}");
        engine
    }

    /// Starts the engine, or starts it again after it was killed, and waits until it answers.
    pub(crate) fn run(&self) {
        std::fs::write(self.folder.join("wanted"), "").expect("a file");
        let begun = Instant::now();
        while !self.docker(&["version"]).output().is_ok_and(|output| output.status.success()) {
            let log = || std::fs::read_to_string(self.folder.join("engine.log")).unwrap_or_default();
            assert!(begun.elapsed() < LIMIT, "the engine does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills the engine alone. Its containers go on.
    pub(crate) fn kill(&self) {
        let name = format!("^dockerd --config-file {}/", self.folder.display());
        let killed = Command::new("pkill").args(["-KILL", "-f", &name]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the engine runs");
    }

    /// A command within the network of the engine, and with it as the engine.
    pub(crate) fn within(&self, program: &Command) -> Command {
        let parent = self.name_spaces.id().to_string();
        let Output { stdout, .. } = Command::new("pgrep").args(["-P", &parent]).output().expect("the program pgrep");
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", String::from_utf8_lossy(&stdout).trim(), "--"]);
        command.arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(program.get_current_dir().expect("a folder")).env("DOCKER_HOST", self.address());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Its containers.
    pub(crate) fn containers(&self) -> String {
        let listed = self.docker(&["ps", "--all", "--quiet"]).output().expect("the program docker");
        String::from_utf8_lossy(&listed.stdout).into_owned()
    }

    fn address(&self) -> String {
        format!("unix://{}/engine.sock", self.folder.display())
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(arguments).env("DOCKER_HOST", self.address());
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The first process of the name spaces ends with this one, and all others with that.
        let _ = self.name_spaces.kill();
        let _ = self.name_spaces.wait();
    }
}
