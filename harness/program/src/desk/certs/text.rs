//! What `certs` prints: the settings to paste, and what else there is to do.

use std::io::{self, Write};

use kong_pg_scenarios::vocabulary::quoted;

use super::request::Certs;

/// The width of the output.
const WIDTH: usize = 80;

/// Writes both sides' settings.
///
/// # Errors
/// It cannot be written.
pub fn write_certs(out: &mut dyn Write, certs: &Certs) -> io::Result<()> {
    let installed = &certs.installed;
    let path = |path: &std::path::Path| quoted(&path.display().to_string());
    writeln!(out, "Certificates in {}", certs.folder.display())?;
    for (title, text) in [
        ("postgresql.conf", installed.postgresql_conf()),
        ("pg_hba.conf, before other lines for this user", installed.pg_hba_conf()),
        ("kong.conf", installed.kong_conf()),
        ("psql, as the superuser, if the user is not there yet", installed.sql()),
    ] {
        writeln!(out, "\n{title}")?;
        text.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    writeln!(out, "\nThe keys belong to you. If PostgreSQL and Kong run as other users:")?;
    if certs.commands.is_some() {
        writeln!(out, "  chown postgres: {}", path(&installed.server_key))?;
        writeln!(out, "  chown kong: {}", path(&installed.client_key))?;
    } else {
        let parent = |file: &std::path::Path| path(file.parent().unwrap_or(file));
        writeln!(out, "  chown -R postgres: {}", parent(&installed.server_key))?;
        writeln!(out, "  chown -R kong: {}", parent(&installed.client_key))?;
        writeln!(out, "Keep {} elsewhere: it has the keys of the CAs.", certs.authorities.display())?;
    }
    if let Some(secrets) = &certs.secrets {
        writeln!(out, "\nSecrets for Kubernetes\n  kubectl apply -f {}", path(secrets))?;
    }
    if let Some(commands) = &certs.commands {
        writeln!(out, "\nMade with the commands of Kong's guide: {}", commands.display())?;
        writeln!(out, "What is wrong with them:")?;
        for flaw in &certs.flaws {
            let text = format!("{} {}", flaw.happens, flaw.instead);
            let options = textwrap::Options::new(WIDTH).initial_indent("- ").subsequent_indent("  ");
            textwrap::wrap(&text, options).iter().try_for_each(|line| writeln!(out, "{line}"))?;
            writeln!(out, "  Shown by: {}", flaw.case)?;
        }
    }
    Ok(())
}
