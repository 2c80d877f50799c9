//! `docs/performance.md`, made from a measurement.

use std::fs;
use std::io;
use std::path::Path;

use super::claims::claims;
use super::files::{json, plots};
use super::table::tables;
use crate::bench::results::Measurements;

const PAGE: &str = include_str!("page.md");

/// Writes performance.md, performance.json and the plots.
///
/// # Errors
/// One of them cannot be written.
pub fn write_document(folder: &Path, measurements: &Measurements) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("performance.json"), json(measurements)?)?;
    for (name, svg) in plots(measurements) {
        fs::write(folder.join(name), svg)?;
    }
    fs::write(folder.join("performance.md"), page(measurements))
}

/// The page. What the figures do not bear out is not in it.
#[must_use]
pub fn page(measurements: &Measurements) -> String {
    let Measurements { started, seconds, host, servers, clients, program, optimised, .. } = measurements;
    let day = started.split('T').next().unwrap_or_default();
    let build = if *optimised {
        ""
    } else {
        ", built without optimisation, so that Kong and rustls cost more than they should"
    };
    let (servers, processors) = (servers.join(" and "), host.processors);
    let made = format!(
        "Measured on {day} in {seconds} s by kong-pg-tls {program}{build}: {servers}; {}, Linux {} on {}, {processors} processors.",
        host.os, host.kernel, host.architecture
    );
    let clients: String = clients.iter().map(|(client, about)| format!("- `{client}`: {about}\n")).collect();
    let claims = claims(measurements).into_iter().filter(|claim| claim.holds);
    let claims: String = claims.map(|claim| format!("- {}\n", claim.text)).collect();
    let plots =
        plots(measurements).into_iter().map(|(name, _)| format!("![{}]({name})\n", name.trim_end_matches(".svg")));
    let plots = plots.collect::<Vec<_>>().join("\n");
    let tables = tables(measurements).iter().map(super::table::Grid::to_markdown).collect::<Vec<_>>().join("\n");
    let missing = measurements.not_measured.iter().map(|missing| format!("- {}: {}\n", missing.what, missing.why));
    let missing = missing.collect::<String>();
    let missing = if missing.is_empty() { String::new() } else { format!("Not measured here:\n\n{missing}\n") };
    let parts = [
        ("{made}", made.as_str()),
        ("{clients}", clients.trim_end()),
        ("{claims}", claims.trim_end()),
        ("{plots}", plots.trim_end()),
        ("{tables}", tables.trim_end()),
        ("{missing}\n", missing.as_str()),
    ];
    parts.into_iter().fold(PAGE.to_owned(), |page, (place, part)| page.replace(place, part))
}
