//! The operator's desk: help for someone whose Kong does not connect, out of what the suite knows.

pub mod certs;
pub mod check;
pub mod diagnose;
pub mod export;
pub mod naming;
pub mod up;
