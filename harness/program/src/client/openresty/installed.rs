//! Kong's stacks as Debian packages them: installed on this machine, or else in a container that shares this machine's
//! network, its processes and the folder of the run, so that only the way in which a program is started differs.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt;
use postgres_tls_server::engine;
use testcontainers::core::Mount;
use testcontainers::runners::{AsyncBuilder, AsyncRunner};
use testcontainers::{ContainerAsync, GenericBuildableImage, GenericImage, ImageExt};

use super::program::{Invocation, Program};
use crate::client::{ClientOptions, Unavailable};
use crate::runfolder::CONTAINER_LABEL;

/// The packages of Debian that have all of it.
const PACKAGES: &str = "nginx libnginx-mod-http-lua lua-sec lua-socket luajit2";

/// The name and the tag of an image that has them, and the image it is built on.
const IMAGE: (&str, &str) = ("kong-pg-tls/openresty", "bookworm");
const BASE: &str = "debian:bookworm-slim";

/// How long the image may take to be built, and the container to start.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where Kong's stacks are, and in which versions.
pub(super) struct Installed {
    host: Host,
    pub(super) nginx: PathBuf,
    /// The folder of nginx's modules.
    pub(super) modules: PathBuf,
    pub(super) luajit: PathBuf,
    /// For display.
    pub(super) versions: String,
}

/// Where the programs run.
enum Host {
    Machine,
    Container(bollard::Docker, Box<ContainerAsync<GenericImage>>),
}

impl Installed {
    /// Looks for the programs on this machine, or else starts a container that has them.
    ///
    /// # Errors
    /// What is missing, and what to install.
    pub(super) async fn find(needs: &ClientOptions) -> Result<Self, Unavailable> {
        let missing = match Self::probe(Host::Machine).await {
            Ok(installed) => return Ok(installed),
            Err(missing) => missing,
        };
        let container = container(needs).await.map_err(|why| Unavailable::Stacks {
            installed: Box::new(missing),
            packages: PACKAGES,
            container: Box::new(why),
        })?;
        let mut installed = Self::probe(container).await?;
        installed.versions = format!("{} (in a container of {})", installed.versions, image());
        Ok(installed)
    }

    async fn probe(host: Host) -> Result<Self, Unavailable> {
        let find = |name| host.program(name).ok_or_else(|| Unavailable::missing(format!("there is no {name} here")));
        let (nginx, luajit) = (find("nginx")?, find("luajit")?);
        // nginx prints its version and its build options on stderr.
        let build = host.output(&nginx, &["-V"]).await;
        let build = build.map_err(|source| Unavailable::Io { what: "nginx".into(), source })?.text;
        let modules = build.split_whitespace().find_map(|word| word.strip_prefix("--modules-path="));
        let modules = PathBuf::from(modules.ok_or_else(|| Unavailable::missing("nginx has no modules"))?);
        if matches!(host, Host::Machine) && !modules.join("ngx_http_lua_module.so").exists() {
            return Err(Unavailable::missing("nginx has no Lua module"));
        }
        let libraries = "print('LuaSec ' .. require('ssl')._VERSION .. ', ' .. require('socket')._VERSION)";
        let libraries = host.output(&luajit, &["-e", libraries]).await;
        let libraries = libraries.ok().filter(|output| output.is_success);
        let libraries = libraries.ok_or_else(|| Unavailable::missing("luajit has no LuaSec and LuaSocket"))?.text;
        let after = |what: &str| build.split_once(what).and_then(|(_, rest)| rest.split_whitespace().next());
        let openssl = after("running with OpenSSL ").or_else(|| after("built with OpenSSL ")).unwrap_or("of its own");
        let nginx_version = after("nginx/").unwrap_or_default();
        let versions = format!("nginx {nginx_version}, {}, OpenSSL {openssl}", libraries.trim());
        Ok(Self { host, nginx, modules, luajit, versions })
    }

    /// Starts one of its programs, with this environment and nothing of the caller's.
    pub(super) async fn start(
        &self,
        program: &Path,
        arguments: &[&OsStr],
        environment: &[(&str, String)],
        folder: &Path,
    ) -> io::Result<Program> {
        let environment: Vec<_> = environment.iter().cloned().chain([("LC_ALL", "C".to_owned())]).collect();
        let invocation = Invocation { program, arguments, environment: &environment, folder };
        match &self.host {
            Host::Machine => Program::spawn(&invocation),
            Host::Container(engine, container) => Program::exec(engine, container.id(), &invocation).await,
        }
    }

    /// Removes the container, if there is one.
    pub(super) async fn close(&self) {
        if let Host::Container(engine, container) = &self.host {
            // It may have been removed in the meantime.
            let _ = engine::remove(engine, container.id()).await;
        }
    }
}

/// What a program has printed on stdout and stderr, and whether it has succeeded.
struct Output {
    text: String,
    is_success: bool,
}

impl Host {
    /// A program of the `PATH`, or of the folder where Debian has those of administrators.
    fn program(&self, name: &str) -> Option<PathBuf> {
        if let Self::Container(..) = self {
            return Some(name.into());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        folders.map(|folder| folder.join(name)).find(|program| program.is_file())
    }

    /// Runs a program to its end.
    async fn output(&self, program: &Path, arguments: &[&str]) -> io::Result<Output> {
        match self {
            Self::Machine => {
                let mut command = Command::new(program);
                let output = command.args(arguments).env_clear().env("LC_ALL", "C").current_dir("/").output()?;
                let text = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&text).into_owned();
                Ok(Output { text, is_success: output.status.success() })
            }
            Self::Container(engine, container) => {
                contained_output(engine, container.id(), program, arguments).await.map_err(io::Error::other)
            }
        }
    }
}

async fn contained_output(
    engine: &bollard::Docker,
    container: &str,
    program: &Path,
    arguments: &[&str],
) -> Result<Output, bollard::errors::Error> {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned());
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some([program.to_string_lossy().into_owned()].into_iter().chain(arguments).collect()),
        env: Some(vec!["LC_ALL=C".to_owned()]),
        ..CreateExecOptions::default()
    };
    let created = engine.create_exec(container, options).await?;
    let mut text = String::new();
    if let StartExecResults::Attached { mut output, .. } = engine.start_exec(&created.id, None).await? {
        while let Some(part) = output.next().await {
            let part: LogOutput = part?;
            text.push_str(&String::from_utf8_lossy(&part.into_bytes()));
        }
    }
    let state = engine.inspect_exec(&created.id).await?;
    Ok(Output { text, is_success: state.exit_code == Some(0) })
}

fn image() -> String {
    format!("{}:{}", IMAGE.0, IMAGE.1)
}

/// Starts a container in which the programs can be run.
async fn container(needs: &ClientOptions) -> Result<Host, Unavailable> {
    let engine = engine::connect().await?;
    if !engine::is_local() {
        let why = "a container of an engine on another machine has neither this one's folders nor its network";
        return Err(Unavailable::missing(why));
    }
    let found = engine.inspect_image(&image()).await;
    let stacks = if found.is_ok() { GenericImage::new(IMAGE.0, IMAGE.1) } else { build(needs).await? };
    let run = needs.run.path().to_string_lossy().into_owned();
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let request = stacks
        .with_entrypoint("sleep")
        .with_cmd(["infinity"])
        .with_network("host")
        .with_host_config_modifier(|host| host.pid_mode = Some("host".into()))
        .with_mount(Mount::bind_mount(run.clone(), run.clone()))
        // SELinux would deny it the folder of the run.
        .with_security_opt("label=disable")
        .with_user(format!("{}:{}", user.as_raw(), group.as_raw()))
        .with_label(CONTAINER_LABEL, run)
        .with_startup_timeout(START_LIMIT);
    let container = request.start().await;
    let started = |source| Unavailable::Image { what: format!("{} does not start", image()), source };
    let container = container.map_err(started)?;
    Ok(Host::Container(engine, Box::new(container)))
}

/// Builds the image, which is kept for later runs.
async fn build(needs: &ClientOptions) -> Result<GenericImage, Unavailable> {
    if !needs.may_build {
        return Err(Unavailable::missing(format!("an engine answers; `run` builds {} on {BASE}", image())));
    }
    eprintln!("building {} on {BASE}, which takes a minute, once", image());
    let dockerfile = format!(
        "FROM {BASE}\nRUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES} && rm -rf /var/lib/apt/lists/*\n"
    );
    let building = GenericBuildableImage::new(IMAGE.0, IMAGE.1).with_dockerfile_string(dockerfile).build_image();
    let built = tokio::time::timeout(BUILD_LIMIT, building)
        .await
        .map_err(|_| Unavailable::missing(format!("{} was not built within {} s", image(), BUILD_LIMIT.as_secs())))?;
    built.map_err(|source| Unavailable::Image { what: format!("{} cannot be built on {BASE}", image()), source })
}
