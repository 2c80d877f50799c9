//! The tables of a measurement, for a terminal of 80 columns and for Markdown.

use std::io::{self, Write};

use indexmap::IndexSet;

use crate::bench::results::{Compared, Handshake, Measurements};
use crate::report::table as plain;

/// The client that modes are shown of.
pub(super) const KONG: &str = "kong cosocket";

/// The modes that clients are shown in.
const OF_CLIENTS: [&str; 4] = ["plaintext", "TLS 1.2", "TLS 1.3, verified", "mTLS, cert"];

/// A table: a title, what its columns are called, and its rows. The first column is text.
pub(super) struct Grid {
    pub(super) title: String,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Writes all tables.
///
/// # Errors
/// The output cannot be written.
pub fn write_table(out: &mut dyn Write, measurements: &Measurements) -> io::Result<()> {
    let Measurements { servers, host, seconds, optimised, not_measured, .. } = measurements;
    writeln!(out, "{}\n{} processors, {seconds} s", servers.join("\n"), host.processors)?;
    if !optimised {
        writeln!(out, "built without optimisation: the clients in this program cost too much")?;
    }
    for rows in tables(measurements) {
        writeln!(out, "\n{}", rows.to_text())?;
    }
    for missing in not_measured {
        writeln!(out, "\nnot measured: {}: {}", missing.what, missing.why)?;
    }
    Ok(())
}

impl Grid {
    fn to_text(&self) -> String {
        let header = std::iter::once(self.title.clone()).chain(self.header.iter().cloned());
        let mut table = plain::table(header);
        for row in &self.rows {
            table.add_row(row);
        }
        plain::align(&mut table, |column| column > 0);
        plain::text(&table)
    }

    /// As a table of Markdown.
    pub(super) fn to_markdown(&self) -> String {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let header: Vec<_> =
            std::iter::once(self.title.as_str()).chain(self.header.iter().map(String::as_str)).collect();
        let rule: Vec<_> =
            header.iter().enumerate().map(|(place, _)| if place == 0 { "---" } else { "---:" }).collect();
        let rows: String = self.rows.iter().map(|row| line(row.iter().map(String::as_str).collect())).collect();
        line(header.clone()) + &line(rule) + &rows
    }
}

/// All tables that have rows.
pub(super) fn tables(measurements: &Measurements) -> Vec<Grid> {
    let servers: IndexSet<_> = measurements.handshakes.iter().map(|handshake| handshake.postgres).collect();
    let mut tables = Vec::new();
    for server in servers {
        let here: Vec<_> = measurements.handshakes.iter().filter(|handshake| handshake.postgres == server).collect();
        let groups: IndexSet<_> = here.iter().map(|handshake| handshake.group.as_str()).collect();
        tables.extend(groups.into_iter().map(|group| modes(&here, group, server)));
    }
    let others = [
        clients(measurements),
        versus(measurements),
        traffic(measurements),
        storms(measurements),
        distances(measurements),
    ];
    tables.extend(others);
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// The modes of a group, as Kong connects; as another client does where Kong cannot.
fn modes(handshakes: &[&Handshake], group: &str, server: u16) -> Grid {
    let header = ["ms", "ratio", "interval", "server", "client", "limit"].map(str::to_owned).to_vec();
    let of_group = handshakes.iter().filter(|handshake| handshake.group == group);
    let is_kongs = |mode: &str| handshakes.iter().any(|handshake| handshake.mode == mode && handshake.client == KONG);
    let shown = of_group.filter(|handshake| handshake.client == KONG || !is_kongs(&handshake.mode));
    let rows = shown.map(|handshake| {
        let Handshake { mode, client, time, client_cpu, server_cpu, limit, .. } = handshake;
        let name = if client == KONG { mode.clone() } else { format!("{mode} ({client})") };
        let limit = limit.as_ref().map_or_else(String::new, |limit| format!("{:.2}", limit.reached));
        let interval = format!("{:.2}-{:.2}", time.ratio.low, time.ratio.high);
        vec![
            name,
            ms(time.median),
            ratio(Some(time)),
            interval,
            ratio(server_cpu.as_ref()),
            ratio(client_cpu.as_ref()),
            limit,
        ]
    });
    Grid { title: format!("{group}, PostgreSQL {server}"), header, rows: rows.collect() }
}

fn clients(measurements: &Measurements) -> Grid {
    let clients: IndexSet<_> = measurements.handshakes.iter().map(|handshake| handshake.client.as_str()).collect();
    let header = ["plain ms", "TLS 1.2", "1.3 verified", "mTLS", "server", "client"].map(str::to_owned).to_vec();
    let rows = clients.into_iter().map(|client| {
        let of = |mode: &str| measurements.handshake(mode, client);
        let time = |mode: &str| ratio(of(mode).map(|handshake| &handshake.time));
        let mutual = of(OF_CLIENTS[3]);
        vec![
            client.to_owned(),
            of(OF_CLIENTS[0]).map_or_else(String::new, |handshake| ms(handshake.time.median)),
            time(OF_CLIENTS[1]),
            time(OF_CLIENTS[2]),
            time(OF_CLIENTS[3]),
            ratio(mutual.and_then(|handshake| handshake.server_cpu.as_ref())),
            ratio(mutual.and_then(|handshake| handshake.client_cpu.as_ref())),
        ]
    });
    Grid { title: "Clients, x plain".to_owned(), header, rows: rows.collect() }
}

fn versus(measurements: &Measurements) -> Grid {
    let header = ["Kong ms", "libpq ms", "ratio", "interval"].map(str::to_owned).to_vec();
    let rows = measurements.versus.iter().map(|versus| {
        let time = &versus.time;
        let interval = format!("{:.2}-{:.2}", time.ratio.low, time.ratio.high);
        vec![format!("{}: {}", versus.mode, versus.other), ms(time.median), ms(time.base), ratio(Some(time)), interval]
    });
    Grid { title: "In process, against libpq".to_owned(), header, rows: rows.collect() }
}

fn traffic(measurements: &Measurements) -> Grid {
    let header = ["ms", "plain ms", "ratio", "interval", "server", "client"].map(str::to_owned).to_vec();
    let rows = measurements.traffic.iter().map(|traffic| {
        let time = &traffic.time;
        let interval = format!("{:.2}-{:.2}", time.ratio.low, time.ratio.high);
        let (server, client) = (ratio(traffic.server_cpu.as_ref()), ratio(traffic.client_cpu.as_ref()));
        vec![
            format!("{} bytes", traffic.bytes),
            ms(time.median),
            ms(time.base),
            ratio(Some(time)),
            interval,
            server,
            client,
        ]
    });
    Grid { title: "Queries".to_owned(), header, rows: rows.collect() }
}

fn storms(measurements: &Measurements) -> Grid {
    let header = ["logins/s", "p50 ms", "p99 ms", "refused", "server ms/login"].map(str::to_owned).to_vec();
    let rows = measurements.storms.iter().map(|storm| {
        vec![
            format!("{} of {}, {}", storm.connections, storm.max_connections, storm.transport),
            format!("{:.0}", storm.logins_per_second),
            ms(storm.p50),
            ms(storm.p99),
            storm.refused.to_string(),
            storm.server_cpu.map_or_else(String::new, ms),
        ]
    });
    Grid { title: "Connections at once".to_owned(), header, rows: rows.collect() }
}

fn distances(measurements: &Measurements) -> Grid {
    let header = ["trips", "tcp", "ask", "TLS", "login", "query", "1 ms", "10 ms", "50 ms"].map(str::to_owned).to_vec();
    let rows = measurements.distances.iter().map(|distance| {
        let because = &distance.because;
        let waits =
            [distance.round_trips, because.tcp, because.ssl_request, because.handshake, because.login, because.queries];
        let times = distance.milliseconds.values().map(|time| format!("{time:.0}"));
        let name = std::iter::once(format!("{}, {}", distance.mode, distance.postgres));
        name.chain(waits.iter().map(ToString::to_string)).chain(times).collect()
    });
    Grid { title: "Round trips".to_owned(), header, rows: rows.collect() }
}

fn ms(micros: f64) -> String {
    format!("{:.2}", micros / 1000.0)
}

fn ratio(compared: Option<&Compared>) -> String {
    compared.map_or_else(String::new, |compared| format!("{:.2}", compared.ratio.value))
}
