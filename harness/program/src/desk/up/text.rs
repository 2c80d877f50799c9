//! What `up` prints before the log.

use std::io::{self, Write};

use super::commands::Commands;
use super::running::Running;

/// Writes what runs, and what to paste.
///
/// # Errors
/// It cannot be written.
pub fn write_running(out: &mut dyn Write, running: &Running, runtime: &str, keep: bool) -> io::Result<()> {
    let Running { deployment, facts, address, reload, settings, folder, .. } = running;
    let cell = &deployment.cell;
    let openssl = facts.openssl.as_deref().unwrap_or("unknown");
    writeln!(
        out,
        "PostgreSQL {} with OpenSSL {openssl} ({runtime}), on {}:{}",
        facts.version, address.host, address.port
    )?;
    writeln!(out, "{}", cell.id)?;
    if let Some(expected) = &deployment.expected {
        writeln!(out, "Kong {} on {}: {expected}", cell.profile, cell.stack)?;
    }
    if !reload.is_empty() {
        writeln!(out, "\nNot all of it is in force. The server logs:")?;
        reload.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    if let Err(error) = settings {
        writeln!(out, "\nKong stops before it connects: {error}")?;
    }
    let commands = Commands::of(running);
    let variables = commands.variables.join("\n  ");
    for (title, command) in [
        ("psql", commands.psql.as_deref()),
        ("The handshake", commands.openssl.as_deref()),
        ("Kong's variables", Some(&*variables)),
        ("Kong, if it is installed", Some(&*commands.kong)),
        ("Kong's image", commands.docker.as_deref()),
        ("Both of Kong's TLS stacks, without Kong", Some(&*commands.check)),
    ] {
        if let Some(command) = command {
            writeln!(out, "\n{title}\n  {command}")?;
        }
    }
    let end = if keep {
        format!("stops it and keeps {}", folder.display())
    } else {
        "stops it and removes everything".to_owned()
    };
    writeln!(out, "\nIts files are in {}. Ctrl-C {end}.\nThe server's log:", folder.display())
}
