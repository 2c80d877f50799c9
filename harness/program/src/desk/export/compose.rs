//! A docker-compose file of the server and Kong.

use std::fmt::Write as _;
use std::path::Path;

use kong_pg_client::conf::variable;
use kong_pg_scenarios::roles;
use kong_pg_scenarios::vocabulary::quoted;
use postgres_tls_server::{File, Owner};

use super::deployment::{Address, Deployment};
use super::error::ExportError;
use super::format::Format;

/// Where Kong's files are in its container.
const FOLDER: &str = "/etc/kong/tls";

/// The server's data directory. The image's own would be initialized by the image's entry point, with a pg_hba.conf
/// that lets everybody in.
const DATA: &str = "/var/lib/postgresql/kong-pg-tls";

pub(super) fn write(deployment: &Deployment, address: &Address) -> Result<String, ExportError> {
    let (repository, tag) = deployment.image(Format::Compose)?;
    let major = deployment.cell.major;
    let inside = Address { host: "postgres".into(), port: 5432 };
    let mut environment = String::new();
    for (key, value) in deployment.kong(Path::new(FOLDER), Some(&inside)) {
        // Writing to a String cannot fail.
        let _ = writeln!(environment, "    {}: {}", variable(&key), text(&value)?);
    }
    let script = indented(&script(deployment), "        ").replace('$', "$$");
    let port = address.port;
    Ok(format!(
        r#"x-kong: &kong
  image: {repository}:{tag}
  volumes: [./kong:{FOLDER}:ro]
  environment:
{environment}services:
  postgres:
    image: postgres:{major}
    user: root
    entrypoint: [sh, -euc]
    command:
      - |
{script}    volumes: [./postgres:/kong-pg-tls:ro]
    ports: ["127.0.0.1:{port}:5432"]
    healthcheck:
      test: [CMD, pg_isready, --host=127.0.0.1]
      interval: 1s
      timeout: 5s
      retries: 60
  migrations:
    <<: *kong
    command: [kong, migrations, bootstrap]
    depends_on:
      postgres: {{ condition: service_healthy }}
  kong:
    <<: *kong
    depends_on:
      migrations: {{ condition: service_completed_successfully }}
"#
    ))
}

/// A text as Compose takes it: `$` would be a variable.
fn text(value: &str) -> Result<String, ExportError> {
    Ok(serde_json::to_string(&value.replace('$', "$$"))?)
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

/// What the server's container does: a data directory with the suite's roles, the cell's files, and the server.
fn script(deployment: &Deployment) -> String {
    let mut script = format!(
        r#"data={DATA}
as_postgres() {{ su postgres -s /bin/sh -c "cd / && $1"; }}
if ! [ -e $data/PG_VERSION ]; then
  install -d -o postgres -g postgres -m 0700 $data
  as_postgres "initdb --username=postgres --auth=trust --no-sync --no-locale --encoding=UTF8 --pgdata=$data" >/dev/null
  as_postgres "postgres --single -j -D $data postgres" </kong-pg-tls/roles.sql >/dev/null
  cat /kong-pg-tls/postgresql.conf >>$data/postgresql.conf
  install -o postgres -g postgres -m 0600 /kong-pg-tls/pg_hba.conf /kong-pg-tls/pg_ident.conf $data
"#
    );
    for (name, file) in &deployment.server.files {
        let File { mode, owner, group, .. } = file;
        let id = |owner: &Owner| owner.number().map_or_else(|| "postgres".to_owned(), |number| number.to_string());
        let (owner, group, name) = (id(owner), id(group), quoted(name));
        let folder = name.rsplit_once('/').map(|(folder, _)| folder);
        if let Some(folder) = folder {
            let _ = writeln!(script, "  install -d -o postgres -g postgres -m 0700 $data/{folder}");
        }
        let _ =
            writeln!(script, "  install -o {owner} -g {group} -m {mode:04o} /kong-pg-tls/files/{name} $data/{name}");
    }
    script
        + "fi\nexec su postgres -s /bin/sh -c \"cd / && exec postgres -D $data -c 'listen_addresses=*' -c unix_socket_directories=$data -c log_connections=on\"\n"
}

/// The statements for the suite's roles, as a server in single-user mode reads them.
pub(super) fn roles() -> String {
    roles::statements().iter().map(|statement| format!("{};\n\n", statement.trim().trim_end_matches(';'))).collect()
}
