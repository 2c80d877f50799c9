//! Settings and lines of configuration files that a scenario must not have.

use kong_pg_client::conf::KEYS as KONG_KEYS;
use postgres_tls_server::config::{KEYS as POSTGRES_KEYS, RESERVED as POSTGRES_RESERVED};

use crate::format::Settings;
use crate::load::{Problem, Segment, closest, key, some_of};
use crate::vocabulary::RelayProgram;

/// The settings of kong.conf that the suite gives Kong itself, and why.
const KONG_RESERVED: [(&str, &str); 2] = [
    ("database", "the suite is about PostgreSQL; leave it out"),
    ("prefix", "each Kong of the suite has a folder of its own; leave it out"),
];

/// The settings of kong.conf that are the suite's, or that were meant to be one that it knows.
pub(super) fn kong(settings: &Settings) -> Vec<Problem> {
    let known: Vec<_> = KONG_KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    let about = |name: &str| name.starts_with("pg_") || name.starts_with("lua_ssl_");
    check(settings, &known, &KONG_RESERVED, &about)
}

/// The same of postgresql.conf.
pub(super) fn postgres(settings: &Settings) -> Vec<Problem> {
    let known: Vec<_> = POSTGRES_KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    check(settings, &known, POSTGRES_RESERVED, &|name| name.starts_with("ssl"))
}

/// The settings of a program between Kong and the server that are the suite's. Every program but Pgpool-II rejects unknown
/// ones itself.
pub(super) fn relay(program: RelayProgram, settings: &Settings) -> Vec<Problem> {
    let reserved = settings.keys().filter(|name| program.reserved_keys().contains(&name.as_str()));
    let help = "the suite says where the program listens, what it connects to and where it logs; leave it out";
    reserved.map(|name| Problem::key(vec![key(name)], format!("`{name}` is the suite's own"), help)).collect()
}

/// Whether postgresql.conf has a setting that may need a restart: all that are not about TLS and logins may.
pub(super) fn needs_restart<'k>(mut names: impl Iterator<Item = &'k &'k str>) -> bool {
    names.any(|name| !POSTGRES_KEYS.iter().any(|(known, _)| known == name))
}

fn check(
    settings: &Settings,
    known: &[String],
    reserved: &[(&str, &str)],
    is_about: &dyn Fn(&str) -> bool,
) -> Vec<Problem> {
    let problem = |written: &String| {
        let name = written.strip_prefix("KONG_").map_or_else(|| written.clone(), str::to_lowercase);
        if known.contains(&name) {
            return None;
        }
        let path = vec![key(written)];
        if let Some((_, why)) = reserved.iter().find(|(reserved, _)| *reserved == name) {
            return Some(Problem::key(path, format!("`{name}` is the suite's own"), *why));
        }
        let meant = is_about(&name) || closest(&name, known).is_some();
        let help = || some_of(&name, known, "the schema named at the top of the file has all");
        meant.then(|| Problem::key(path, format!("unknown key `{written}`"), help()))
    };
    settings.keys().filter_map(problem).collect()
}

/// What the first word of a line of pg_hba.conf may be.
const HBA_TYPES: [&str; 9] = [
    "local",
    "host",
    "hostssl",
    "hostnossl",
    "hostgssenc",
    "hostnogssenc",
    "include",
    "include_if_exists",
    "include_dir",
];

/// Whether a line of pg_hba.conf begins as one must.
#[must_use]
pub fn is_line_of_hba(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or("#");
    first.starts_with(['#', '@']) || HBA_TYPES.contains(&first)
}

/// Lines of pg_hba.conf that PostgreSQL would not read, which only a case about that may have.
pub(super) fn hba(lines: &[String]) -> Vec<Problem> {
    let unknown = lines.iter().enumerate().filter(|(_, line)| !is_line_of_hba(line));
    unknown
        .map(|(index, line)| {
            let first = line.split_whitespace().next().unwrap_or_default();
            let message = format!("a line of pg_hba.conf does not begin with `{first}`");
            let help = format!("expected one of {}, or `hba_invalid: true` beside it", HBA_TYPES[..6].join(", "));
            Problem::value(vec![Segment::Index(index)], message, help)
        })
        .collect()
}
