//! A real Kong: a container of an image that the user names, with the cell's kong.conf and `KONG_*` variables, judged by
//! its output and its exit status.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::StreamExt;
use kong_pg_client::conf::{FILE_KEYS, KongConf};
use kong_pg_client::{Edition, ErrorDelivery, PREFIX, Refusal, Stack, Stage, is_patch_of};
use kong_pg_scenarios::vocabulary::KongImage;
use postgres_tls_server::engine;
use testcontainers::core::WaitFor;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, CopyTargetOptions, GenericImage, ImageExt};

use super::unavailable::ContainerError;
use super::{Attempt, ClientError, Established, Task, Unavailable, translate};
use crate::runfolder::{CONTAINER_LABEL, announce_pull};

/// How long a container may take to be made and to begin.
const LIMIT: Duration = Duration::from_secs(60);

/// What Kong prints when it reaches a database that has not been bootstrapped.
const EMPTY_DATABASE: &str = "needs bootstrapping";

/// What nginx logs when its configuration, `init_by_lua` included, has done its work. Kong writes no `init_by_lua` if all
/// listeners are off, but nginx logs this nevertheless; only the server's log shows whether Kong has connected.
const UP: &str = "start worker processes";

/// Where Kong looks for its configuration.
const KONG_CONF: &str = "/etc/kong/kong.conf";

/// The kong.conf of an earlier start, from which the prefix is made.
const STALE_CONF: &str = "/etc/kong/stale.conf";

/// Where Kong's images keep what Kong writes.
const KONG_PREFIX: &str = "/usr/local/kong";

/// An image with a Kong in it.
pub(super) struct Image {
    name: String,
    /// What `kong version` prints.
    version: String,
    /// The exact version as this program names releases: `3.9.1-oss`.
    release: String,
    run: String,
    engine: bollard::Docker,
    /// Whether containers can share our loopback interface.
    shares_loopback: bool,
}

impl Image {
    /// How long a Kong may take beside pg_timeout. A cell with the default --timeout has time for it.
    pub(super) const PATIENCE: Duration = Duration::from_secs(40);

    /// Finds the image, and asks the Kong in it for its version, which must be the one that is named.
    pub(super) async fn find(request: &KongImage, engine: &bollard::Docker, run: &str) -> Result<Self, Unavailable> {
        let name = request.image.clone();
        engine::have_image(engine, &name, announce_pull).await?;
        let (version, release) = (String::new(), String::new());
        let shares_loopback = engine::shares_this_machine(engine).await;
        let mut image = Self { name, version, release, run: run.to_owned(), engine: engine.clone(), shares_loopback };
        // Without the entry point of the official images, which takes 20 s for it.
        let asked = image.request(image.image().with_entrypoint("kong")).with_cmd(["version"]);
        let ended = image.ended(asked, |_| false).await;
        if ended.is_err() {
            // The engine keeps a container that it has made but cannot start.
            image.close().await;
        }
        let ended = ended.map_err(|source| Unavailable::Kong { image: image.name.clone(), source })?;
        ended.output.lines().last().unwrap_or_default().trim().clone_into(&mut image.version);
        match release_of(&image.version).filter(|_| ended.status == Some(0)) {
            Some(release) => image.release = release,
            None => {
                return Err(Unavailable::missing(format!(
                    "`kong version` in {} ends with {:?} and prints: {}",
                    image.name, ended.status, ended.output
                )));
            }
        }
        match &request.release {
            Some(named) if !image.is_of(named) => {
                Err(Unavailable::missing(format!("{}, and not {named} as --kong-image says", image.about())))
            }
            _ => Ok(image),
        }
    }

    /// The exact version of its Kong, as this program names releases.
    pub(super) fn release(&self) -> &str {
        &self.release
    }

    /// Whether its Kong is of a release: `3.9`, `3.9-oss`, `3.9.1-oss`.
    pub(super) fn is_of(&self, release: &str) -> bool {
        is_patch_of(&self.release, release)
    }

    /// Its name, and what is in it.
    pub(super) fn about(&self) -> String {
        format!("{} contains Kong {}", self.name, self.version)
    }

    fn image(&self) -> GenericImage {
        let (name, tag) = engine::name_and_tag(&self.name);
        GenericImage::new(name, tag).with_wait_for(WaitFor::Nothing)
    }

    fn request(&self, image: GenericImage) -> ContainerRequest<GenericImage> {
        image.with_label(CONTAINER_LABEL, &self.run).with_startup_timeout(LIMIT)
    }

    /// The container of an attempt, without its configuration: the command line, or nginx as the image starts it.
    fn command(&self, task: &Task) -> ContainerRequest<GenericImage> {
        match (task.stack, &task.files.stale) {
            (Stack::Luasec, _) => self.request(self.image()).with_cmd(["kong", "docker-start"]),
            (Stack::Cosocket, None) => {
                self.request(self.image().with_entrypoint("kong")).with_cmd(["migrations", "list"])
            }
            (Stack::Cosocket, Some(_)) => {
                let commands = format!("kong prepare -c {STALE_CONF} && exec kong migrations list");
                self.request(self.image().with_entrypoint("sh")).with_cmd(["-c", &commands])
            }
        }
    }

    fn task(&self, task: &Task) -> Result<ContainerRequest<GenericImage>, ClientError> {
        let mut variables = variables(task)?;
        let (network, address) = match &task.container {
            // Beside the server, in its own network.
            Some(container) => (format!("container:{container}"), ("127.0.0.1".to_owned(), 5432)),
            None if self.shares_loopback => ("host".to_owned(), (task.settings.host.clone(), task.settings.port)),
            None => {
                let why = "a container of a rootless engine, or of one on another machine, does not reach this one's loopback";
                return Err(ClientError::Blocked(why.into()));
            }
        };
        variables.insert("KONG_PG_HOST".into(), address.0);
        variables.insert("KONG_PG_PORT".into(), address.1.to_string());
        let mut request = self.command(task).with_network(network);
        let confs = [(KONG_CONF, Some(&task.files.conf)), (STALE_CONF, task.files.stale.as_ref())];
        for (path, conf) in confs.into_iter().filter_map(|(path, conf)| Some((path, conf?))) {
            request = request.with_copy_to(CopyTargetOptions::new(path).with_mode(0o644), conf.clone().into_bytes());
        }
        for path in files(task) {
            // A file that cannot be read here must not be readable there; all others are, whatever Kong's user is there.
            let (content, mode) = match translate::read(&path) {
                Ok(Some(content)) => (content, 0o644),
                Ok(None) => continue,
                Err(_) => (Vec::new(), 0),
            };
            let target = CopyTargetOptions::new(path.to_string_lossy()).with_mode(mode);
            request = request.with_copy_to(target, content);
        }
        if task.settings.security_level != task.profile.security_level() {
            let path = task.settings.prefix.join("openssl.cnf").to_string_lossy().into_owned();
            let conf = translate::openssl_conf(task.settings.security_level).into_bytes();
            request = request.with_copy_to(CopyTargetOptions::new(&path).with_mode(0o644), conf);
            variables.insert("OPENSSL_CONF".into(), path);
        }
        Ok(variables.into_iter().fold(request, |request, (name, value)| request.with_env_var(name, value)))
    }

    /// Runs a container to its end, or until its output is enough.
    async fn ended(
        &self,
        request: ContainerRequest<GenericImage>,
        is_enough: impl Fn(&str) -> bool,
    ) -> Result<Ended, ContainerError> {
        let starting =
            tokio::time::timeout(LIMIT, request.start()).await.map_err(|_| ContainerError::Timeout(LIMIT))?;
        let container: ContainerAsync<GenericImage> = starting?;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).follow(true).build();
        let mut parts = self.engine.logs(container.id(), Some(options));
        let mut output = String::new();
        let mut enough = false;
        while let Some(part) = parts.next().await {
            let part: LogOutput = part?;
            output.push_str(&String::from_utf8_lossy(&part.into_bytes()));
            enough = is_enough(&output);
            if enough {
                break;
            }
        }
        let state = self.engine.inspect_container(container.id(), None::<InspectContainerOptions>).await;
        let state = state?.state;
        let status = state.and_then(|state| state.exit_code).filter(|_| !enough);
        container.rm().await?;
        Ok(Ended { output, status, is_up: enough })
    }
}

impl Image {
    /// Connects as its Kong does.
    pub(super) async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        if task.stack == Stack::Cosocket && task.profile.command_line != Stack::Cosocket {
            let why = format!("the command line of {} uses LuaSec, too; only its workers do not", task.profile);
            return Err(ClientError::Unsupported(why));
        }
        let ended = self.ended(self.task(task)?, |output| output.contains(UP)).await;
        let mut ended = ended.map_err(|error| ClientError::environment(format!("run {}", self.name), error))?;
        // Expectations name Kong's prefix and its certificates, which are beside each other elsewhere.
        ended.output =
            ended.output.replace(&format!("{KONG_PREFIX}/"), &format!("{}/", task.settings.prefix.display()));
        match ended.refusal() {
            None => Ok(Attempt { result: Ok(Established::Over), connections: Some(1), certificate: None }),
            Some(refusal) => {
                // Kong's own checks, and nginx's, come before it connects.
                let is_own = refusal.delivery == ErrorDelivery::Raised && !is_of_driver(&ended.output, &refusal.text);
                let unreached = ended.status == Some(2) || is_own || refusal.text.contains("connection refused");
                Ok(Attempt::refused(refusal, usize::from(!unreached)))
            }
        }
    }

    /// Ends what it may have left running.
    pub(super) async fn close(&self) {
        let label = engine::Label { key: CONTAINER_LABEL.to_owned(), value: self.run.clone() };
        engine::remove_labelled(&self.engine, &label).await;
    }
}

/// The environment, with what keeps a Kong that starts from taking ports but one: with none at all it would not connect.
fn variables(task: &Task) -> Result<HashMap<String, String>, ClientError> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let status = free.map_err(|error| ClientError::environment("find a free port for Kong's status", error))?;
    let off =
        ["PROXY_LISTEN", "ADMIN_LISTEN", "ADMIN_GUI_LISTEN", "ANONYMOUS_REPORTS"].map(|key| (key, "off".to_owned()));
    let one = [("STATUS_LISTEN", status.to_string()), ("NGINX_WORKER_PROCESSES", "1".to_owned())];
    let ours = off.into_iter().chain(one).map(|(key, value)| (format!("KONG_{key}"), value));
    Ok(ours.chain(task.files.environment.iter().cloned()).collect())
}

/// Whether the driver raised an error, after it connected. On the command line it has no position that would say so.
fn is_of_driver(output: &str, text: &str) -> bool {
    const RAISED: [&str; 6] = [
        "missing password, required for connect",
        "x509",
        "unexpected message during auth",
        "don't know how to auth",
        "unknown response from auth",
        "attempt to ",
    ];
    output.contains("pgmoon/init.lua:") || RAISED.iter().any(|beginning| text.starts_with(beginning))
}

/// The files that kong.conf and that of an earlier start name, and those in the directories that they name.
fn files(task: &Task) -> BTreeSet<PathBuf> {
    let stale = task.files.stale.as_deref().map(KongConf::read);
    let confs = [Some(&task.conf), stale.as_ref()].into_iter().flatten();
    let values = confs.flat_map(|conf| FILE_KEYS.iter().filter_map(|key| conf.get(key)));
    let paths = values.flat_map(|value| value.split(',')).map(|entry| Path::new(entry.trim()));
    let paths = paths.filter(|path| path.starts_with(&task.settings.prefix));
    let inside = |path: &Path| match std::fs::read_dir(path) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(_) => vec![path.to_owned()],
    };
    paths.flat_map(inside).collect()
}

/// An exact version as this program names releases, from the output of `kong version`: `3.9.1`,
/// `Kong Enterprise 3.10.0.2`.
fn release_of(version: &str) -> Option<String> {
    let edition = if version.contains("Enterprise") { Edition::Enterprise } else { Edition::Oss };
    let number = version.split_whitespace().last()?;
    let parts: Vec<_> = number.split('.').map(str::parse::<u32>).collect();
    (parts.len() > 1 && parts.iter().all(Result::is_ok)).then(|| format!("{number}-{edition}"))
}

/// What a container printed, and how it ended.
#[derive(Debug)]
struct Ended {
    output: String,
    status: Option<i64>,
    /// It runs on, and does what it is for.
    is_up: bool,
}

impl Ended {
    /// Kong's error if it does not connect. None if it does: status 0, or 3 for a database without Kong's tables.
    fn refusal(&self) -> Option<Refusal> {
        if self.is_up || matches!(self.status, Some(0 | 3)) || self.output.contains(EMPTY_DATABASE) {
            return None;
        }
        if let Some((_, text)) = self.output.split_once(PREFIX) {
            return Some(Refusal::returned(Stage::Connect, &message(text)));
        }
        let nginx = self.output.lines().find_map(|line| line.split_once("[emerg] ")?.1.split_once(": "));
        if let Some((_, text)) = nginx {
            return Some(Refusal::raised(Stage::Configure, text));
        }
        let raised = ["init_by_lua error: ", "Error: "].iter().find_map(|begin| self.output.split_once(begin));
        let text = raised.map_or(self.output.trim(), |(_, text)| text);
        Some(Refusal::raised(Stage::Connect, without_place(&message(text))))
    }
}

/// A message to its end: what comes after it begins with an empty line or a traceback.
fn message(text: &str) -> String {
    let of_message = |line: &&str| !line.trim().is_empty() && *line != "stack traceback:";
    text.lines().take_while(of_message).collect::<Vec<_>>().join("\n")
}

/// A message without the place in Lua that raised it: `/usr/.../pgmoon/init.lua:352: `.
fn without_place(text: &str) -> &str {
    match text.split_once(".lua:").and_then(|(_, rest)| rest.split_once(": ")) {
        Some((line, text)) if line.parse::<u32>().is_ok() => text,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ended(status: i64, output: &str) -> Ended {
        Ended { output: output.to_owned(), status: Some(status), is_up: false }
    }

    /// As Kong 3.9.1 prints it.
    #[rstest]
    #[case::on_the_command_line(
        1,
        "Error: [PostgreSQL error] failed to retrieve PostgreSQL server_version_num: 18: self-signed certificate\n\n  Run with --v (verbose) or --vv (debug) for more details\n",
        ErrorDelivery::Returned,
        "18: self-signed certificate"
    )]
    #[case::in_nginx(
        1,
        "nginx: [error] init_by_lua error: /usr/local/share/lua/5.1/kong/init.lua:661: [PostgreSQL error] failed to retrieve PostgreSQL server_version_num: certificate verify failed\nstack traceback:\n\t[C]: in function 'assert'\n",
        ErrorDelivery::Returned,
        "certificate verify failed"
    )]
    #[case::raised(
        1,
        "Error: missing password, required for connect\n\n  Run with --v\n",
        ErrorDelivery::Raised,
        "missing password, required for connect"
    )]
    #[case::raised_in_nginx(
        1,
        "nginx: [error] init_by_lua error: /usr/local/share/lua/5.1/pgmoon/init.lua:352: missing password, required for connect\nstack traceback:\n",
        ErrorDelivery::Raised,
        "missing password, required for connect"
    )]
    #[case::nginx_does_not_start(
        2,
        "2026/11/21 18:09:16 [emerg] 32430#0: SSL_CTX_load_verify_locations(\"/p/.ca_combined\") failed (SSL: error:05800088:x509 certificate routines::no certificate or crl found)\n",
        ErrorDelivery::Raised,
        "SSL_CTX_load_verify_locations(\"/p/.ca_combined\") failed (SSL: error:05800088:x509 certificate routines::no certificate or crl found)"
    )]
    fn what_kong_prints_is_understood(
        #[case] status: i64,
        #[case] output: &str,
        #[case] delivery: ErrorDelivery,
        #[case] text: &str,
    ) {
        let refusal = ended(status, output).refusal().expect("a refusal");
        assert_eq!((refusal.delivery, refusal.text.as_str()), (delivery, text));
    }

    #[rstest]
    #[case(0, "Executed migrations:\n")]
    #[case(3, "Database needs bootstrapping or is older than Kong 1.0.\n")]
    #[case(
        1,
        "nginx: [error] init_by_lua error: /k/migrations.lua:20: Database needs bootstrapping or is older than Kong 1.0.\n"
    )]
    fn a_database_that_is_reached_is_a_connection(#[case] status: i64, #[case] output: &str) {
        assert_eq!(ended(status, output).refusal(), None);
    }

    #[rstest]
    #[case("3.9.1", Some("3.9.1-oss"))]
    #[case("Kong Enterprise 3.10.0.2", Some("3.10.0.2-enterprise"))]
    #[case("command not found", None)]
    fn a_release_is_read_from_the_output_of_kong_version(#[case] version: &str, #[case] release: Option<&str>) {
        assert_eq!(release_of(version).as_deref(), release);
    }
}
