//! Every figure of a measurement in one line, for a spreadsheet.

use std::io::Write;

use crate::bench::results::{Compared, Measurements};

const HEADER: [&str; 11] =
    ["part", "what", "client", "postgres", "figure", "pairs", "median_us", "base_us", "ratio", "low", "high"];

/// Writes the figures that were measured in pairs.
pub(super) fn write(out: impl Write, measurements: &Measurements) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(HEADER)?;
    let mut line = |of: [String; 4], figure: &str, pairs: usize, compared: Option<&Compared>| match compared {
        None => Ok(()),
        Some(Compared { median, base, ratio, .. }) => {
            let numbers = [*median, *base, ratio.value, ratio.low, ratio.high].map(|number| format!("{number:.4}"));
            writer.write_record(of.into_iter().chain([figure.to_owned(), pairs.to_string()]).chain(numbers))
        }
    };
    for handshake in &measurements.handshakes {
        let (mode, client) = (handshake.mode.clone(), handshake.client.clone());
        let of = ["connection".to_owned(), mode, client, handshake.postgres.to_string()];
        line(of.clone(), "time", handshake.pairs, Some(&handshake.time))?;
        line(of.clone(), "server cpu", handshake.pairs, handshake.server_cpu.as_ref())?;
        line(of, "client cpu", handshake.pairs, handshake.client_cpu.as_ref())?;
    }
    for versus in &measurements.versus {
        let of = ["against".to_owned(), versus.mode.clone(), versus.other.clone(), String::new()];
        line(of, "time", versus.pairs, Some(&versus.time))?;
    }
    for traffic in &measurements.traffic {
        let of = ["query".to_owned(), format!("{} bytes", traffic.bytes), String::new(), String::new()];
        line(of.clone(), "time", traffic.pairs, Some(&traffic.time))?;
        line(of.clone(), "server cpu", traffic.pairs, traffic.server_cpu.as_ref())?;
        line(of, "client cpu", traffic.pairs, traffic.client_cpu.as_ref())?;
    }
    Ok(writer.flush()?)
}
