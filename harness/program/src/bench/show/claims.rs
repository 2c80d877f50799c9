//! What the page says that its reader should take from the figures, each with the figures that have to bear it out.

use crate::bench::results::{Compared, Distance, Handshake, Measurements};

use super::table::KONG;

/// The largest part of libpq's time that a connection in this process may take.
const IN_PROCESS: f64 = 0.7;

/// A sentence of the page.
pub struct Claim {
    /// What it says, with figures of the measurement.
    pub text: String,
    /// Whether the measurement bears it out.
    pub holds: bool,
}

/// All of them.
#[must_use]
pub fn claims(measurements: &Measurements) -> Vec<Claim> {
    [keys, revocation, tls_versions, passwords, hello_retry, distances, open_connections, storms, in_process]
        .into_iter()
        .filter_map(|claim| claim(measurements))
        .collect()
}

fn kong<'m>(measurements: &'m Measurements, mode: &str) -> Option<&'m Handshake> {
    measurements.handshake(mode, KONG)
}

fn server<'m>(measurements: &'m Measurements, mode: &str) -> Option<&'m Compared> {
    kong(measurements, mode)?.server_cpu.as_ref()
}

fn keys(measurements: &Measurements) -> Option<Claim> {
    let of = |key: &str| server(measurements, &format!("mTLS, {key}")).map(|server| server.median / 1000.0);
    let (p256, rsa_2048, rsa_4096) = (of("ECDSA P-256")?, of("RSA-2048")?, of("RSA-4096")?);
    let text = format!(
        "**Use ECDSA P-256 keys.** A connection with mTLS costs the server {p256:.2} ms of processor time with P-256, \
{rsa_2048:.2} ms with RSA-2048 and {rsa_4096:.2} ms with RSA-4096."
    );
    Some(Claim { text, holds: p256 < rsa_2048 && rsa_2048 < rsa_4096 })
}

fn revocation(measurements: &Measurements) -> Option<Claim> {
    let of = |list: &str| server(measurements, &format!("mTLS, {list}"));
    let (empty, small, large) = (of("empty CRL")?, of("CRL of 1,000")?, of("CRL of 100,000")?);
    let (none, thousand, many) = (empty.median / 1000.0, small.median / 1000.0, large.median / 1000.0);
    let text = format!(
        "**Keep revocation lists short.** The server checks the whole list for each connection: \
{none:.2} ms of processor time with an empty list, {thousand:.2} ms with 1,000 entries, {many:.2} ms with 100,000."
    );
    Some(Claim { text, holds: large.ratio.low > empty.ratio.high })
}

fn tls_versions(measurements: &Measurements) -> Option<Claim> {
    let of = |mode: &str| kong(measurements, mode).map(|handshake| handshake.time.ratio);
    let (old, new, mutual) = (of("TLS 1.2")?, of("TLS 1.3")?, of("mTLS, cert")?);
    let text = format!(
        "**TLS costs time once, when a connection is opened:** {:.2} times plaintext with TLS 1.2, {:.2} with TLS 1.3, \
{:.2} with client certificates, all with RSA-2048 on one machine.",
        old.value, new.value, mutual.value
    );
    Some(Claim { text, holds: old.low > 1.0 && new.low > 1.0 && mutual.value > new.value })
}

fn passwords(measurements: &Measurements) -> Option<Claim> {
    let of = |mode: &str| kong(measurements, mode)?.client_cpu.as_ref();
    let (scram, md5) = (of("plaintext, SCRAM")?, of("plaintext, md5")?);
    let text = format!(
        "**SCRAM is the client's cost,** and meant to be: Kong hashes the password 4,096 times for each connection, \
{:.2} ms of its processor time against {:.2} ms with md5.",
        scram.median / 1000.0,
        md5.median / 1000.0
    );
    Some(Claim { text, holds: scram.ratio.low > md5.ratio.high })
}

fn hello_retry(measurements: &Measurements) -> Option<Claim> {
    let first = measurements.distances.iter().find(|distance| distance.mode == "TLS 1.3" && distance.postgres < 18)?;
    let of = |mode: &str| {
        let found =
            measurements.distances.iter().find(|distance| distance.mode == mode && distance.postgres == first.postgres);
        found.map(|distance| distance.round_trips)
    };
    let (again, once, old) = (first.round_trips, of("P-256 at once")?, of("TLS 1.2")?);
    let text = format!(
        "**TLS 1.3 saves no round trip up to PostgreSQL 17:** Kong offers X25519, the server takes P-256 only, and the \
handshake begins again (HelloRetryRequest): {again} round trips to the first answer, as many as with TLS 1.2 ({old}). \
`Groups = P-256` in the OpenSSL configuration that Kong reads makes it {once}; PostgreSQL 18 takes X25519."
    );
    Some(Claim { text, holds: again == once + 1 && again == old })
}

fn distances(measurements: &Measurements) -> Option<Claim> {
    let all = &measurements.distances;
    let counted = all.iter().all(|distance| distance.round_trips == distance.because.sum());
    let per_trip = |distance: &Distance| {
        let trips = f64::from(u32::try_from(distance.round_trips).ok()?);
        Some(distance.milliseconds.get(&50)? / (50.0 * trips))
    };
    let parts: Option<Vec<_>> = all.iter().map(per_trip).collect();
    let parts = parts.filter(|parts| !parts.is_empty())?;
    let (least, most) =
        parts.iter().fold((f64::MAX, 0.0), |(least, most): (f64, f64), part| (least.min(*part), most.max(*part)));
    let text = format!(
        "**Across a distance only round trips count.** With round trips of 50 ms, the time to the first answer is \
{least:.2} to {most:.2} times their number times 50 ms, whatever the keys are."
    );
    Some(Claim { text, holds: counted && least >= 0.98 && most < 1.5 })
}

fn open_connections(measurements: &Measurements) -> Option<Claim> {
    let of = |bytes: u64| {
        measurements.traffic.iter().find(|traffic| traffic.bytes == bytes).map(|traffic| traffic.time.ratio)
    };
    let (small, large) = (of(100)?, of(1_000_000)?);
    let connection = kong(measurements, "TLS 1.3, verified")?.time.ratio;
    let text = format!(
        "**Keep connections open.** On an open connection an answer of 100 bytes takes {:.2} times as long as in plaintext, \
one of 1 MB {:.2} times; a new connection takes {:.2} times as long.",
        small.value, large.value, connection.value
    );
    Some(Claim { text, holds: small.value < connection.value })
}

fn storms(measurements: &Measurements) -> Option<Claim> {
    let last = |transport: &'static str| measurements.storms.iter().filter(move |storm| storm.transport == transport);
    let full = last("TLS").find(|storm| storm.connections > storm.max_connections)?;
    let fits = last("TLS").rfind(|storm| storm.connections <= storm.max_connections)?;
    let plain = last("plaintext").find(|storm| storm.connections == fits.connections)?;
    let text = format!(
        "**Count a fleet's connections before its server does.** {} connections at once with mTLS were accepted at {:.0} \
a second on this machine ({:.0} in plaintext), the last after {:.0} ms. Of {} at once, a server with \
`max_connections = {}` refused {}.",
        fits.connections,
        fits.logins_per_second,
        plain.logins_per_second,
        fits.p99 / 1000.0,
        full.connections,
        full.max_connections,
        full.refused
    );
    let holds = fits.refused == 0 && full.refused >= full.connections - full.max_connections;
    Some(Claim { text, holds: holds && fits.logins_per_second < plain.logins_per_second })
}

fn in_process(measurements: &Measurements) -> Option<Claim> {
    let of = |other: &str| {
        let ratios = measurements.versus.iter().filter(move |versus| versus.other == other);
        ratios.map(|versus| versus.time.ratio.value).reduce(f64::max)
    };
    let (anew, stays) = (of("psql started each time")?, of("psql that stays")?);
    let text = format!(
        "**The clients in this program are cheap enough for a suite.** The emulated Kong takes at most {anew:.2} of the \
time of `--client libpq`, which starts a psql for each connection, and {stays:.2} of that of a psql that stays."
    );
    Some(Claim { text, holds: anew <= IN_PROCESS })
}
