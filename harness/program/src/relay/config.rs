//! The configuration files of the programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rustix::process::Signal;

use crate::vocabulary::RelayProgram;

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
    }
}

/// What a program logs when it accepts connections; `None` if it does so from the beginning.
pub(super) fn ready(program: RelayProgram) -> Option<&'static str> {
    match program {
        RelayProgram::Pgbouncer => Some(" process up: "),
        RelayProgram::Stunnel => Some(": Accepting new connections"),
        RelayProgram::Haproxy => None,
    }
}

/// The signal that ends a program in order: PgBouncer says goodbye to the server.
pub(super) fn end(program: RelayProgram) -> Signal {
    match program {
        RelayProgram::Pgbouncer => Signal::INT,
        RelayProgram::Stunnel | RelayProgram::Haproxy => Signal::TERM,
    }
}

/// The configuration file: what the suite says, and the settings of the scenario.
pub(super) fn text(configured: &Configured, port: u16, (host, server_port): &(String, u16)) -> String {
    let Configured { program, settings, .. } = configured;
    let (mut text, between) = match program {
        RelayProgram::Pgbouncer => (
            format!(
                "[databases]\n* = host={host} port={server_port}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\n"
            ),
            " = ",
        ),
        RelayProgram::Stunnel => (
            format!(
                "foreground = yes\ndebug = info\npid =\n\n[kong]\naccept = 127.0.0.1:{port}\n\
                 connect = {host}:{server_port}\n"
            ),
            " = ",
        ),
        RelayProgram::Haproxy => (
            "global\n  log stdout format raw local0 info\n\nlisten kong\n  bind fd@0\n  mode tcp\n  log global\n  \
             log-format \"from %ci to %b/%s\"\n"
                .to_owned(),
            " ",
        ),
    };
    let is_of_server = |key: &str| *program == RelayProgram::Haproxy && key == "server";
    for (key, value) in settings.iter().filter(|(key, _)| !is_of_server(key)) {
        let _ = writeln!(text, "{key}{between}{value}");
    }
    if *program == RelayProgram::Haproxy {
        let parameters = settings.iter().find(|(key, _)| is_of_server(key)).map_or("", |(_, value)| value.as_str());
        let _ = writeln!(text, "server postgres {host}:{server_port} {parameters}");
    }
    text
}
