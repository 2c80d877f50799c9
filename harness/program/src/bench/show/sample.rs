//! A measurement for tests.

use crate::bench::estimate::Estimate;
use crate::bench::results::{Compared, Handshake, Measurements};

/// One mode, twice as slow as plaintext, with some noise.
pub(super) fn measurements() -> Measurements {
    slower(1.0)
}

/// The same, slower by a factor.
pub(super) fn slower(factor: f64) -> Measurements {
    let compared = || {
        let ratio = Estimate { value: 2.0 * factor, low: 1.95 * factor, high: 2.05 * factor };
        let rounds = [1.94, 2.0, 2.03, 2.06].map(|ratio| ratio * factor).to_vec();
        Compared { median: 3000.0 * factor, base: 1500.0, ratio, rounds }
    };
    let handshake = Handshake {
        mode: "TLS 1.3".into(),
        group: "TLS version and verification".into(),
        client: "kong cosocket".into(),
        postgres: 15,
        pairs: 20,
        time: compared(),
        client_cpu: Some(compared()),
        server_cpu: Some(compared()),
        limit: None,
    };
    Measurements { started: "2026-11-28T12:00:00Z".into(), handshakes: vec![handshake], ..Measurements::new() }
}
