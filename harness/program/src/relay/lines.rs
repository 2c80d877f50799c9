//! The lines of the programs' logs: which are about a connection of Kong's, without what differs from run to run (times,
//! process numbers, ports, addresses in memory).

use std::sync::LazyLock;

use kong_pg_scenarios::vocabulary::RelayProgram;
use regex::Regex;

/// `2026-11-28 19:29:32.698 UTC [11272] LOG C-0x56453fa72a70: kong/kong@127.0.0.1:36404 login attempt: db=kong`, and
/// `2026-11-28 20:12:36.575 UTC [29715] WARNING TLS handshake error: handshake failed: ...` of any connection.
static PGBOUNCER: LazyLock<Regex> = LazyLock::new(|| {
    let connection = r"(?<side>[CS])-0x[0-9a-f]+: (?<who>\S+@[^: ]+):\d+ ";
    let line = format!(r"^\S+ \S+ \S+ \[\d+\] (?<level>[A-Z]+) (?:{connection})?(?<what>.*?)(?: \(age=\d+s\))?$");
    Regex::new(&line).expect("a regular expression")
});
/// `2026.11.28 19:39:45 LOG6[0]: TLS connected: new session negotiated`
static STUNNEL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\S+ \S+ (?<level>LOG\d)\[\d+\]: (?<what>.*)$").expect("a regular expression"));
/// `2026-11-29 03:33:33.291: psql pid 13897: ERROR:  CERT authentication failed` of the process of a connection, which
/// is a `child` until it knows the application's name.
static PGPOOL: LazyLock<Regex> = LazyLock::new(|| {
    let line = r"^\S+ \S+: (?<process>.+?) pid \d+: (?<level>[A-Z]+):  (?<what>.*)$";
    Regex::new(line).expect("a regular expression")
});
/// `error [c56124113b63e sec4d2c159d12] (tls) handshake error: ...` of the connection of a client, of one with the server, or
/// of both.
static ODYSSEY: LazyLock<Regex> = LazyLock::new(|| {
    let line = r"^(?<level>[a-z]+) \[(?<client>none|c[0-9a-f]+) (?<server>none|s[0-9a-f]+)\] (?<what>\(.*)$";
    Regex::new(line).expect("a regular expression")
});
/// What Odyssey names a connection, in its log and in its messages: `FATAL: odyssey: c56124113b63e: ...`.
static ODYSSEY_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?<before>odyssey: )c[0-9a-f]{8,}: | s[0-9a-f]{8,}\b").expect("a regular expression")
});
/// A port, a line of OpenSSL's source, which is another in every release, and what Odyssey measures.
static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    let numbers = r"(?<address>\b127\.0\.0\.1):\d+|\.\./\S+\.c:\d+: |, login time \d+ us$";
    Regex::new(numbers).expect("a regular expression")
});

/// What PgBouncer logs of a handshake, of Kong's connection or its own.
const HANDSHAKE_ERROR: &str = " WARNING TLS handshake error: ";

/// What PgBouncer logs of every connection, and what it notices of its end, which is a race with its own.
const PGBOUNCER_ROUTINE: [&str; 7] = [
    "registered new auto-database",
    "new connection to server",
    "closing because: client close request",
    "closing because: client unexpected eof",
    "closing because: pause mode",
    // After a handshake error, which has been logged.
    "closing because: server conn crashed?",
    "SSL established",
];
/// What stunnel logs of every connection, what has random numbers in it, and how it notices the end.
const STUNNEL_ROUTINE: [&str; 24] = [
    "Service [",
    "s_connect: connect",
    "persistence: ",
    "SNI: sending servername",
    "Session id: ",
    "Peer certificate required",
    "Peer certificate not required",
    "No peer certificate received",
    "Peer temporary key: ",
    "Received trusted client CA: ",
    "CERT: No subject checks configured",
    "Read socket closed",
    "Write socket closed",
    "writesocket: Socket is closed",
    "readsocket: Socket is closed",
    "SSL_shutdown successfully sent close_notify alert",
    "TLS closed (SSL_read)",
    "No peer temporary key received",
    "TLS socket closed (",
    "TLS fd: ",
    "socket fd: ",
    "TLS alert (",
    "Connection closed",
    "Connection reset",
];

/// What Pgpool-II logs of every connection, and how it notices the end.
const PGPOOL_ROUTINE: [&str; 19] = [
    "new connection received",
    "connecting host=",
    "frontend disconnection: ",
    "pool_reuse_block: ",
    "while searching system catalog",
    "see pgpool log for details",
    "unable to read data from frontend",
    "socket read failed with ",
    "EOF encountered with frontend",
    "ssl read: ",
    "ssl write: ",
    "write on backend ",
    "while trying to write data from ",
    "unable to flush data to frontend",
    "unable to write data to frontend",
    "pool_ssl: \"SSL_read\": ",
    "pool_ssl: \"SSL_write\": ",
    // A record of TLS, read as a startup packet after a handshake error, which has been logged.
    "failed while reading startup packet",
    "incorrect packet length (",
];
/// What Odyssey logs of every connection.
const ODYSSEY_ROUTINE: [&str; 6] = [
    "(startup) new client connection",
    "(startup) route ",
    "(setup) new server connection",
    "(setup) login time: ",
    "(setup) client connection from ",
    "(main) client disconnected",
];
/// The processes of Pgpool-II that have no connections.
const PGPOOL_OTHERS: [&str; 4] = ["main", "pcp_main", "sr_check_worker", "health_check"];

/// Whether a line says that a connection of Kong's has ended.
pub(super) fn ends_connection(program: RelayProgram, line: &str) -> bool {
    match program {
        RelayProgram::Pgbouncer => {
            line.contains(" LOG C-0x") && line.contains(" closing because: ") || line.contains(HANDSHAKE_ERROR)
        }
        RelayProgram::Stunnel => line.contains("]: Connection closed") || line.contains("]: Connection reset"),
        RelayProgram::Haproxy => line.starts_with("from "),
        RelayProgram::Pgpool => line.contains(" LOG:  frontend disconnection: "),
        // Of a client that it does not let in, it says nothing more.
        RelayProgram::Odyssey => {
            line.contains("(main) client disconnected") || line.ends_with("(tls) required, closing")
        }
    }
}

/// What a line says about Kong's connection; `None` if it is about something else, or is logged for every connection.
pub(super) fn relevant(program: RelayProgram, line: &str) -> Option<String> {
    let is_routine = |what: &str, routine: &[&str]| routine.iter().any(|routine| what.starts_with(routine));
    match program {
        RelayProgram::Pgbouncer => {
            let parts = PGBOUNCER.captures(line)?;
            let (level, what) = (&parts["level"], &parts["what"]);
            if is_routine(what, &PGBOUNCER_ROUTINE) {
                return None;
            }
            match (parts.name("side"), parts.name("who")) {
                (Some(side), Some(who)) => Some(format!("{level} {}: {} {what}", side.as_str(), who.as_str())),
                _ => line.contains(HANDSHAKE_ERROR).then(|| format!("{level} {what}")),
            }
        }
        RelayProgram::Stunnel => {
            let parts = STUNNEL.captures(line)?;
            let (level, what) = (&parts["level"], &parts["what"]);
            let text = || format!("{level}: {}", NUMBERS.replace_all(what, "$address"));
            (!is_routine(what, &STUNNEL_ROUTINE)).then(text)
        }
        RelayProgram::Haproxy => line.starts_with("from ").then(|| line.to_owned()),
        RelayProgram::Pgpool => {
            let parts = PGPOOL.captures(line)?;
            let (level, what) = (&parts["level"], &parts["what"]);
            let is_other = PGPOOL_OTHERS.contains(&&parts["process"]);
            (!is_other && !is_routine(what, &PGPOOL_ROUTINE)).then(|| format!("{level}:  {what}"))
        }
        RelayProgram::Odyssey => {
            let parts = ODYSSEY.captures(line)?;
            let (level, what) = (&parts["level"], &parts["what"]);
            let is_of_connection = &parts["client"] != "none" || &parts["server"] != "none";
            let text = || format!("{level} {}", without_names(&NUMBERS.replace_all(what, "$address")));
            (is_of_connection && !is_routine(what, &ODYSSEY_ROUTINE)).then(text)
        }
    }
}

/// A message of a program without the names that it gives to connections, which are random.
pub(super) fn without_names(text: &str) -> String {
    ODYSSEY_NAME.replace_all(text, "$before").into_owned()
}
