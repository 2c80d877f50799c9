//! Kong's stacks as Debian has them: installed on this machine, or else in a container that shares this machine's
//! network and processes and the run's folder, so that nothing but the start of a program is different.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testcontainers::core::Mount;
use testcontainers::runners::{AsyncBuilder, AsyncRunner};
use testcontainers::{ContainerAsync, GenericBuildableImage, GenericImage, ImageExt};

use crate::client::ClientOptions;
use postgres_tls_server::engine;

/// Debian's packages that have it all.
const PACKAGES: &str = "nginx libnginx-mod-http-lua lua-sec lua-socket luajit2";

/// An image that has them, and what it is built on where it is missing.
const IMAGE: (&str, &str) = ("kong-pg-tls/openresty", "bookworm");
const BASE: &str = "debian:bookworm-slim";

/// How long the image may take to be built, and the container to start.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
const START_LIMIT: Duration = Duration::from_secs(60);

/// The programs of Kong's stacks.
pub(super) struct Installed {
    place: Place,
    pub(super) nginx: PathBuf,
    /// The folder of nginx's modules.
    pub(super) modules: PathBuf,
    pub(super) luajit: PathBuf,
    /// What it is, and in which versions.
    pub(super) versions: String,
}

enum Place {
    Machine,
    Container(Box<ContainerAsync<GenericImage>>),
}

impl Installed {
    /// Looks for it.
    ///
    /// # Errors
    /// What is missing, and what to install.
    pub(super) async fn find(needs: &ClientOptions) -> Result<Self, String> {
        let missing = match Self::probe(Place::Machine) {
            Ok(installed) => return Ok(installed),
            Err(missing) => missing,
        };
        let container = container(needs).await.map_err(|why| {
            format!("{missing}; install Debian's packages {PACKAGES}, or have an image of them built (now: {why})")
        })?;
        let mut installed = Self::probe(Place::Container(Box::new(container)))?;
        installed.versions = format!("{} (in a container of {})", installed.versions, image());
        Ok(installed)
    }

    fn probe(place: Place) -> Result<Self, String> {
        let find = |name| place.program(name).ok_or_else(|| format!("there is no {name} here"));
        let (nginx, luajit) = (find("nginx")?, find("luajit")?);
        // nginx prints its versions and options on stderr.
        let said = place.command(&nginx, &[]).arg("-V").output().map_err(|error| format!("nginx: {error}"))?;
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let modules = said.split_whitespace().find_map(|word| word.strip_prefix("--modules-path="));
        let modules = PathBuf::from(modules.ok_or("nginx has no modules")?);
        if matches!(place, Place::Machine) && !modules.join("ngx_http_lua_module.so").exists() {
            return Err("nginx has no Lua module".into());
        }
        let libraries = "print('LuaSec ' .. require('ssl')._VERSION .. ', ' .. require('socket')._VERSION)";
        let libraries = place.command(&luajit, &[]).args(["-e", libraries]).output();
        let libraries = libraries.ok().filter(|output| output.status.success());
        let libraries = libraries.ok_or("luajit has no LuaSec and LuaSocket")?;
        let libraries = String::from_utf8_lossy(&libraries.stdout).trim().to_owned();
        let after = |what: &str| said.split_once(what).and_then(|(_, rest)| rest.split_whitespace().next());
        let openssl = after("running with OpenSSL ").or_else(|| after("built with OpenSSL ")).unwrap_or("of its own");
        let versions = format!("nginx {}, {libraries}, OpenSSL {openssl}", after("nginx/").unwrap_or_default());
        Ok(Self { place, nginx, modules, luajit, versions })
    }

    /// One of its programs, with nothing of the caller's environment.
    pub(super) fn command(&self, program: &Path, environment: &[(&str, String)]) -> Command {
        self.place.command(program, environment)
    }

    /// Removes the container, if there is one.
    pub(super) async fn close(&self) {
        if let (Place::Container(container), Ok(engine)) = (&self.place, engine::connect().await) {
            // Whoever removed it before us did what we want.
            let _ = engine::remove(&engine, container.id()).await;
        }
    }
}

impl Place {
    /// A program of the `PATH`, or of where Debian has those of administrators.
    fn program(&self, name: &str) -> Option<PathBuf> {
        if let Self::Container(_) = self {
            return Some(name.into());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        folders.map(|folder| folder.join(name)).find(|program| program.is_file())
    }

    fn command(&self, program: &Path, environment: &[(&str, String)]) -> Command {
        let environment = environment.iter().map(|(name, value)| (*name, value.as_str())).chain([("LC_ALL", "C")]);
        match self {
            Self::Machine => {
                let mut command = Command::new(program);
                command.env_clear().envs(environment);
                command
            }
            Self::Container(container) => {
                let mut command = Command::new("docker");
                command.args(["exec", "--interactive"]);
                command.args(environment.map(|(name, value)| format!("--env={name}={value}")));
                // A group of its own: Ctrl-C is for us, and what is in the container ends with its standard input.
                command.arg(container.id()).arg(program).process_group(0);
                command
            }
        }
    }
}

fn image() -> String {
    format!("{}:{}", IMAGE.0, IMAGE.1)
}

/// A container in which the programs can be run.
async fn container(needs: &ClientOptions) -> Result<ContainerAsync<GenericImage>, String> {
    let engine = engine::connect().await.map_err(|error| error.to_string())?;
    if !engine::is_here() {
        return Err("a container of an engine on another machine has neither this one's folders nor its network".into());
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
        // SELinux would keep the run's folder from it.
        .with_security_opt("label=disable")
        .with_user(format!("{}:{}", user.as_raw(), group.as_raw()))
        .with_label(engine::LABEL, run)
        .with_startup_timeout(START_LIMIT);
    request.start().await.map_err(|error| format!("{} does not start: {error}", image()))
}

/// Builds the image, which stays.
async fn build(needs: &ClientOptions) -> Result<GenericImage, String> {
    if !needs.may_build {
        return Err(format!("an engine answers; a run builds {} on {BASE}", image()));
    }
    eprintln!("building {} on {BASE}, which takes a minute, once", image());
    let dockerfile = format!(
        "FROM {BASE}\nRUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES} && rm -rf /var/lib/apt/lists/*\n"
    );
    let building = GenericBuildableImage::new(IMAGE.0, IMAGE.1).with_dockerfile_string(dockerfile).build_image();
    let built = tokio::time::timeout(BUILD_LIMIT, building).await.map_err(|_| "no end of building it")?;
    built.map_err(|error| format!("{} cannot be built on {BASE}: {error}", image()))
}
