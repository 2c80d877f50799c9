//! pg_hba.conf and pg_ident.conf by themselves, and beside postgresql.conf.

use super::super::catalog::Code;
use super::super::fault::{Fault, Severity};
use super::super::server::hba::Transport;
use super::super::server::{HbaLine, Server};

pub(super) fn check(server: &Server) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some((_, lines)) = &server.hba else { return faults };
    for (number, line) in lines.iter().enumerate() {
        if let Some(text) = &line.refused {
            faults.push(Fault::new(Code::HbaLine, &line.place, format!("the server does not take the line: {text}")));
            continue;
        }
        faults.extend(shadowed(&lines[..number], line));
        faults.extend(against_conf(line, server));
        faults.extend(map(line, server));
    }
    if let Some((_, lines)) = &server.ident {
        for line in lines {
            if let Some(wrong) = &line.wrong {
                faults.push(Fault::new(Code::IdentLine, &line.place, format!("the line lets nobody in: {wrong}")));
            }
        }
    }
    faults
}

/// The first line that fits counts, whatever stands below it.
fn shadowed(earlier: &[HbaLine], line: &HbaLine) -> Option<Fault> {
    let above = earlier.iter().filter(|other| other.refused.is_none()).find(|other| other.covers(line))?;
    if above.method == line.method && above.options == line.options {
        return None;
    }
    let at = above.place.line.map(|line| format!("line {line}")).unwrap_or_default();
    let what = format!("{at} ({}) comes first for all that this line is for: {}", above.shown(), line.shown());
    Some(Fault::new(Code::HbaShadowed, &line.place, what))
}

fn against_conf(line: &HbaLine, server: &Server) -> Option<Fault> {
    let conf = server.conf.as_ref()?;
    let on = conf.is_on("ssl");
    if line.transport == Transport::Tls && !on {
        let what = format!("ssl is off ({}): nobody gets in by a hostssl line", conf.place_of("ssl"));
        return Some(Fault::new(Code::ServerTlsOff, &line.place, what));
    }
    if line.wants_certificate() && conf.get("ssl_ca_file").is_none() {
        let what = format!("the line wants a client certificate, and ssl_ca_file is not set: {}", line.shown());
        return Some(Fault::new(Code::ServerCaMissing, &line.place, what));
    }
    let lets_plaintext_in = line.transport == Transport::Any && line.method != "reject" && !line.address.is_loopback();
    (on && lets_plaintext_in).then(|| {
        let what = format!("the line lets connections in plaintext in as well: {}", line.shown());
        Fault::new(Code::HbaPlaintextAllowed, &line.place, what).with_severity(Severity::Note)
    })
}

fn map(line: &HbaLine, server: &Server) -> Option<Fault> {
    let (map, (file, lines)) = (line.option("map")?, server.ident.as_ref()?);
    let is_there = lines.iter().any(|other| other.map == map);
    (!is_there).then(|| Fault::new(Code::MapMissing, &line.place, format!("{file} has no map `{map}`")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::super::tests::{counting, server};
    use super::*;

    const TLS: &str = "ssl = on\nssl_ca_file = 'root.crt'";

    #[rstest]
    #[case(TLS, "hostssl all all all cert", &[])]
    #[case("ssl = on", "hostssl all all all cert", &[Code::ServerCaMissing])]
    #[case("ssl = on", "hostssl all all all scram-sha-256 clientcert=verify-ca", &[Code::ServerCaMissing])]
    #[case("", "hostssl all all all trust", &[Code::ServerTlsOff])]
    #[case(TLS, "host all all all md5\nhostssl all all all cert", &[Code::HbaShadowed])]
    #[case(TLS, "hostssl all kong all cert\nhost all all all md5", &[])]
    #[case(TLS, "host all all 127.0.0.1/32 trust\nhost all all all scram-sha-256", &[])]
    #[case(TLS, "hostssl all all all trust map=m", &[Code::HbaLine])]
    #[case(TLS, "local all all peer\nhost replication all 127.0.0.1/32 trust", &[])]
    fn lines_are_checked_by_themselves(#[case] conf: &str, #[case] lines: &str, #[case] expected: &[Code]) {
        assert_eq!(counting(&check(&server(conf, Some(lines), None))), expected);
    }

    #[rstest]
    #[case("m a kong", &[])]
    #[case("other a kong", &[Code::MapMissing])]
    #[case("m a", &[Code::IdentLine])]
    #[case("m /( kong", &[Code::IdentLine])]
    fn maps_are_looked_for(#[case] ident: &str, #[case] expected: &[Code]) {
        let server = server(TLS, Some("hostssl all all all cert map=m"), Some(ident));
        assert_eq!(counting(&check(&server)), expected);
    }
}
