//! One container with one server in it.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use bollard::models::{HostConfigLogConfig, PortBinding};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio_postgres::{Client, Config, NoTls};

use super::engine::{self, Label};
use super::files::{self, DATABASE_USER};
use super::shell::{LIMIT, Shell};
use super::template::{DATA, HOME, Templates};
use super::tunnel::Tunnel;
use crate::config::File;
use crate::error::{OwnerUnavailable, RuntimeError, within};
use crate::log::LogBook;
use crate::runtime::Host;
use crate::words::Owner;

/// Where a server is reached, wherever its container is.
const HOST: &str = "127.0.0.1";

/// A function of the shell, which is root: PostgreSQL refuses to run as that. `su`, which asks PAM, takes longer than
/// `setpriv`, which BusyBox has without these options.
const AS_DATABASE_USER: &str = r#"
if setpriv --reuid=postgres --regid=postgres --init-groups true 2>/dev/null; then
    as_database_user() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
else
    as_database_user() { su -s /bin/sh -c 'exec "$@"' -- postgres sh "$@"; }
fi
"#;

/// A container with an initialised data directory.
pub(super) struct Container {
    inner: ContainerAsync<GenericImage>,
    shell: Shell,
    password: String,
    /// On this machine.
    port: u16,
    /// To the container, if it is on another machine.
    _tunnel: Option<Tunnel>,
}

impl Container {
    /// Creates a container, and in it a data directory.
    pub(super) async fn create(
        engine: &bollard::Docker,
        image: &str,
        label: &Label,
        port: Option<u16>,
        templates: &Templates,
    ) -> Result<Self, RuntimeError> {
        let (name, tag) = engine::name_and_tag(image);
        let is_local = engine::is_local();
        let request = GenericImage::new(name, tag)
            .with_entrypoint("sh")
            .with_exposed_port(5432.tcp())
            .with_open_stdin(true)
            .with_user("root")
            .with_env_var("LC_ALL", "C")
            .with_label(&label.key, &label.value)
            .with_startup_timeout(LIMIT)
            .with_host_config_modifier(move |host| {
                // Only this machine shall reach the server, unless the engine is on another one.
                let host_ip = is_local.then(|| "127.0.0.1".to_owned());
                let host_port = port.filter(|_| is_local).map(|port| port.to_string());
                let binding = PortBinding { host_ip, host_port };
                host.publish_all_ports = Some(false);
                host.port_bindings = Some(HashMap::from([("5432/tcp".to_owned(), Some(vec![binding]))]));
                host.tmpfs = Some(HashMap::from([(HOME.to_owned(), String::new())]));
                // The output is read from the attached streams; the engine need not keep it.
                host.log_config = Some(HostConfigLogConfig { typ: Some("none".into()), config: None });
            });
        let failed = RuntimeError::failing("create a container");
        let inner = request.start().await.map_err(failed)?;
        let published = inner.get_host_port_ipv4(5432.tcp()).await.map_err(failed)?;
        let (port, tunnel) = if is_local {
            (published, None)
        } else {
            let host = inner.get_host().await.map_err(failed)?.to_string();
            let tunnel = Tunnel::open(port, (host, published)).await;
            let tunnel = tunnel.map_err(RuntimeError::failing("open a port to another machine"))?;
            (tunnel.port, Some(tunnel))
        };
        let mut shell = Shell::attach(engine, inner.id(), &format!("{DATABASE_USER}\n{AS_DATABASE_USER}")).await?;
        let password = templates.data_directory(engine, image, &mut shell).await?;
        Ok(Self { inner, shell, password, port, _tunnel: tunnel })
    }
}

#[async_trait]
impl Host for Container {
    fn conf(&self) -> Vec<(&'static str, String)> {
        vec![("listen_addresses", "*".into()), ("port", "5432".into()), ("unix_socket_directories", HOME.into())]
    }

    fn hba(&self) -> String {
        "host postgres postgres all scram-sha-256".into()
    }

    fn can_own(&self, _: Owner) -> Result<(), OwnerUnavailable> {
        Ok(())
    }

    async fn install(
        &mut self,
        before: &BTreeMap<String, File>,
        files: &BTreeMap<String, File>,
    ) -> Result<(), RuntimeError> {
        let commands = files::commands(before, files);
        self.shell.run("write the server's files", &format!("cd {DATA}\n{commands}")).await.map(drop)
    }

    fn log(&self) -> &LogBook {
        &self.shell.log
    }

    async fn start(&mut self) -> Result<usize, RuntimeError> {
        let mark = self.shell.log.mark();
        self.shell.run_in_background(&format!("as_database_user postgres -D {DATA}")).await?;
        Ok(mark)
    }

    async fn stop(&mut self) -> Result<(), RuntimeError> {
        let action = "stop PostgreSQL";
        // It may have ended by itself.
        let interrupt = format!("read -r pid <{DATA}/postmaster.pid && kill -INT \"$pid\" || :");
        self.shell.run(action, &interrupt).await?;
        let ended = self.shell.log.wait(self.shell.log.mark(), LIMIT, |_, is_open| (!is_open).then_some(())).await;
        ended.ok_or(RuntimeError::Timeout { action, limit: LIMIT })
    }

    fn address(&self) -> (String, u16) {
        (HOST.to_owned(), self.port)
    }

    async fn control(&self) -> Result<Client, RuntimeError> {
        let action = "reach the server in the container";
        let mut config = Config::new();
        config.host(HOST).port(self.port).user("postgres").password(&self.password).dbname("postgres");
        let connected = within(LIMIT, action, config.connect(NoTls)).await?;
        let (client, connection) = connected.map_err(RuntimeError::failing(action))?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn data_directory(&self) -> String {
        DATA.into()
    }

    fn container(&self) -> Option<String> {
        Some(self.inner.id().to_owned())
    }
}
