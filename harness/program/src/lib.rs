//! Conformance suite for Kong Gateway connecting to PostgreSQL over TLS and mutual TLS.

pub mod bench;
pub mod cli;
pub mod client;
pub mod compare;
pub mod desk;
pub mod judge;
pub mod leaks;
pub mod learn;
pub mod proxy;
pub mod record;
pub mod relay;
pub mod report;
pub mod run;
pub mod runfolder;
pub mod session;
pub mod upgrade;
pub mod vacuity;
