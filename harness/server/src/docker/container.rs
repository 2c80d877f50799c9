//! One container with one server in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::models::{HostConfigLogConfig, PortBinding};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio_postgres::{Client, Config, NoTls};

use super::engine::{self, Label};
use super::shell::{LIMIT, Shell};
use super::tunnel::Tunnel;
use crate::config::{File, INITDB};
use crate::error::{OwnerUnavailable, RuntimeError, within};
use crate::log::LogBook;
use crate::runtime::Host;
use crate::words::Owner;

/// The server's files are below it, in memory: the file systems of an engine can be slow.
const HOME: &str = "/postgres-tls-server";
const DATA: &str = "/postgres-tls-server/data";

/// Where a server is reached, wherever its container is.
const HOST: &str = "127.0.0.1";

/// PostgreSQL refuses to run as root, which the shell does. All images of it have this user.
const AS_DATABASE_USER: &str = "su postgres -s /bin/sh -c";

/// A container with an initialised data directory.
pub(super) struct Container {
    inner: ContainerAsync<GenericImage>,
    shell: Shell,
    password: String,
    /// On this machine.
    port: u16,
    /// To the container, if it is on another machine.
    _tunnel: Option<Tunnel>,
    /// Those of the database user in the container.
    uid: u64,
    gid: u64,
}

impl Container {
    /// Creates a container, and in it a data directory.
    pub(super) async fn create(
        engine: &bollard::Docker,
        image: &str,
        label: &Label,
        port: Option<u16>,
    ) -> Result<Self, RuntimeError> {
        let (name, tag) = engine::name_and_tag(image);
        let password = random_password()?;
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
        let mut shell = Shell::attach(engine, inner.id()).await?;
        let (uid, gid) = initialise(&mut shell, &password).await?;
        Ok(Self { inner, shell, password, port, _tunnel: tunnel, uid, gid })
    }

    /// The files as a tar archive, with numeric owners.
    fn archive(&self, files: &BTreeMap<String, File>) -> Result<Vec<u8>, RuntimeError> {
        let mut archive = tar::Builder::new(Vec::new());
        let failed = RuntimeError::failing("archive the server's files");
        let mut append = |name: &str, file: &File, kind: tar::EntryType| {
            let id = |owner: Owner, ours| owner.number().map_or(ours, u64::from);
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(file.content.len() as u64);
            header.set_mode(file.mode);
            header.set_uid(id(file.owner, self.uid));
            header.set_gid(id(file.group, self.gid));
            archive.append_data(&mut header, name, &file.content[..]).map_err(failed)
        };
        let folders: BTreeSet<_> = files.keys().filter_map(|name| name.rsplit_once('/')).map(|(of, _)| of).collect();
        for folder in folders {
            append(folder, &File { mode: 0o700, ..File::of_database_user("") }, tar::EntryType::Directory)?;
        }
        for (name, file) in files {
            append(name, file, tar::EntryType::Regular)?;
        }
        archive.into_inner().map_err(failed)
    }
}

/// Makes a data directory. Returns the ids of the user and the group that own it.
async fn initialise(shell: &mut Shell, password: &str) -> Result<(u64, u64), RuntimeError> {
    let action = "make a data directory with initdb";
    let options = INITDB.join(" ");
    let initdb = format!(
        "cd {HOME}
         printf %s {password} >password
         chown -R postgres {HOME}
         {AS_DATABASE_USER} 'initdb {options} --auth=scram-sha-256 --pwfile=password --pgdata={DATA}'
         rm password"
    );
    shell.run(action, &initdb).await?;
    let numbers = shell.run(action, "echo $(id -u postgres) $(id -g postgres)").await?;
    let known = numbers.trim().split_once(' ').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    known.ok_or_else(|| RuntimeError::failed(action, format!("`id` prints {numbers}")))
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

    async fn install(&mut self, files: &BTreeMap<String, File>, remove: &[String]) -> Result<(), RuntimeError> {
        let archive = BASE64_STANDARD.encode(self.archive(files)?);
        // Also those that are written again: they have to be new files. Names are separated by zeros, so that none has to
        // be quoted.
        let remove = BASE64_STANDARD.encode(remove.join("\0"));
        let commands = format!(
            "cd {DATA}
             base64 -d <<'END' | xargs -0 rm -f --
{remove}
END
             base64 -d <<'END' | tar -x -p -f -
{archive}
END"
        );
        self.shell.run("write the server's files", &commands).await.map(drop)
    }

    fn log(&self) -> &LogBook {
        &self.shell.log
    }

    async fn start(&mut self) -> Result<usize, RuntimeError> {
        let mark = self.shell.log.mark();
        self.shell.run_in_background(&format!("{AS_DATABASE_USER} 'postgres -D {DATA}'")).await?;
        Ok(mark)
    }

    async fn stop(&mut self) -> Result<(), RuntimeError> {
        let action = "stop PostgreSQL";
        // It may have ended by itself.
        let interrupt = format!("kill -INT \"$(head -n 1 {DATA}/postmaster.pid)\" || :");
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

fn random_password() -> Result<String, RuntimeError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(RuntimeError::failing("make a password"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
