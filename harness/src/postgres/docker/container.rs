//! One container with one server in it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::models::PortBinding;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder, LogsOptionsBuilder,
    StartContainerOptions, UploadToContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::{Stream, StreamExt};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio_postgres::{Client, Config, NoTls};

use super::engine;
use crate::postgres::closed_port::ClosedPort;
use crate::postgres::config::File;
use crate::postgres::log::LogBook;
use crate::postgres::runtime::{Host, RuntimeError};
use crate::scenario::Owner;

/// How long a container may take to be made, to start or to stop.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder that the image's own user may write to, whatever image it is, and that outlives a restart.
const HOME: &str = "/tmp/kong-pg-tls";
const DATA: &str = "/tmp/kong-pg-tls/data";

/// The first start makes the data directory and ends; every other is the server itself. `remove` lists the files that
/// a configuration before this one had.
const ENTRYPOINT: &str = r#"
set -eu
cd /tmp
if [ ! -s kong-pg-tls/data/PG_VERSION ]; then
    mkdir -p kong-pg-tls
    printf %s "$KONG_PG_TLS_PASSWORD" >kong-pg-tls/password
    initdb --username=postgres --pwfile=kong-pg-tls/password --auth=scram-sha-256 --no-sync --no-locale \
        --encoding=UTF8 --wal-segsize=1 --pgdata=kong-pg-tls/data >&2
    rm kong-pg-tls/password
    echo "$(id -u) $(id -g)"
    exit
fi
if [ -e kong-pg-tls/remove ]; then
    while read -r file; do rm -f "kong-pg-tls/data/$file"; done <kong-pg-tls/remove
fi
exec postgres -D /tmp/kong-pg-tls/data
"#;

/// A container with an initialised data directory.
pub(super) struct Container {
    inner: ContainerAsync<GenericImage>,
    engine: bollard::Docker,
    password: String,
    host: String,
    port: u16,
    /// The port of a server that did not start.
    closed: Option<ClosedPort>,
    uid: u64,
    gid: u64,
}

fn failed(doing: &'static str) -> impl Fn(bollard::errors::Error) -> RuntimeError {
    move |error| RuntimeError::failed(doing, error)
}

async fn limited<T>(doing: &'static str, work: impl Future<Output = T>) -> Result<T, RuntimeError> {
    tokio::time::timeout(LIMIT, work).await.map_err(|_| RuntimeError::timeout(doing, LIMIT))
}

impl Container {
    /// Makes a container, and in it a data directory.
    pub(super) async fn create(engine: bollard::Docker, image: &str, run: &Path) -> Result<Self, RuntimeError> {
        let (name, tag) = engine::name_and_tag(image);
        let password = secret()?;
        let local = engine::is_here();
        let request = GenericImage::new(name, tag)
            .with_entrypoint("sh")
            .with_exposed_port(5432.tcp())
            .with_cmd(["-c", ENTRYPOINT])
            .with_user("postgres")
            .with_env_var("LC_ALL", "C")
            .with_env_var("KONG_PG_TLS_PASSWORD", &password)
            .with_label(engine::LABEL, run.to_string_lossy())
            .with_startup_timeout(LIMIT)
            .with_host_config_modifier(move |host| {
                // Nobody but this machine is to reach the server; on a remote engine that cannot be had.
                let host_ip = local.then(|| "127.0.0.1".to_owned());
                let binding = PortBinding { host_ip, host_port: None };
                host.publish_all_ports = Some(false);
                host.port_bindings = Some(HashMap::from([("5432/tcp".to_owned(), Some(vec![binding]))]));
            });
        let making = "make a container";
        let container = request.start().await.map_err(|error| RuntimeError::failed(making, error))?;
        let host = container.get_host().await.map_err(|error| RuntimeError::failed(making, error))?.to_string();
        let host = if host == "localhost" { "127.0.0.1".to_owned() } else { host };
        let (uid, gid) = limited(making, first_start(&engine, container.id())).await??;
        Ok(Self { inner: container, engine, password, host, port: 0, closed: None, uid, gid })
    }

    /// The files as an archive whose owners are those of this container.
    fn archive(&self, files: &BTreeMap<String, File>) -> Result<Vec<u8>, RuntimeError> {
        let mut archive = tar::Builder::new(Vec::new());
        let failed = |error| RuntimeError::failed("put the server's files together", error);
        for (name, file) in files {
            let id = |owner: Owner, ours| owner.number().map_or(ours, u64::from);
            let mut header = tar::Header::new_gnu();
            header.set_size(file.content.len() as u64);
            header.set_mode(file.mode);
            header.set_uid(id(file.owner, self.uid));
            header.set_gid(id(file.group, self.gid));
            archive.append_data(&mut header, name, &file.content[..]).map_err(failed)?;
        }
        archive.into_inner().map_err(failed)
    }

    /// Through the engine, which can give files to root, into a container that runs or not.
    async fn upload(&self, path: &str, archive: Vec<u8>) -> Result<(), RuntimeError> {
        let doing = "copy files into the container";
        let options = UploadToContainerOptionsBuilder::new().path(path).build();
        let body = bollard::body_full(archive.into());
        let uploading = self.engine.upload_to_container(self.inner.id(), Some(options), body);
        limited(doing, uploading).await?.map_err(failed(doing))
    }

    /// Through the server itself, in one statement.
    async fn write(&self, control: &Client, remove: &[String], archive: &[u8]) -> Result<(), RuntimeError> {
        let doing = "write the server's files";
        let encoded = openssl::base64::encode_block(archive);
        // Removed first even where they come again: the old one may belong to root.
        let gone = if remove.is_empty() { String::new() } else { format!("rm -f {} && ", remove.join(" ")) };
        let copy = format!("COPY (SELECT '{encoded}') TO PROGRAM '{gone}base64 -d | tar -x -p -f -'");
        let writing = limited(doing, control.batch_execute(&copy)).await?;
        writing.map_err(|error| RuntimeError::failed(doing, error))
    }
}

/// Waits for the data directory, and for the numbers of the user that owns it.
async fn first_start(engine: &bollard::Docker, id: &str) -> Result<(u64, u64), RuntimeError> {
    let doing = "make a data directory with initdb";
    let mut ended = engine.wait_container(id, None::<WaitContainerOptions>);
    let ended = ended.next().await;
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let mut output = engine.logs(id, Some(options));
    let (mut said, mut complained) = (String::new(), String::new());
    while let Some(part) = output.next().await {
        match part.map_err(failed(doing))? {
            LogOutput::StdOut { message } => said.push_str(&String::from_utf8_lossy(&message)),
            other => complained.push_str(&String::from_utf8_lossy(&other.into_bytes())),
        }
    }
    let numbers = said.trim().split_once(' ').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    match (ended, numbers) {
        (Some(Ok(_)), Some(numbers)) => Ok(numbers),
        _ => Err(RuntimeError::failed(doing, complained.trim())),
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

    fn can_own(&self, _: Owner) -> Result<(), String> {
        Ok(())
    }

    async fn install(
        &mut self,
        files: &BTreeMap<String, File>,
        remove: &[String],
        control: Option<&Client>,
    ) -> Result<(), RuntimeError> {
        let archive = self.archive(files)?;
        let Some(control) = control else {
            let gone = remove.iter().filter(|name| !files.contains_key(*name));
            let list = File::of_database_user(gone.map(|name| format!("{name}\n")).collect::<String>());
            self.upload(HOME, self.archive(&BTreeMap::from([("remove".to_owned(), list)]))?).await?;
            return self.upload(DATA, archive).await;
        };
        self.write(control, remove, &archive).await?;
        // The server cannot give files away, the engine can.
        let given_away = |file: &File| file.owner.number().or(file.group.number()).is_some();
        if files.values().any(given_away) { self.upload(DATA, archive).await } else { Ok(()) }
    }

    async fn start(&mut self, log: &LogBook) -> Result<usize, RuntimeError> {
        let starting = "start a container";
        let mark = log.mark();
        let id = self.inner.id();
        // Attached before the start, so that no line is missed and none is seen twice.
        let options = AttachContainerOptionsBuilder::new().stream(true).stderr(true).stdout(true).build();
        let attached = limited(starting, self.engine.attach_container(id, Some(options))).await?;
        log.open();
        tokio::spawn(read(attached.map_err(failed(starting))?.output, log.clone()));
        let start = self.engine.start_container(id, None::<StartContainerOptions>);
        limited(starting, start).await?.map_err(failed(starting))?;
        let inspected = self.engine.inspect_container(id, None::<InspectContainerOptions>);
        let inspected = limited(starting, inspected).await?.map_err(failed(starting))?;
        let ports = inspected.network_settings.and_then(|network| network.ports).unwrap_or_default();
        let bindings = ports.get("5432/tcp").cloned().flatten().unwrap_or_default();
        let port = bindings.into_iter().find_map(|binding| binding.host_port?.parse().ok());
        self.port = port.unwrap_or_default();
        self.closed = None;
        Ok(mark)
    }

    async fn stop(&mut self, log: &LogBook) -> Result<(), RuntimeError> {
        let stopping = "stop a container";
        let mark = log.mark();
        let options = KillContainerOptionsBuilder::new().signal("SIGINT").build();
        let killed = limited(stopping, self.engine.kill_container(self.inner.id(), Some(options))).await?;
        killed.map_err(failed(stopping))?;
        let ended = log.wait(mark, LIMIT, |_, open| (!open).then_some(())).await;
        ended.ok_or_else(|| RuntimeError::timeout(stopping, LIMIT))
    }

    async fn ended(&mut self) -> Result<(), RuntimeError> {
        let waiting = "wait for the end of a container";
        // The engine's proxy takes connections for a moment longer than there is a server.
        let _ =
            limited(waiting, self.engine.wait_container(self.inner.id(), None::<WaitContainerOptions>).next()).await?;
        let (closed, port) = ClosedPort::take().map_err(|error| RuntimeError::failed(waiting, error))?;
        (self.port, self.closed) = (port, Some(closed));
        Ok(())
    }

    fn address(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }

    async fn control(&self) -> Result<Client, RuntimeError> {
        let reaching = "reach the server in the container";
        let mut config = Config::new();
        config.host(&self.host).port(self.port).user("postgres").password(&self.password).dbname("postgres");
        let (client, connection) =
            limited(reaching, config.connect(NoTls)).await?.map_err(|error| RuntimeError::failed(reaching, error))?;
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

/// Hands the server's lines to the log as they come, until it has ended.
async fn read(mut output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin, log: LogBook) {
    let mut pending = Vec::new();
    while let Some(Ok(part)) = output.next().await {
        pending.extend_from_slice(&part.into_bytes());
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = pending.drain(..=end).collect();
            log.append(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r'));
        }
    }
    log.close();
}

fn secret() -> Result<String, RuntimeError> {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes).map_err(|error| RuntimeError::failed("make a password", error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
