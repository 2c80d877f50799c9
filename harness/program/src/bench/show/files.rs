//! The files of a measurement: its data, a spreadsheet, plots, and a page with all of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::csv;
use super::plot::{Bar, bars, escape};
use super::table::{KONG, tables};
use crate::bench::estimate::Estimate;
use crate::bench::results::{Compared, Handshake, Measurements};
use crate::record::ROOT;

/// The folder of a measurement that began at this time.
#[must_use]
pub fn new_folder(started: &str) -> PathBuf {
    Path::new(ROOT).join("bench").join(started.replace(':', "-"))
}

/// Writes bench.json, bench.csv, the plots and report.html.
///
/// # Errors
/// One of them cannot be written.
pub fn write_files(folder: &Path, measurements: &Measurements) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("bench.json"), json(measurements)?)?;
    csv::write(fs::File::create(folder.join("bench.csv"))?, measurements).map_err(io::Error::other)?;
    for (name, svg) in plots(measurements) {
        fs::write(folder.join(name), svg)?;
    }
    fs::write(folder.join("report.html"), html(measurements))
}

pub(super) fn json(measurements: &Measurements) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(measurements)? + "\n")
}

/// The plots with the names of their files.
pub(super) fn plots(measurements: &Measurements) -> Vec<(&'static str, String)> {
    let main = measurements.handshakes.first().map(|handshake| handshake.postgres);
    let of_kong =
        measurements.handshakes.iter().filter(|handshake| handshake.client == KONG && Some(handshake.postgres) == main);
    let of_kong: Vec<_> = of_kong.collect();
    let figures = |of: fn(&Handshake) -> Option<&Compared>| -> Vec<Bar> {
        of_kong.iter().filter_map(|handshake| Some((handshake.mode.clone(), of(handshake)?.ratio))).collect()
    };
    let distances = measurements.distances.iter().filter_map(|distance| {
        let time = *distance.milliseconds.get(&10)?;
        let name = format!("{}, PostgreSQL {}", distance.mode, distance.postgres);
        Some((name, Estimate { value: time, low: time, high: time }))
    });
    let plots = [
        (
            "performance-time.svg",
            "Time to the first answer, as a multiple of plaintext",
            figures(|of| Some(&of.time)),
            Some(1.0),
        ),
        (
            "performance-server.svg",
            "The server's processor time, as a multiple of plaintext",
            figures(|of| of.server_cpu.as_ref()),
            Some(1.0),
        ),
        (
            "performance-client.svg",
            "Kong's processor time, as a multiple of plaintext",
            figures(|of| of.client_cpu.as_ref()),
            Some(1.0),
        ),
        (
            "performance-distance.svg",
            "Milliseconds to the first answer with a round trip of 10 ms",
            distances.collect(),
            None,
        ),
    ];
    let drawn = plots.into_iter().filter(|(_, _, figures, _)| !figures.is_empty());
    drawn.map(|(name, title, figures, nothing)| (name, bars(title, &figures, nothing))).collect()
}

const STYLE: &str = "body{font:14px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse;margin:1.5em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #d0d7de}\
td:first-child,th:first-child{text-align:left}";

/// A page that needs no other file.
fn html(measurements: &Measurements) -> String {
    let cells = |kind: &str, cells: &[String]| -> String {
        cells.iter().map(|cell| format!("<{kind}>{}</{kind}>", escape(cell))).collect()
    };
    let table = |table: super::table::Grid| {
        let header = [&[table.title][..], &table.header].concat();
        let rows: String = table.rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", row))).collect();
        format!("<table>\n<tr>{}</tr>\n{rows}</table>\n", cells("th", &header))
    };
    let tables: String = tables(measurements).into_iter().map(table).collect();
    let plots: String = plots(measurements).into_iter().map(|(_, svg)| svg).collect();
    let servers = escape(&measurements.servers.join(", "));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>What TLS costs</title>\n<style>{STYLE}</style>\n\
<h1>What TLS costs</h1>\n<p>{servers}; measured on {}</p>\n{plots}{tables}</html>\n",
        escape(&measurements.started)
    )
}
