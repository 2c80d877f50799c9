//! Conformance suite for Kong Gateway connecting to PostgreSQL over TLS and mutual TLS.

pub mod cli;
pub mod client;
pub mod front_end;
pub mod judge;
pub mod kong;
pub mod pki;
pub mod plan;
pub mod postgres;
pub mod report;
pub mod run;
pub mod runfolder;
pub mod scenario;
pub mod session;
