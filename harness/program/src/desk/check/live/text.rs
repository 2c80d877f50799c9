//! The result of connecting, for people.

use std::io::{self, Write};

use kong_pg_client::Stack;
use openssl::x509::X509;

use super::super::material;
use super::super::output::{Look, wrap, write_fault};
use super::{Answer, LiveResult, Outcome, Plan, Rule, ServerSetting, ServerSide};
use crate::desk::diagnose::{Diagnosis, write_diagnosis};

/// The columns of a diagnosis.
const WIDTH: usize = 80;

/// Says what is going to be done.
///
/// # Errors
/// It cannot be written.
pub fn write_announcement(out: &mut dyn Write, plan: &Plan) -> io::Result<()> {
    let settings = &plan.settings;
    let tls = match (settings.ssl, settings.ssl_required, settings.ssl_verify) {
        (false, ..) => "without TLS (pg_ssl is off)",
        (true, false, false) => "in TLS if the server has it, unverified",
        (true, false, true) => "in TLS if the server has it, verified",
        (true, true, false) => "in TLS, unverified",
        (true, true, true) => "in TLS, verified",
    };
    let of = plan.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    let text = format!(
        "Connecting to {}:{} as {}, database {}, {tls}, as Kong {}{of} does: one login on each of its two stacks, one \
         through psql if it is here, and handshakes without a login to see the certificates. Nothing is written and \
         nothing is tried twice; each step is given {} s.",
        settings.host,
        settings.port,
        settings.user,
        settings.database,
        plan.profile,
        plan.limit.as_secs_f32(),
    );
    write!(out, "\n{}", wrap(&text, "", ""))?;
    if plan.password_elsewhere {
        writeln!(out, "The password is kept elsewhere: set KONG_PG_PASSWORD, or the login is made without.")?;
    }
    if let Some(superuser) = &plan.superuser {
        let text = format!("The server's side is read as {}; nothing is changed.", superuser.shown());
        write!(out, "{}", wrap(&text, "", ""))?;
    }
    out.flush()
}

/// Shows what the server sent, and the results of the logins.
///
/// # Errors
/// It cannot be written.
pub fn write_result(
    out: &mut dyn Write,
    plan: &Plan,
    result: &LiveResult,
    diagnosis: Option<&Diagnosis>,
) -> io::Result<()> {
    writeln!(out)?;
    match &result.answer {
        Answer::Unresolved(why) | Answer::Unreachable(why) | Answer::Strange(why) => {
            writeln!(out, "The server: {why}")?;
        }
        Answer::No => writeln!(out, "The server: has no TLS (it answers N)")?,
        Answer::NoHandshake(why) => writeln!(out, "The server: has TLS, and no handshake comes about: {why}")?,
        Answer::Tls(sent) => {
            writeln!(out, "The server: {}, {}", sent.version, sent.cipher)?;
            for (depth, certificate) in sent.chain.iter().enumerate() {
                write_certificate(out, certificate, depth)?;
            }
        }
    }
    match &result.authorities {
        Some(names) if names.is_empty() => writeln!(out, "  asks for a client certificate of any CA")?,
        Some(names) => writeln!(out, "  asks for a client certificate of: {}", names.join(", "))?,
        None if matches!(result.answer, Answer::Tls(_)) => writeln!(out, "  asks for no client certificate")?,
        None => {}
    }
    for attempt in &result.attempts {
        let name = match attempt.stack {
            Stack::Luasec => "LuaSec, while Kong starts",
            Stack::Cosocket => "a cosocket, in Kong's workers",
        };
        match &attempt.outcome {
            Outcome::Connected => writeln!(out, "\n{name}: connected")?,
            Outcome::Refused { step, text } => writeln!(out, "\n{name}: refused ({step})\n  {text}")?,
            Outcome::Hangs => {
                writeln!(out, "\n{name}: nothing, given up after {} s", plan.limit.saturating_mul(2).as_secs_f32())?;
            }
        }
        attempt.seen.iter().try_for_each(|seen| writeln!(out, "  the server shows: {seen}"))?;
    }
    match &result.server {
        Some(Ok(side)) => write_server(out, plan, side)?,
        Some(Err(error)) => {
            write!(out, "\n{}", wrap(&format!("The server's side cannot be read: {error}"), "", ""))?;
        }
        None => {}
    }
    if let Some(lines) = &result.log {
        writeln!(out, "\nthe server's log:")?;
        let shown = if lines.is_empty() { "(nothing)".to_owned() } else { lines.join("\n  ") };
        writeln!(out, "  {shown}")?;
    }
    if let Some(libpq) = &result.libpq {
        writeln!(out, "\npsql, sslmode={}:\n  {}", libpq.mode, libpq.output.replace('\n', "\n  "))?;
    }
    if result.connects() {
        return writeln!(out, "\nKong connects.");
    }
    writeln!(out, "\nKong does not connect.")?;
    let Some(diagnosis) = diagnosis else { return Ok(()) };
    writeln!(out)?;
    write_diagnosis(out, diagnosis, WIDTH)
}

/// The server's side, as it is in force.
fn write_server(out: &mut dyn Write, plan: &Plan, side: &ServerSide) -> io::Result<()> {
    writeln!(out, "\nThe server's side: PostgreSQL {}", side.version)?;
    for ServerSetting { name, value, place, pending_restart } in &side.settings {
        // Defaults say little.
        let Some(place) = place.as_ref().or_else(|| (name == "ssl").then_some(name)) else { continue };
        let place = if place == name { String::new() } else { format!("  ({place})") };
        let pending = if *pending_restart { "; the file has another value, which waits for a restart" } else { "" };
        writeln!(out, "  {name} = {value}{place}{pending}")?;
    }
    for Rule { place, line, error } in &side.rules {
        let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        writeln!(out, "  {place}: {line}{error}")?;
    }
    side.role.iter().try_for_each(|role| writeln!(out, "  role {}: {role}", plan.settings.user))?;
    side.unseen.iter().try_for_each(|unseen| write!(out, "{}", wrap(&format!("not seen: {unseen}"), "  ", "    ")))?;
    let faults: Vec<_> = side.faults.iter().filter(|fault| fault.counts()).collect();
    if !faults.is_empty() {
        writeln!(out, "\nWhat of it does not fit Kong:")?;
    }
    let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    faults.into_iter().try_for_each(|fault| write_fault(out, fault, Look { colour }))
}

/// A certificate in the chain, with its names and dates.
fn write_certificate(out: &mut dyn Write, certificate: &X509, depth: usize) -> io::Result<()> {
    let indent = "  ".repeat(depth + 1);
    let kind = if material::is_self_signed(certificate) { " (signs itself)" } else { "" };
    writeln!(out, "{indent}{}{kind}", material::subject(certificate))?;
    writeln!(out, "{indent}  issued by {}", certificate_trees::oneline(certificate.issuer_name()))?;
    writeln!(out, "{indent}  valid from {} to {}", certificate.not_before(), certificate.not_after())?;
    let names = names(certificate);
    if names.is_empty() { Ok(()) } else { writeln!(out, "{indent}  for {}", names.join(", ")) }
}

/// The subject alternative names.
fn names(certificate: &X509) -> Vec<String> {
    let names = certificate.subject_alt_names();
    let name = |name: &openssl::x509::GeneralNameRef| {
        let dns = name.dnsname().or_else(|| name.email()).or_else(|| name.uri()).map(str::to_owned);
        dns.or_else(|| match name.ipaddress()? {
            &[a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            other => <[u8; 16]>::try_from(other).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        })
    };
    names.iter().flatten().filter_map(name).collect()
}
