//! The configuration files of the programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kong_pg_scenarios::vocabulary::RelayProgram;
use rustix::process::Signal;

/// A program with its configuration.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The program.
    pub program: RelayProgram,
    /// Its settings; files are named by their names.
    pub settings: Vec<(String, String)>,
    /// The files.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// The name of a program's configuration file, and the arguments that lead to it.
pub(super) fn command(program: RelayProgram) -> (&'static str, &'static [&'static str]) {
    match program {
        RelayProgram::Pgbouncer => ("pgbouncer.ini", &["pgbouncer.ini"]),
        RelayProgram::Stunnel => ("stunnel.conf", &["stunnel.conf"]),
        RelayProgram::Haproxy => ("haproxy.cfg", &["-db", "-f", "haproxy.cfg"]),
        // Without names of their own, it would read the files of the system's.
        RelayProgram::Pgpool => {
            let files = &["-n", "-D", "-f", "pgpool.conf", "-a", "pool_hba.conf", "-F", "pcp.conf", "-k", "pgpoolkey"];
            ("pgpool.conf", files)
        }
        RelayProgram::Odyssey => ("odyssey.conf", &["odyssey.conf"]),
    }
}

/// What a program logs when it accepts connections; `None` if it does so from the beginning.
pub(super) fn ready(program: RelayProgram) -> Option<&'static str> {
    match program {
        RelayProgram::Pgbouncer => Some(" process up: "),
        RelayProgram::Stunnel => Some(": Accepting new connections"),
        RelayProgram::Haproxy => None,
        RelayProgram::Pgpool => Some("pgpool-II successfully started"),
        RelayProgram::Odyssey => Some("(server) listening on "),
    }
}

/// Whether it logs that a moment before.
pub(super) fn is_early(program: RelayProgram) -> bool {
    program == RelayProgram::Odyssey
}

/// The signal that ends a program in order: PgBouncer says goodbye to the server.
pub(super) fn end(program: RelayProgram) -> Signal {
    match program {
        RelayProgram::Pgbouncer | RelayProgram::Pgpool | RelayProgram::Odyssey => Signal::INT,
        RelayProgram::Stunnel | RelayProgram::Haproxy => Signal::TERM,
    }
}

/// The signal that ends a program which nobody waits for, and its name for setpriv.
pub(super) fn abandon(program: RelayProgram) -> (Signal, &'static str) {
    match program {
        RelayProgram::Pgbouncer | RelayProgram::Stunnel | RelayProgram::Haproxy | RelayProgram::Odyssey => {
            (Signal::KILL, "KILL")
        }
        // Its other processes and its shared memory would outlive the first process.
        RelayProgram::Pgpool => (Signal::INT, "INT"),
    }
}

/// The configuration file: what the suite says, and the settings of the scenario.
pub(super) fn text(configured: &Configured, port: u16, (host, server_port): &(String, u16)) -> String {
    let Configured { program, settings, .. } = configured;
    let (mut text, before, after) = match program {
        RelayProgram::Pgbouncer => (
            format!(
                "[databases]\n* = host={host} port={server_port}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\n"
            ),
            " = ",
            "",
        ),
        RelayProgram::Stunnel => (
            format!(
                "foreground = yes\ndebug = info\npid =\n\n[kong]\naccept = 127.0.0.1:{port}\n\
                 connect = {host}:{server_port}\n"
            ),
            " = ",
            "",
        ),
        RelayProgram::Haproxy => (
            "global\n  log stdout format raw local0 info\n\nlisten kong\n  bind fd@0\n  mode tcp\n  log global\n  \
             log-format \"from %ci to %b/%s\"\n"
                .to_owned(),
            " ",
            "",
        ),
        RelayProgram::Pgpool => (
            format!(
                "listen_addresses = '127.0.0.1'\nport = {port}\nsocket_dir = '.'\npcp_listen_addresses = ''\n\
                 pcp_socket_dir = '.'\nwork_dir = '.'\nlogdir = '.'\npid_file_name = 'pgpool.pid'\n\
                 backend_hostname0 = '{host}'\nbackend_port0 = {server_port}\nbackend_clustering_mode = 'raw'\n\
                 sr_check_period = 0\nnum_init_children = 2\nconnection_cache = off\nlog_connections = on\n\
                 log_disconnections = on\nmemqcache_total_size = '512kB'\nmemqcache_max_num_cache = 100\n\
                 memqcache_cache_block_size = '16kB'\nmemqcache_maxcache = '4kB'\n"
            ),
            " = '",
            "'",
        ),
        RelayProgram::Odyssey => return odyssey(settings, port, host, *server_port),
    };
    let is_elsewhere = |key: &str| match program {
        RelayProgram::Pgbouncer | RelayProgram::Stunnel | RelayProgram::Odyssey => false,
        RelayProgram::Haproxy => key == "server",
        RelayProgram::Pgpool => key == "pool_hba",
    };
    for (key, value) in settings.iter().filter(|(key, _)| !is_elsewhere(key)) {
        let _ = writeln!(text, "{key}{before}{value}{after}");
    }
    if *program == RelayProgram::Haproxy {
        let parameters = settings.iter().find(|(key, _)| key == "server").map_or("", |(_, value)| value.as_str());
        let _ = writeln!(text, "server postgres {host}:{server_port} {parameters}");
    }
    text
}

/// odyssey.conf, in which settings are in sections: that of what it listens on, of the server, and of every user.
fn odyssey(settings: &[(String, String)], port: u16, host: &str, server_port: u16) -> String {
    let of = |section: &str| {
        let own =
            settings.iter().filter_map(|(key, value)| Some((key.strip_prefix(section)?.strip_prefix('.')?, value)));
        own.fold(String::new(), |mut text, (key, value)| {
            // Only texts are in quotation marks.
            let is_word = matches!(value.as_str(), "yes" | "no") || value.parse::<u64>().is_ok();
            let _ = if is_word { writeln!(text, "  {key} {value}") } else { writeln!(text, "  {key} \"{value}\"") };
            text
        })
    };
    let (listen, storage, user) = (of("listen"), of("storage"), of("user"));
    format!(
        "daemonize no\nlog_to_stdout yes\nlog_stats no\nlog_format \"%l [%i %s] (%c) %m\\n\"\n\n\
         listen {{\n  host \"127.0.0.1\"\n  port {port}\n{listen}}}\n\n\
         storage \"server\" {{\n  type \"remote\"\n  host \"{host}\"\n  port {server_port}\n{storage}}}\n\n\
         database default {{\nuser default {{\n  storage \"server\"\n{user}}}\n}}\n"
    )
}
