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
use testcontainers::{ContainerAsync, GenericBuildableImage, GenericImage, Image, ImageExt};

use super::conf::{Surroundings, arguments};
use super::program::{Invocation, Program};
use crate::client::{ClientOptions, Unavailable};
use crate::runfolder::CONTAINER_LABEL;

/// The packages of Debian that have all of it.
const PACKAGES: &str = "nginx libnginx-mod-http-lua lua-sec lua-socket lua-luaossl lua-penlight lua-filesystem";

/// The name and the tag of the default image that has them, and the image it is built on.
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
    /// For display.
    pub(super) versions: String,
}

/// Where the programs run.
enum Host {
    Machine,
    Container(bollard::Docker, Box<ContainerAsync<GenericImage>>),
}

impl Installed {
    /// Looks for the programs on this machine, unless an image was named, or else starts a container that has them.
    /// `libraries` are the Lua modules that are needed besides LuaSec and LuaSocket. `folder` is one of the run's.
    ///
    /// # Errors
    /// What is missing, and what to install.
    pub(super) async fn find(needs: &ClientOptions, libraries: &[&str], folder: &Path) -> Result<Self, Unavailable> {
        if let Some(image) = &needs.openresty_image {
            let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
            let stacks = existing(&engine().await?, name, tag).await;
            let stacks = stacks.ok_or_else(|| Unavailable::missing(format!("there is no image {image} here")))?;
            return Self::contained(stacks, needs, libraries, folder).await;
        }
        let missing = match Self::probe(Host::Machine, libraries, folder).await {
            Ok(installed) => return Ok(installed),
            Err(missing) => missing,
        };
        let stacks = default_image(needs).await.map_err(|why| Unavailable::Stacks {
            installed: Box::new(missing),
            packages: PACKAGES,
            container: Box::new(why),
        })?;
        Self::contained(stacks, needs, libraries, folder).await
    }

    async fn contained(
        image: GenericImage,
        needs: &ClientOptions,
        libraries: &[&str],
        folder: &Path,
    ) -> Result<Self, Unavailable> {
        let name = format!("{}:{}", image.name(), image.tag());
        let mut installed = Self::probe(container(image, needs).await?, libraries, folder).await?;
        installed.versions = format!("{} (in a container of {name})", installed.versions);
        Ok(installed)
    }

    async fn probe(host: Host, libraries: &[&str], folder: &Path) -> Result<Self, Unavailable> {
        let nginx = host.program("nginx").ok_or_else(|| Unavailable::missing("there is no nginx here"))?;
        let failed = |source| Unavailable::Io { what: "nginx".into(), source };
        // nginx prints its version and its build options on stderr.
        let build = host.output(&nginx, &["-V".as_ref()]).await.map_err(failed)?.text;
        let modules = build.split_whitespace().find_map(|word| word.strip_prefix("--modules-path="));
        let modules = PathBuf::from(modules.ok_or_else(|| Unavailable::missing("nginx has no modules"))?);
        if matches!(host, Host::Machine) && !modules.join("ngx_http_lua_module.so").exists() {
            return Err(Unavailable::missing("nginx has no Lua module"));
        }
        let surroundings = Surroundings { folder: folder.to_owned(), modules: modules.clone(), libraries: Vec::new() };
        let (conf, log) = (folder.join("versions.conf"), surroundings.log("versions"));
        std::fs::write(&conf, surroundings.in_init("versions", &versions_of(libraries))).map_err(failed)?;
        let lua = host.output(&nginx, &arguments(&conf, folder, &log)).await;
        let lua = lua.ok().filter(|output| output.is_success).map(|output| output.text);
        let lua = lua.ok_or_else(|| {
            let all = [&["LuaSec", "LuaSocket"], libraries].concat();
            Unavailable::missing(format!("nginx's Lua does not have all of {}", all.join(", ")))
        })?;
        let after = |what: &str| build.split_once(what).and_then(|(_, rest)| rest.split_whitespace().next());
        let openssl = after("running with OpenSSL ").or_else(|| after("built with OpenSSL ")).unwrap_or("of its own");
        let nginx_version = after("nginx/").unwrap_or_default();
        let versions = format!("nginx {nginx_version}, {}, OpenSSL {openssl}", lua.trim());
        Ok(Self { host, nginx, modules, versions })
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

/// Lua code that prints versions, and ends the process.
fn versions_of(libraries: &[&str]) -> String {
    let others: String = libraries.iter().map(|library| format!("require '{library}'\n")).collect();
    format!(
        "{others}io.write('LuaSec ', require('ssl')._VERSION, ', ', require('socket')._VERSION)\nio.flush()\nos.exit(true)"
    )
}

/// What a program has printed on stdout and stderr, and whether it has succeeded.
struct Output {
    text: String,
    is_success: bool,
}

impl Host {
    /// A program of the `PATH`, or of the folder where Debian has those of administrators, which their `PATH` alone names.
    fn program(&self, name: &str) -> Option<PathBuf> {
        if let Self::Container(..) = self {
            return Some(name.into());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = std::env::split_paths(&path).collect();
        if folders.iter().any(|folder| folder == Path::new("/usr/bin")) {
            folders.push("/usr/sbin".into());
        }
        folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
    }

    /// Runs a program to its end.
    async fn output(&self, program: &Path, arguments: &[&OsStr]) -> io::Result<Output> {
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
    arguments: &[&OsStr],
) -> Result<Output, bollard::errors::Error> {
    let arguments = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
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

/// The engine, which must be this machine's.
async fn engine() -> Result<bollard::Docker, Unavailable> {
    let engine = engine::connect().await?;
    if engine::shares_this_machine(&engine).await {
        return Ok(engine);
    }
    let why =
        "a container of a rootless engine, or of one on another machine, does not have this one's folders and network";
    Err(Unavailable::missing(why))
}

/// An image, if the engine has it.
async fn existing(engine: &bollard::Docker, name: &str, tag: &str) -> Option<GenericImage> {
    engine.inspect_image(&format!("{name}:{tag}")).await.is_ok().then(|| GenericImage::new(name, tag))
}

/// The image that is used where nothing else was asked for; it is built if it is missing.
async fn default_image(needs: &ClientOptions) -> Result<GenericImage, Unavailable> {
    match existing(&engine().await?, IMAGE.0, IMAGE.1).await {
        Some(image) => Ok(image),
        None => build(needs).await,
    }
}

/// Starts a container in which the programs can be run.
async fn container(image: GenericImage, needs: &ClientOptions) -> Result<Host, Unavailable> {
    let name = format!("{}:{}", image.name(), image.tag());
    let run = needs.run.path().to_string_lossy().into_owned();
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let request = image
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
    let started = |source| Unavailable::Image { what: format!("{name} does not start"), source };
    let container = container.map_err(started)?;
    Ok(Host::Container(engine().await?, Box::new(container)))
}

/// Builds the image, which is kept for later runs.
async fn build(needs: &ClientOptions) -> Result<GenericImage, Unavailable> {
    let image = format!("{}:{}", IMAGE.0, IMAGE.1);
    if !needs.may_build {
        return Err(Unavailable::missing(format!("an engine answers; `run` builds {image} on {BASE}")));
    }
    eprintln!("building {image} on {BASE}, which takes a minute, once");
    let dockerfile = format!(
        "FROM {BASE}\nRUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES} && rm -rf /var/lib/apt/lists/*\n"
    );
    let building = GenericBuildableImage::new(IMAGE.0, IMAGE.1).with_dockerfile_string(dockerfile).build_image();
    let built = tokio::time::timeout(BUILD_LIMIT, building)
        .await
        .map_err(|_| Unavailable::missing(format!("{image} was not built within {} s", BUILD_LIMIT.as_secs())))?;
    built.map_err(|source| Unavailable::Image { what: format!("{image} cannot be built on {BASE}"), source })
}
